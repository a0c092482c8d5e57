// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch/prefetch_cache.h"

#include <algorithm>

namespace netcow {

// extents_ is keyed by the end, so that upper_bound(x) is the first that has something behind x.

bool PrefetchCache::hasSomeOf(std::uint64_t offset, std::uint64_t size) const {
  const auto found = extents_.upper_bound(offset);
  return found != extents_.end() && found->second->offset < offset + size;
}

std::vector<PrefetchCache::Part> PrefetchCache::split(std::span<std::byte> buffer,
                                                      std::uint64_t offset) {
  std::vector<Part> parts;
  while (!buffer.empty()) {
    const auto found = extents_.upper_bound(offset);
    ExtentPointer extent;
    std::uint64_t length = buffer.size();
    if (found != extents_.end() && found->second->offset <= offset) {
      extent = found->second;
      length = std::min(length, extent->end() - offset);
      used(*extent, length);
    } else if (found != extents_.end()) {
      length = std::min(length, found->second->offset - offset);
    }
    parts.push_back({buffer.first(length), offset, std::move(extent)});
    buffer = buffer.subspan(length);
    offset += length;
  }
  return parts;
}

void PrefetchCache::used(Extent& extent, std::uint64_t bytes) {
  extent.bytesRead += bytes;
  extent.lastUse = sweeps_;
  if (!extent.hasArrived) {
    return;
  }
  if (extent.bytesRead >= extent.size) {
    const auto place = extent.place;
    extents_.erase(extent.end());
    arrived_.erase(place);
  } else {
    arrived_.splice(arrived_.end(), arrived_, extent.place);
  }
}

std::vector<ByteRange> PrefetchCache::missing(ByteRange range) const {
  std::vector<ByteRange> result;
  const std::uint64_t end = range.offset + range.size;
  std::uint64_t at = range.offset;
  for (auto next = extents_.upper_bound(at); at < end; ++next) {
    const std::uint64_t until = next == extents_.end() ? end : std::min(end, next->second->offset);
    if (until > at) {
      result.push_back({at, until - at});
    }
    if (next == extents_.end()) {
      break;
    }
    at = std::max(at, next->second->end());
  }
  return result;
}

void PrefetchCache::add(const ExtentPointer& extent) {
  extent->lastUse = sweeps_;
  extents_.emplace(extent->end(), extent);
}

void PrefetchCache::keep(const ExtentPointer& extent) {
  extent->hasArrived = true;
  if (extent->bytesRead >= extent->size) {
    extents_.erase(extent->end());
    return;
  }
  extent->lastUse = sweeps_;
  extent->place = arrived_.insert(arrived_.end(), extent);
}

void PrefetchCache::forget(const Extent& extent) {
  extents_.erase(extent.end());
}

ExtentPointer PrefetchCache::dropOldest() {
  if (arrived_.empty()) {
    return nullptr;
  }
  ExtentPointer oldest = arrived_.front();
  arrived_.pop_front();
  extents_.erase(oldest->end());
  return oldest;
}

std::vector<ExtentPointer> PrefetchCache::dropUnused() {
  std::vector<ExtentPointer> dropped;
  ++sweeps_;
  while (!arrived_.empty() && arrived_.front()->lastUse + 1 < sweeps_) {
    dropped.push_back(dropOldest());
  }
  return dropped;
}

}  // namespace netcow
