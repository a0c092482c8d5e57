// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "base/clock.h"
#include "server/blocks/block_statistics.h"
#include "server/catalog/image_catalog.h"
#include "server/page/overview.h"
#include "server/page/upload_keys.h"
#include "server/uploads/upload_service.h"

namespace netcow {

/// Makes overviews out of what the parts of a server tell. For one thread at a time; waits for the
/// disk.
class OverviewSource {
 public:
  /// What is given must outlive the source. `blocks` tells the figures of the dnbd3 side.
  OverviewSource(const ImageCatalog& catalog, const UploadService& uploads,
                 std::function<BlockFigures()> blocks, UploadKeys& keys,
                 const Clock& clock = Clock::system());

  [[nodiscard]] Overview make();

 private:
  const std::vector<ImageCatalog::Entry>& images();
  void addUploads(Overview& overview);

  const ImageCatalog& catalog_;
  const UploadService& uploads_;
  const std::function<BlockFigures()> blocks_;
  UploadKeys& keys_;
  const Clock& clock_;
  const Clock::Time startedAt_;
  std::vector<ImageCatalog::Entry> images_;
  Clock::Time listAgainAt_ = Clock::Time::min();
};

}  // namespace netcow
