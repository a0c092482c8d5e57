// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "merge/merge.h"
#include "server/uploads/update.h"
#include "server/uploads/upload_context.h"
#include "server/uploads/upload_record.h"
#include "server/uploads/upload_session.h"

namespace netcow {

/// One upload: what clients sent for one mount, kept in a session directory.
///
/// The registry is told of a change of state before anybody else sees it, so a restarted server
/// never knows less than a client was told. The session is opened when it is first needed. While
/// the state is `merging` only the merge worker changes what it holds; while it is `active` clients
/// do; else nobody.
///
/// Thread-safe, save for what is marked as the merge worker's.
class Upload {
 public:
  /// What `context` names must outlive the upload. `directory` is that of the session.
  Upload(UploadRecord record, std::string directory, const UploadContext& context);

  /// Makes the session directory and turns the state from copying to active.
  void begin();
  /// Opens the session, so that the record tells what it holds. What keeps it from that goes to the
  /// log, and the next call that needs the session meets it again.
  void openAhead();

  /// Keeps one cluster; `durable` is called when it survives a power cut, or will not. False if a
  /// newer update of the cluster was kept before; that one is then waited for. Throws Refusal, or
  /// std::system_error when the disk fails: then `durable` is not called.
  bool store(const Update& update, Completion durable);

  /// May throw what speaks against a merge of a session that is about to be accepted.
  using MergeCheck = std::function<void(const Session&, const UploadRecord&)>;
  /// Accepts a merge. True: it is new, and the worker must be told. False: the same merge was
  /// accepted before. Throws Refusal for sizes out of range or other than before.
  bool acceptMerge(const MergeSizes& sizes, const MergeCheck& check = {});

  /// Wishes the merge stopped; the worker ends it soon, unless its result is out already. Throws
  /// Refusal when none was accepted.
  void requestCancel();

  /// Deletes the session; the record stays. Throws Refusal while a merge may run, and when there is
  /// nothing to delete.
  void remove();
  /// Does the same, in the name of time, if no client changed anything for longer than `ttl`. A
  /// server that was down, or whose clock jumped, waits at least an hour (or `ttl`) for clients.
  bool expire(std::chrono::seconds ttl);

  /// A copy, with the progress of a merge that runs. Never waits for the disk.
  [[nodiscard]] UploadRecord record() const;
  [[nodiscard]] UploadState state() const;
  /// The record, if its counters changed since this was asked last.
  [[nodiscard]] std::optional<UploadRecord> takeActivity();

  struct ClusterUpdates {
    std::uint64_t cluster = 0;
    std::uint64_t updates = 0;
  };
  /// How often each cluster was sent; at most `amount`, the most often sent first.
  [[nodiscard]] std::vector<ClusterUpdates> mostUpdated(std::uint64_t amount);

  /// Closes the session cleanly. No other call may run or follow, nor may a checkpoint.
  void close();

  // --- for the merge worker, in the state `merging` -----------------------------------------

  /// Counts the time of the merge from here.
  void beginWork();
  /// The session, which nobody else changes for as long as the state is `merging`.
  std::shared_ptr<UploadSession> sessionToMerge() { return openSession(); }
  MergeProgress& progress() { return progress_; }
  /// Remembers which revision the result is about to become.
  void chooseRevision(std::uint16_t revision);
  /// The result is there: turns the state to done and removes the session directory.
  void finish();
  void fail(const std::string& message);
  /// Nothing of the merge is left: turns the state back to active.
  void finishCancel();

 private:
  std::shared_ptr<UploadSession> openSession();
  void requireActive() const;
  void changeState(UploadState state, UploadRecord record) NETCOW_REQUIRES(changing_);
  void endMerge(UploadState state, const std::string& message) NETCOW_REQUIRES(changing_);
  void dropSession(UploadState state, const std::string& message) NETCOW_REQUIRES(changing_);
  void noteUpdate(const Update& update);
  [[nodiscard]] bool isAbandoned(std::chrono::seconds ttl) const;
  [[nodiscard]] UploadRecord withProgress(UploadRecord record) const;
  void removeDirectory() const;

  const std::string directory_;
  const UploadContext context_;
  MergeProgress progress_;
  std::atomic<Clock::Time> workBegan_{Clock::Time::max()};  ///< of a merge that runs

  /// Whoever changes the state holds this while waiting for those who store: nobody overtakes.
  Mutex turnstile_;
  /// Held shared while a cluster is stored, alone while the state changes.
  SharedMutex changing_;
  /// Guards what is read at any time; nothing is waited for under it.
  mutable Mutex mutex_;
  UploadRecord record_ NETCOW_GUARDED_BY(mutex_);
  std::shared_ptr<UploadSession> session_ NETCOW_GUARDED_BY(mutex_);
  Clock::Time lastSeen_ NETCOW_GUARDED_BY(mutex_);
  bool activityChanged_ NETCOW_GUARDED_BY(mutex_) = false;
};

}  // namespace netcow
