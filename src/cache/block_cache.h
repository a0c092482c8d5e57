// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "base/mutex.h"
#include "session/session.h"

namespace netcow {

/// A part of a read that the cache does not have.
struct MissingPart {
  std::span<std::byte> buffer;
  std::uint64_t offset = 0;
};

/// Says of cached bytes whether they may be served now.
class ReadGate {
 public:
  virtual ~ReadGate() = default;
  /// Of at most one cluster. Never waits.
  virtual bool mayRead(std::uint64_t offset, std::uint64_t length) = 0;
};

/// The blocks of one image that this mount keeps, over a session.
///
/// Reads may come from any thread and take no lock. Everything that stores or forgets is for one
/// thread, the one of the StoreQueue; checkpoint() is for any.
///
/// What was used longest ago goes first. When that was is known by cluster, and in steps: a counter
/// that goes up each time that a part of the limit has been stored. Nothing of it outlives the
/// mount.
///
/// After an error of the disk the cache is off: it has nothing any more, and takes nothing. After a
/// sync that failed, what is read might be what was there before.
class BlockCache {
 public:
  /// How many bytes `data` may take, of so many that are wanted. May take its time.
  using Share = std::function<std::uint64_t(std::uint64_t wanted)>;

  /// `session` holds blocks of an image of `imageSize` bytes, and must outlive the cache.
  BlockCache(Session& session, std::uint64_t imageSize, Share share);
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  /// Fills what it has of `buffer`, and adds the rest to `missing`, in ascending order.
  void read(std::span<std::byte> buffer, std::uint64_t offset, std::vector<MissingPart>& missing);

  /// The same, without asking the gate.
  void readUngated(std::span<std::byte> buffer, std::uint64_t offset,
                   std::vector<MissingPart>& missing) {
    read(buffer, offset, missing, nullptr);
  }
  /// From now on read() asks `gate`, which must outlive the reads; null: nobody.
  void setGate(ReadGate* gate) { gate_ = gate; }

  enum class Room {
    make,  ///< by forgetting what was used longest ago
    find,  ///< or go without
  };
  /// Keeps whole blocks. False if there is no room for them.
  bool store(std::span<const std::byte> blocks, std::uint64_t offset, Room room);

  /// The first run of blocks at or behind `offset` that is missing, at most `length` bytes of it;
  /// nothing (an empty run) up to the end of the image.
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };
  [[nodiscard]] Range nextMissing(std::uint64_t offset, std::uint64_t length) const;

  /// Makes what was stored so far survive a power cut; turns the cache off if that fails.
  void checkpoint();
  /// Forgets all clusters that have a part in [begin, end).
  void forgetRange(std::uint64_t begin, std::uint64_t end);
  /// Gives back space that a crash left to nobody, and what is more than may be taken now.
  void tidyUp();

  [[nodiscard]] bool off() const { return off_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t cachedBytes() const { return session_.localBlocks() * kBlockSize; }

 private:
  void read(std::span<std::byte> buffer, std::uint64_t offset, std::vector<MissingPart>& missing,
            ReadGate* gate);
  bool makeRoom(std::uint64_t bytes, Room room);
  bool forgetColdest(std::uint64_t bytes);
  std::error_code measure();
  void use(std::uint64_t cluster);
  [[nodiscard]] std::uint32_t lastUse(std::uint64_t cluster) const;
  void turnOff(const std::error_code& error, const char* what);

  Session& session_;
  const std::uint64_t imageSize_;
  const Share share_;
  std::atomic<bool> off_ = false;
  std::atomic<ReadGate*> gate_ = nullptr;
  std::atomic<std::uint32_t> now_ = 1;  ///< the counter
  /// By cluster. Not a vector: pages of it that were never touched take no memory.
  struct Free {
    void operator()(std::uint32_t* memory) const;
  };
  const std::unique_ptr<std::uint32_t[], Free> uses_;

  // Of the storing thread.
  std::uint64_t taken_ = 0;       ///< by `data`, about
  std::uint64_t shareNow_ = 0;    ///< what it may take
  std::uint64_t unmeasured_ = 0;  ///< stored since both were found out
  std::uint64_t sinceStep_ = 0;   ///< stored since the counter went up
  bool saidFull_ = false;
};

}  // namespace netcow
