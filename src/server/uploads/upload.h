// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "format/cluster_bits.h"
#include "merge/merge.h"
#include "server/uploads/registry.h"
#include "server/uploads/upload_record.h"
#include "session/session.h"

namespace netcow {

/// One upload: what clients sent for one mount, kept in a session directory.
///
/// The registry is told of a change of state before anybody else sees it, so a restarted server
/// never knows less than a client was told. The session is opened when it is first needed. While
/// the state is `merging` only the merge worker touches it; in every other state clients do.
///
/// Thread-safe, save for what is marked as the merge worker's.
class Upload {
 public:
  /// `registry` and `clock` must outlive the upload. `directory` is that of the session.
  Upload(UploadRecord record, std::string directory, Registry& registry, const Clock& clock);

  /// Makes the session directory and turns the state from copying to active.
  void begin();

  /// Keeps one cluster as a client sent it; it survives a power cut when this returns. Throws
  /// Refusal, or std::system_error when the disk fails.
  void storeCluster(std::uint64_t cluster, const ClusterBits& bits,
                    std::span<const std::byte> content);

  /// Accepts a merge. True: it is new, and the worker must be told. False: the same merge was
  /// accepted before. Throws Refusal for sizes out of range or other than before.
  bool acceptMerge(const MergeSizes& sizes);

  /// A copy, with the progress of a merge that runs.
  [[nodiscard]] UploadRecord record() const;

  struct ClusterUpdates {
    std::uint64_t cluster = 0;
    std::uint64_t updates = 0;
  };
  /// How often each cluster was sent; at most `amount`, the most often sent first.
  [[nodiscard]] std::vector<ClusterUpdates> mostUpdated(std::uint64_t amount);

  /// Closes the session cleanly. No other call may run or follow.
  void close();

  // --- for the merge worker, in the state `merging` -----------------------------------------

  /// The session, for as long as the state is `merging`.
  Session& sessionToMerge();
  MergeProgress& progress() { return progress_; }
  /// Remembers which revision the result is about to become.
  void chooseRevision(std::uint16_t revision);
  /// The result is there: turns the state to done and removes the session directory.
  void finish();
  void fail(const std::string& message);

 private:
  void openSession();
  UploadRecord withProgress() const NETCOW_REQUIRES_SHARED(mutex_);
  void requireActive() const NETCOW_REQUIRES_SHARED(mutex_);
  void enter(UploadState state, UploadRecord record) NETCOW_REQUIRES(mutex_);

  const std::string directory_;
  Registry& registry_;
  const Clock& clock_;
  MergeProgress progress_;

  mutable SharedMutex mutex_;
  UploadRecord record_ NETCOW_GUARDED_BY(mutex_);
  std::unique_ptr<Session> session_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
