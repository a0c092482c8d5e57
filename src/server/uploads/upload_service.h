// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/unique_function.h"
#include "server/catalog/image_catalog.h"
#include "server/uploads/disk_room.h"
#include "server/uploads/housekeeper.h"
#include "server/uploads/merge_queue.h"
#include "server/uploads/registry.h"
#include "server/uploads/upload.h"
#include "server/uploads/upload_figures.h"

namespace netcow {

struct UploadServiceOptions {
  /// An upload that no client changed for so long expires; 0 = never.
  std::chrono::seconds sessionTtl = std::chrono::hours(24 * 30);
  /// The records of uploads that ended are kept for so long, and of so many.
  std::chrono::seconds endedTtl = std::chrono::hours(24 * 90);
  std::size_t endedKept = 1000;
  /// Bytes that uploads and merges leave free on the disk; else DiskRoom::usualReserve().
  std::optional<std::uint64_t> reserve;
};

/// Collects what clients changed in images and merges it into new revisions; knows nothing of
/// HTTP. Each upload is a session directory `FOLDER/UUID` and a row in `FOLDER/registry.sqlite`.
///
/// What a call acknowledged survives a killed server and a power cut: the next service on the same
/// folder goes on with every upload, and with merges that were accepted but not finished.
///
/// Thread-safe. Calls wait for the disk: make them on the workers. They throw Refusal for what the
/// client did wrong, anything else when the disk or the registry fails.
class UploadService {
 public:
  /// `folder` must exist; nobody else may use it meanwhile. `catalog` and `clock` must outlive the
  /// service. Takes up accepted merges at once. Throws UserError.
  UploadService(std::string folder, const ImageCatalog& catalog,
                const UploadServiceOptions& options = {}, const Clock& clock = Clock::system());
  /// Leaves the sessions as a killed process would: call stop() first for a clean end.
  ~UploadService();
  UploadService(const UploadService&) = delete;
  UploadService& operator=(const UploadService&) = delete;

  /// Begins an upload for an image; returns its uuid. `owner` is for people: who asks.
  std::string create(const ImageName& base, const std::string& owner = {});

  /// Keeps one cluster: `body` is its bits, then kBlockSize bytes for each bit that is set. Calls
  /// `durable` on a worker when it survives a power cut, or with the reason why it may not. Throws
  /// what is known before; then `durable` is not called. `sequence`: see Update.
  void update(const std::string& uuid, std::uint64_t cluster, std::uint64_t sequence,
              std::span<const std::byte> body, Completion durable);

  /// Accepts the merge; it runs by itself. The same merge may be asked for again.
  void merge(const std::string& uuid, const MergeSizes& sizes);
  /// Stops a merge that waits or runs: soon the upload is active again, or, where its result was
  /// out already, done.
  void cancel(const std::string& uuid);
  /// Deletes an upload that is not being merged, with all that clients sent.
  void remove(const std::string& uuid);

  [[nodiscard]] UploadRecord status(const std::string& uuid) const;
  [[nodiscard]] std::vector<Upload::ClusterUpdates> mostUpdated(const std::string& uuid,
                                                                std::uint64_t amount) const;
  /// Every upload, by uuid, also those that ended. Never waits for the disk.
  [[nodiscard]] std::vector<UploadRecord> list() const;
  /// Never waits for the disk.
  [[nodiscard]] UploadFigures figures() const;

  /// Throws when the registry does not answer.
  void askRegistry();

  /// What is done every few seconds: notes activity in the registry, lets uploads expire, and
  /// forgets those that ended long ago.
  void keepHouse();

  /// Threads for calls of this service.
  IoThreads& workers() { return workers_; }

  /// Cancels the merge that runs (it begins anew at the next start) and closes every session. No
  /// other call may run or follow.
  void stop();

 private:
  [[nodiscard]] std::vector<std::shared_ptr<Upload>> uploads() const;
  [[nodiscard]] std::shared_ptr<Upload> find(const std::string& uuid) const;
  [[nodiscard]] std::string directoryOf(const std::string& uuid) const;
  void resume(const UploadRecord& record);
  void forget(const std::string& uuid);
  void store(Upload& upload, const Update& update, Completion durable);
  void checkRoomForMerge(const Session& session, const UploadRecord& record) const;
  void saveActivity();
  void expireAbandoned();
  void forgetEnded();

  const std::string folder_;
  const ImageCatalog& catalog_;
  const UploadServiceOptions options_;
  const Clock& clock_;
  DiskRoom room_;
  Registry registry_;
  UploadCounters counters_;
  const UploadContext context_;
  mutable Mutex mutex_;
  // By uuid. While the service runs, only those that ended are taken out.
  std::map<std::string, std::shared_ptr<Upload>> uploads_ NETCOW_GUARDED_BY(mutex_);
  IoThreads workers_;
  MergeQueue merges_;
  std::unique_ptr<Housekeeper> housekeeper_;
};

}  // namespace netcow
