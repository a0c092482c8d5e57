// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "image/tagged_sectors.h"
#include "session/session.h"

namespace netcow::test {

/// Uploads a session as the uploader does, to a server in memory that keeps for each cluster what
/// the newest upload carried. Some uploads fail, and some clusters are put back unsent.
class StressUploader {
 public:
  StressUploader(Session& session, Findings& findings, std::uint64_t seed)
      : session_(session), findings_(findings), random_(seed) {}

  /// Runs on a thread of its own until `stop` is set.
  void run(const std::atomic<bool>& stop) {
    while (!stop) {
      if (!uploadOne(true)) {
        std::this_thread::yield();
      }
    }
  }

  /// When nothing else runs any more: sends what is left. Then the server must hold exactly what
  /// is local: else a change was taken for uploaded that was not.
  void finish() {
    while (uploadOne(false)) {
    }
    session_.forEachCluster([this](const ClusterInfo& info) {
      if (!info.bits.none()) {
        compare(info);
      }
    });
  }
  [[nodiscard]] std::uint64_t uploads() const { return uploads_; }

 private:
  struct Stored {
    ClusterBits bits;
    std::vector<std::byte> content;
  };

  bool uploadOne(bool mayFail) {
    const auto cluster = session_.takeDirty(Clock::Time::max());
    if (!cluster) {
      return false;
    }
    if (mayFail && random_() % 10 == 0) {
      session_.returnDirty(*cluster);
      return true;
    }
    const Session::Snapshot snapshot = session_.snapshot(*cluster);
    Stored sent{snapshot.bits, read(*cluster, snapshot.bits)};
    Stored& stored = server_[*cluster];
    for (std::uint64_t block = 0; block < kBlocksPerCluster; ++block) {
      if (stored.bits.test(block) && !sent.bits.test(block)) {
        findings_.add("block " + std::to_string(block) + " of cluster " + std::to_string(*cluster) +
                      " is not local any more");
      }
    }
    stored = std::move(sent);
    ++uploads_;
    if (mayFail && random_() % 10 == 0) {
      // The server has it, but its answer was lost.
      session_.failUpload(*cluster);
      session_.returnDirty(*cluster);
    } else {
      session_.acknowledgeUpload(*cluster, snapshot.changes);
    }
    return true;
  }

  std::vector<std::byte> read(std::uint64_t cluster, const ClusterBits& bits) {
    std::vector<std::byte> content(bits.count() * kBlockSize);
    std::uint64_t done = 0;
    std::uint64_t block = bits.findNext(0, true);
    while (block < kBlocksPerCluster) {
      const std::uint64_t end = bits.findNext(block, false);
      const std::uint64_t length = (end - block) * kBlockSize;
      if (session_.readBlocks(cluster, block, std::span(content).subspan(done, length))) {
        findings_.add("cannot read cluster " + std::to_string(cluster));
      }
      done += length;
      block = bits.findNext(end, true);
    }
    return content;
  }

  void compare(const ClusterInfo& info) {
    const Stored& stored = server_[info.cluster];
    if (stored.bits != info.bits) {
      findings_.add("cluster " + std::to_string(info.cluster) + ": the server has other blocks");
      return;
    }
    const auto content = read(info.cluster, info.bits);
    std::uint64_t done = 0;
    for (std::uint64_t block = 0; block < kBlocksPerCluster; ++block) {
      if (!info.bits.test(block)) {
        continue;
      }
      const std::uint64_t offset = info.cluster * kClusterSize + block * kBlockSize;
      const auto begin = content.begin() + static_cast<std::ptrdiff_t>(done);
      if (offset < session_.imageSize() &&
          !std::equal(begin, begin + kBlockSize,
                      stored.content.begin() + static_cast<std::ptrdiff_t>(done))) {
        findings_.add("the server has old content at " + std::to_string(offset));
      }
      done += kBlockSize;
    }
  }

  Session& session_;
  Findings& findings_;
  std::mt19937_64 random_;
  std::map<std::uint64_t, Stored> server_;
  std::uint64_t uploads_ = 0;
};

}  // namespace netcow::test
