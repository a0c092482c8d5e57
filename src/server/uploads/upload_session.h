// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "base/mutex.h"
#include "base/unique_function.h"
#include "server/uploads/cluster_order.h"
#include "server/uploads/update.h"
#include "server/uploads/upload_context.h"
#include "session/session.h"

namespace netcow {

/// The session directory of one upload while it is open: stores updates, and makes many of them
/// durable together.
///
/// A checkpoint costs the same few syncs for one update as for a hundred. So nobody who waits for
/// one holds a thread: while a checkpoint of this session runs, whoever comes is put on a list, and
/// the next one answers all of them. That one queues behind other uploads' work, which keeps any
/// number of busy uploads on few threads going, and lets the list grow meanwhile.
///
/// Thread-safe. Lives as long as anybody needs it: the upload, a merge, a checkpoint.
class UploadSession : public std::enable_shared_from_this<UploadSession> {
 public:
  UploadSession(std::unique_ptr<Session> session, const UploadContext& context);

  [[nodiscard]] Session& session() { return *session_; }

  /// Keeps a cluster; false if a newer update of it was there already. Throws Refusal, or
  /// std::system_error when the disk fails.
  bool store(const Update& update);

  /// Calls `durable` when everything that was stored before this call survives a power cut, or with
  /// the reason why it may not; on one of the workers.
  void makeDurable(Completion durable);

 private:
  void postCheckpoint();
  void checkpoint();

  const std::unique_ptr<Session> session_;
  const UploadContext context_;
  ClusterOrder order_;
  Mutex mutex_;
  std::vector<Completion> waiting_ NETCOW_GUARDED_BY(mutex_);
  bool underWay_ NETCOW_GUARDED_BY(mutex_) = false;  ///< a checkpoint runs or is queued
};

/// What a client hears when its cluster could not be kept; `where` is for the log.
[[noreturn]] void failStoring(const std::error_code& error, const std::string& where);

}  // namespace netcow
