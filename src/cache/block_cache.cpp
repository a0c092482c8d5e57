// SPDX-License-Identifier: Apache-2.0
#include "cache/block_cache.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>

#include "base/errors.h"
#include "base/logging.h"
#include "format/geometry.h"

namespace netcow {
namespace {

std::uint32_t* allocateZeroed(std::uint64_t count) {
  auto* const memory = static_cast<std::uint32_t*>(std::calloc(count, sizeof(std::uint32_t)));
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

void addMissing(std::vector<MissingPart>& missing, std::span<std::byte> buffer,
                std::uint64_t offset) {
  if (!missing.empty() && missing.back().offset + missing.back().buffer.size() == offset) {
    MissingPart& last = missing.back();
    last.buffer = {last.buffer.data(), last.buffer.size() + buffer.size()};
    return;
  }
  missing.push_back({buffer, offset});
}

bool isFull(const std::error_code& error) {
  return error.value() == ENOSPC || error.value() == EDQUOT;
}

/// What is stored at most until the space that is taken is looked at again, and by how much the
/// counter of uses is coarse.
constexpr std::uint64_t kParts = 16;
constexpr std::uint64_t kSteps = 64;

}  // namespace

void BlockCache::Free::operator()(std::uint32_t* memory) const {
  std::free(memory);
}

BlockCache::BlockCache(Session& session, std::uint64_t imageSize, Share share)
    : session_(session),
      imageSize_(imageSize),
      share_(std::move(share)),
      uses_(allocateZeroed(divideRoundingUp(imageSize, kClusterSize))) {}

BlockCache::~BlockCache() = default;

void BlockCache::read(std::span<std::byte> buffer, std::uint64_t offset,
                      std::vector<MissingPart>& missing) {
  read(buffer, offset, missing, gate_.load(std::memory_order_acquire));
}

void BlockCache::read(std::span<std::byte> buffer, std::uint64_t offset,
                      std::vector<MissingPart>& missing, ReadGate* gate) {
  while (!buffer.empty()) {
    const std::uint64_t forgets = session_.forgets();
    const Session::Run run = session_.runAt(offset, buffer.size());
    const auto part = buffer.first(run.length);
    bool have = run.local && !off() && (gate == nullptr || gate->mayRead(offset, run.length));
    if (have) {
      use(offset / kClusterSize);
      if (const auto error = session_.readData(part, run.dataOffset)) {
        turnOff(error, "read");
        have = false;
      }
      // What is behind the look at `off_`, too: a sync may have failed meanwhile.
      std::atomic_thread_fence(std::memory_order_acquire);
      have = have && session_.forgets() == forgets && !off();
    }
    if (!have) {
      addMissing(missing, part, offset);
    }
    buffer = buffer.subspan(run.length);
    offset += run.length;
  }
}

bool BlockCache::store(std::span<const std::byte> blocks, std::uint64_t offset, Room room) {
  if (off() || !makeRoom(blocks.size(), room)) {
    return false;
  }
  for (std::uint64_t at = offset; at < offset + blocks.size(); at += kClusterSize) {
    use(at / kClusterSize);
  }
  use((offset + blocks.size() - 1) / kClusterSize);
  const auto error = session_.fillBlocks(offset / kBlockSize, blocks);
  taken_ += blocks.size();
  unmeasured_ += blocks.size();
  sinceStep_ += blocks.size();
  if (sinceStep_ > shareNow_ / kSteps) {
    sinceStep_ = 0;
    now_.fetch_add(1, std::memory_order_relaxed);
  }
  if (isFull(error)) {
    if (!std::exchange(saidFull_, true)) {
      spdlog::warn(
          "the disk of the cache {} is full: what is read is not kept there until it has "
          "room again",
          session_.directory());
    }
    return false;
  }
  if (error) {
    turnOff(error, "write");
  }
  return !error;
}

std::error_code BlockCache::measure() {
  if (const auto error = session_.spaceTaken(taken_)) {
    return error;
  }
  unmeasured_ = 0;
  return {};
}

bool BlockCache::makeRoom(std::uint64_t bytes, Room room) {
  constexpr std::uint64_t kLongest = std::uint64_t{64} << 20U;
  const bool measured =
      shareNow_ > 0 && unmeasured_ + bytes <= std::min(shareNow_ / kParts, kLongest);
  if (measured && taken_ + bytes <= shareNow_) {
    return true;
  }
  if (const auto error = measure()) {
    turnOff(error, "measure");
    return false;
  }
  shareNow_ = share_(taken_ + bytes);
  if (taken_ + bytes <= shareNow_) {
    return true;
  }
  if (room == Room::find || bytes > shareNow_) {
    return false;
  }
  // More than this needs: forgetting makes a checkpoint.
  return forgetColdest(taken_ + bytes - shareNow_ + shareNow_ / kParts) &&
         taken_ + bytes <= shareNow_;
}

bool BlockCache::forgetColdest(std::uint64_t bytes) {
  struct Victim {
    std::uint32_t lastUse;
    std::uint64_t cluster;
    std::uint64_t bytes;
  };
  std::vector<Victim> victims;
  session_.forEachCluster([&](const ClusterInfo& info) {
    // Those without a block come first: a write that failed may have left something there.
    const std::uint64_t blocks = info.bits.count();
    victims.push_back({blocks == 0 ? 0 : lastUse(info.cluster), info.cluster, blocks * kBlockSize});
  });
  std::sort(victims.begin(), victims.end(), [](const Victim& one, const Victim& other) {
    return one.lastUse != other.lastUse ? one.lastUse < other.lastUse : one.cluster < other.cluster;
  });
  std::uint64_t forgotten = 0;
  std::error_code error;
  for (const Victim& victim : victims) {
    if (forgotten >= bytes || error) {
      break;
    }
    error = session_.forget(victim.cluster);
    forgotten += victim.bytes;
  }
  error = error ? error : session_.releaseForgotten();
  error = error ? error : measure();
  if (isFull(error)) {
    return false;  // the tables could not be written: again when there is room
  }
  if (error) {
    turnOff(error, "make room in");
  }
  return !error;
}

BlockCache::Range BlockCache::nextMissing(std::uint64_t offset, std::uint64_t length) const {
  while (offset < imageSize_) {
    const Session::Run run = session_.runAt(offset, std::min(kClusterSize, imageSize_ - offset));
    if (!run.local) {
      return {offset, std::min(length, run.length)};
    }
    offset += run.length;
  }
  return {};
}

void BlockCache::checkpoint() {
  if (off() || !session_.needsCheckpoint()) {
    return;
  }
  const auto error = session_.checkpoint();
  if (error && !isFull(error)) {
    turnOff(error, "sync");
  }
}

void BlockCache::forgetRange(std::uint64_t begin, std::uint64_t end) {
  std::error_code error;
  for (std::uint64_t cluster = begin / kClusterSize; cluster * kClusterSize < end; ++cluster) {
    error = error ? error : session_.forget(cluster);
  }
  error = error ? error : session_.releaseForgotten();
  if (error) {
    turnOff(error, "correct");  // also a full disk: what is wrong must not be served
  }
}

void BlockCache::tidyUp() {
  std::error_code error;
  session_.forEachCluster([&](const ClusterInfo& info) {
    if (info.bits.none()) {
      error = error ? error : session_.forget(info.cluster);
    }
  });
  error = error ? error : session_.releaseForgotten();
  if (error && !isFull(error)) {
    turnOff(error, "tidy up");
  }
  if (!off()) {
    static_cast<void>(makeRoom(0, Room::make));  // where there is more than there may be now
  }
}

void BlockCache::use(std::uint64_t cluster) {
  const std::uint32_t now = now_.load(std::memory_order_relaxed);
  const std::atomic_ref<std::uint32_t> last(uses_[cluster]);
  // Looked at first: the same cluster is used by many threads again and again.
  if (last.load(std::memory_order_relaxed) != now) {
    last.store(now, std::memory_order_relaxed);
  }
}

std::uint32_t BlockCache::lastUse(std::uint64_t cluster) const {
  return std::atomic_ref<std::uint32_t>(uses_[cluster]).load(std::memory_order_relaxed);
}

void BlockCache::turnOff(const std::error_code& error, const char* what) {
  if (!off_.exchange(true)) {
    spdlog::error(
        "cannot {} the cache {}: {}; this mount goes on without it: check the disk, or "
        "remove that folder",
        what, session_.directory(), error.message());
  }
}

}  // namespace netcow
