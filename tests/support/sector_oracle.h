// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"

namespace netcow::test {

/// Fills `buffer`, which stands for the bytes of an image from `offset` on, so that every sector
/// names who wrote it, in which operation, and for which place.
void fillStamps(std::span<std::byte> buffer, std::uint64_t offset, std::uint64_t writer,
                std::uint64_t operation);

/// What each 512-byte sector of an image may hold while many threads write to it, and after the
/// program behind it was killed.
///
/// Every operation is told before it is sent and when it was acknowledged. A sector may hold what
/// any operation left there that no other one has surely overwritten: one that began after the
/// first had ended, and was acknowledged. What a crash left is seen once and is then the only
/// content. Bytes behind the end of the image are zeros as soon as they come back.
///
/// Only sectors inside the given ranges are known; nothing may be written elsewhere. Thread-safe,
/// but nothing else may be under way when the size changes (writes that make the image longer
/// are such changes).
class SectorOracle {
 public:
  static constexpr std::uint64_t kSector = 512;  ///< bytes
  struct Range {
    std::uint64_t begin;  ///< bytes, multiples of kSector
    std::uint64_t end;
  };
  using Content = std::function<void(std::uint64_t offset, std::span<std::byte> buffer)>;
  using Ticket = std::uint64_t;

  /// `content` tells what the image of `size` bytes holds at first.
  SectorOracle(std::vector<Range> ranges, std::uint64_t size, const Content& content);

  /// `bytes` are about to be written. Nothing if another operation under way shares a sector that
  /// one of the two covers in part: which contents are allowed then cannot be told.
  std::optional<Ticket> begin(std::uint64_t offset, std::span<const std::byte> bytes);
  void acknowledge(Ticket ticket);
  /// The operation failed: it may have changed all, some or no sectors.
  void giveUp(Ticket ticket);
  void beginResize(std::uint64_t size);
  void acknowledgeResize();

  [[nodiscard]] std::uint64_t size() const;

  /// What sectors looked like when a read began.
  struct Reading {
    std::uint64_t offset = 0;
    std::vector<std::uint64_t> changes;
  };
  [[nodiscard]] Reading beginRead(std::uint64_t offset, std::uint64_t length) const;
  /// Says what is wrong; sectors that changed meanwhile are passed over. Empty: nothing. Where a
  /// write was under way all the time, each byte may be an old or a new one: Linux copies to and
  /// from its page cache without keeping readers and writers of the same bytes apart.
  [[nodiscard]] std::string endRead(const Reading& reading, std::span<const std::byte> bytes) const;

  /// The program was killed: what is under way now will never be acknowledged.
  void crash();
  /// What is there now is what counts from now on. Says what is wrong; empty: nothing. The size
  /// comes first, then the bytes of all ranges as far as they are inside.
  [[nodiscard]] std::string observeSize(std::uint64_t size);
  [[nodiscard]] std::string observe(std::uint64_t offset, std::span<const std::byte> bytes);

  [[nodiscard]] const std::vector<Range>& ranges() const { return ranges_; }

 private:
  using Bytes = std::array<std::byte, kSector>;
  static constexpr std::uint64_t kUnderWay = std::numeric_limits<std::uint64_t>::max();
  struct Version {
    Bytes bytes;
    Ticket writer = 0;
    std::uint64_t began = 0;
    std::uint64_t ended = 0;
  };
  struct Sector {
    std::vector<Version> versions;
    std::uint64_t changes = 0;
    std::uint32_t underWay = 0;
    bool inPart = false;  ///< the operation under way covers it in part
  };
  struct Operation {
    std::uint64_t offset;
    std::uint64_t length;
    std::uint64_t began;
  };

  [[nodiscard]] std::size_t indexOf(std::uint64_t sector) const;
  Sector& at(std::uint64_t sector) NETCOW_REQUIRES(mutex_) { return sectors_[indexOf(sector)]; }
  void addVersions(std::uint64_t number, std::uint64_t offset, std::span<const std::byte> bytes,
                   Ticket ticket) NETCOW_REQUIRES(mutex_);
  void settle(Ticket ticket, bool acknowledged) NETCOW_REQUIRES(mutex_);
  void cutTo(std::uint64_t size) NETCOW_REQUIRES(mutex_);
  [[nodiscard]] static bool allows(const Sector& sector, std::span<const std::byte> visible);
  /// Each byte of it is in one of the versions.
  [[nodiscard]] static bool allowsMixed(const Sector& sector, std::span<const std::byte> visible);
  [[nodiscard]] static std::string problem(std::uint64_t number, const Sector& sector,
                                           std::span<const std::byte> found);

  const std::vector<Range> ranges_;
  mutable Mutex mutex_;
  std::vector<Sector> sectors_ NETCOW_GUARDED_BY(mutex_);  // of all ranges, one after the other
  std::map<Ticket, Operation> operations_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t now_ NETCOW_GUARDED_BY(mutex_) = 0;
  std::uint64_t size_ NETCOW_GUARDED_BY(mutex_);
  /// Of changes under way, and of those that failed; a write may have been done in part.
  std::vector<std::uint64_t> newSizes_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow::test
