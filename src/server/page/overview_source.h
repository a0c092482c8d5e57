// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "server/blocks/block_statistics.h"
#include "server/catalog/folder_watch.h"
#include "server/catalog/image_catalog.h"
#include "server/page/overview.h"
#include "server/page/upload_keys.h"
#include "server/uploads/upload_service.h"

namespace netcow {

/// Makes overviews out of what the parts of a server tell. For one thread at a time; waits for the
/// disk.
class OverviewSource {
 public:
  /// What is given must outlive the source. `watch` says when the folder of images has to be walked
  /// again; `blocks` tells the figures of the dnbd3 side.
  OverviewSource(const ImageCatalog& catalog, const FolderWatch& watch,
                 const UploadService& uploads, std::function<BlockFigures()> blocks,
                 UploadKeys& keys, const Clock& clock = Clock::system());

  [[nodiscard]] Overview make();

 private:
  const std::vector<ImageCatalog::Entry>& images();
  void addUploads(Overview& overview);

  [[nodiscard]] bool mayHaveChanged() const;

  const ImageCatalog& catalog_;
  const FolderWatch& watch_;
  const UploadService& uploads_;
  const std::function<BlockFigures()> blocks_;
  UploadKeys& keys_;
  const Clock& clock_;
  const Clock::Time startedAt_;
  std::vector<ImageCatalog::Entry> images_;
  std::uint64_t listedChanges_ = 0;  ///< those of the watch that images_ has
  Clock::Time listedAt_ = Clock::Time::min();
  Clock::Time listAgainAt_ = Clock::Time::min();
};

}  // namespace netcow
