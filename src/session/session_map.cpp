// SPDX-License-Identifier: Apache-2.0
#include "session/session_map.h"

#include <algorithm>

#include "base/errors.h"
#include "session/loader.h"

namespace netcow {
namespace {

/// Walks over an image from its begin to its end and joins neighbours of one kind.
class RangeWalk {
 public:
  RangeWalk(const MetaHeader& header, const std::function<void(const ImageRange&)>& visit)
      : imageSize_(header.imageSize),
        visibleBase_(std::min<std::uint64_t>(header.validRemoteSize, imageSize_)),
        visit_(visit) {}

  /// From where the last range ended to `end`, nothing is local.
  void notLocalUntil(std::uint64_t end) {
    add(std::min(end, visibleBase_), RangeKind::base);
    add(end, RangeKind::zero);
  }

  void add(std::uint64_t end, RangeKind kind) {
    end = std::min(end, imageSize_);
    if (end <= at_) {
      return;
    }
    if (pending_.length > 0 && pending_.kind != kind) {
      visit_(pending_);
      pending_.length = 0;
    }
    if (pending_.length == 0) {
      pending_ = {at_, 0, kind};
    }
    pending_.length += end - at_;
    at_ = end;
  }

  void finish() {
    notLocalUntil(imageSize_);
    if (pending_.length > 0) {
      visit_(pending_);
    }
  }

 private:
  const std::uint64_t imageSize_;
  const std::uint64_t visibleBase_;
  const std::function<void(const ImageRange&)>& visit_;
  std::uint64_t at_ = 0;
  ImageRange pending_;
};

class SessionMapper {
 public:
  SessionMapper(const Folder& folder, LoadedSession& session, RangeWalk& walk)
      : folder_(folder), session_(session), walk_(walk) {}

  void cluster(std::uint64_t number, const Cluster& cluster) {
    const std::uint64_t begin = number * kClusterSize;
    const auto place = static_cast<std::uint64_t>(cluster.dataOffset.load());
    const ClusterBits bits = cluster.loadBits();
    std::uint64_t block = bits.findNext(0, true);
    while (block < kBlocksPerCluster) {
      const std::uint64_t end = bits.findNext(block, false);
      walk_.notLocalUntil(begin + block * kBlockSize);
      localRun(begin, place, block * kBlockSize, end * kBlockSize);
      block = bits.findNext(end, true);
    }
  }

 private:
  /// Bytes `from` to `to` of a cluster are local.
  void localRun(std::uint64_t begin, std::uint64_t place, std::uint64_t from, std::uint64_t to) {
    while (from < to) {
      std::uint64_t data = 0;
      std::uint64_t hole = 0;
      check(session_.data->findData(place + from, data));
      // The pages of some file systems are larger than a block: a part of one is no hole.
      data = data < place + to ? roundDown(data - place, kBlockSize) : to;
      walk_.add(begin + data, RangeKind::zero);
      if (data >= to) {
        return;
      }
      check(session_.data->findHole(place + data, hole));
      from = std::min(roundUp(std::max(hole - place, data + 1), kBlockSize), to);
      walk_.add(begin + from, RangeKind::local);
    }
  }

  void check(const std::error_code& error) {
    if (error) {
      throwErrno(error.value(), "cannot read " + folder_.path() + "/data");
    }
  }

  const Folder& folder_;
  LoadedSession& session_;
  RangeWalk& walk_;
};

}  // namespace

void mapSession(Folder& folder, const std::function<void(const ImageRange&)>& visit) {
  LoadedSession session = loadWhileInUse(folder);
  RangeWalk walk(session.header, visit);
  SessionMapper mapper(folder, session, walk);
  session.map->forEachAllocated(
      [&](std::uint64_t number, const Cluster& cluster) { mapper.cluster(number, cluster); });
  walk.finish();
}

}  // namespace netcow
