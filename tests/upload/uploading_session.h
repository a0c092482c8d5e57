// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <system_error>

#include "session/hooked_folder.h"
#include "session/session.h"
#include "support/fake_clock.h"
#include "support/temporary_directory.h"

namespace netcow::test {

/// A session in a temporary folder, written block by block, and beside it a model of what its
/// uploads must carry. Not thread-safe; the session is.
class UploadingSession {
 public:
  static constexpr std::uint64_t kClusters = 40;

  explicit UploadingSession(const std::string& uuid);

  [[nodiscard]] Session& session() { return *session_; }
  /// Closes the session, for others to open it.
  std::error_code letGo() {
    const auto error = session_->close();
    session_.reset();
    return error;
  }
  [[nodiscard]] FakeClock& clock() { return clock_; }
  [[nodiscard]] std::string file(const std::string& name) const { return directory_ / name; }

  /// So many calls fail from now on: syncs of its files, with EIO, and writes to `meta`, with
  /// ENOSPC.
  std::atomic<int> syncsToFail = 0;
  std::atomic<int> writesToMetaWithoutRoom = 0;

  /// Fills blocks of a cluster with the byte `content`.
  void write(std::uint64_t cluster, std::uint64_t firstBlock, std::uint64_t blocks, char content);
  /// One block in each of the first `count` clusters.
  void writeClusters(std::uint64_t count);
  /// Every block of a cluster: its upload is above 1 MiB.
  void fill(std::uint64_t cluster, char content) { write(cluster, 0, kBlocksPerCluster, content); }

  /// What the server must hold in the end: for each cluster written the body of its upload.
  [[nodiscard]] std::map<std::uint64_t, std::string> expectedBodies() const;
  /// Clusters that are dirty and not checked out.
  [[nodiscard]] std::uint64_t dirtyClusters() const;
  [[nodiscard]] ClusterInfo info(std::uint64_t cluster) const;

 private:
  std::error_code answer(const FileCall& call);

  TemporaryDirectory directory_;
  FakeClock clock_;
  const FileHook hook_ = [this](const FileCall& call) { return answer(call); };
  std::unique_ptr<Session> session_;
  std::map<std::uint64_t, std::map<std::uint64_t, char>> model_;  // cluster -> block -> its byte
};

}  // namespace netcow::test
