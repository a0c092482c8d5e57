// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "server/catalog/image_catalog.h"
#include "server/uploads/merge_queue.h"
#include "server/uploads/registry.h"
#include "server/uploads/upload.h"
#include "server/uploads/upload_figures.h"

namespace netcow {

/// Collects what clients changed in images and merges it into new revisions; knows nothing of
/// HTTP. Each upload is a session directory `FOLDER/UUID` and a row in `FOLDER/registry.sqlite`.
///
/// What a call acknowledged survives a killed server and a power cut: the next service on the same
/// folder goes on with every upload, and with merges that were accepted but not finished.
///
/// Thread-safe. Calls throw Refusal for what the client did wrong, anything else when the disk or
/// the registry fails.
class UploadService {
 public:
  /// `folder` must exist; nobody else may use it meanwhile. `catalog` and `clock` must outlive the
  /// service. Takes up accepted merges at once. Throws UserError.
  UploadService(std::string folder, const ImageCatalog& catalog,
                const Clock& clock = Clock::system());
  /// Leaves the sessions as a killed process would: call stop() first for a clean end.
  ~UploadService();
  UploadService(const UploadService&) = delete;
  UploadService& operator=(const UploadService&) = delete;

  /// Begins an upload for an image; returns its uuid. `owner` is for people: who asks.
  std::string create(const ImageName& base, const std::string& owner = {});
  /// Keeps one cluster: `body` is its bits, then kBlockSize bytes for each bit that is set.
  void update(const std::string& uuid, std::uint64_t cluster, std::span<const std::byte> body);
  /// Accepts the merge; it runs by itself. The same merge may be asked for again.
  void merge(const std::string& uuid, const MergeSizes& sizes);
  [[nodiscard]] UploadRecord status(const std::string& uuid) const;
  [[nodiscard]] std::vector<Upload::ClusterUpdates> mostUpdated(const std::string& uuid,
                                                                std::uint64_t amount) const;
  /// Every upload, by uuid.
  [[nodiscard]] std::vector<UploadRecord> list() const;
  [[nodiscard]] UploadFigures figures() const;

  /// Cancels the merge that runs (it begins anew at the next start) and closes every session. No
  /// other call may run or follow.
  void stop();

 private:
  [[nodiscard]] std::shared_ptr<Upload> find(const std::string& uuid) const;
  [[nodiscard]] std::string directoryOf(const std::string& uuid) const;
  void resume(const UploadRecord& record);
  void forget(const std::string& uuid);

  const std::string folder_;
  const ImageCatalog& catalog_;
  const Clock& clock_;
  Registry registry_;
  UploadCounters counters_;
  mutable Mutex mutex_;
  // By uuid. Uploads are never taken out while the service runs.
  std::map<std::string, std::shared_ptr<Upload>> uploads_ NETCOW_GUARDED_BY(mutex_);
  MergeQueue merges_;
};

}  // namespace netcow
