// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/catalog/image_catalog.h"
#include "server/uploads/upload.h"

namespace netcow {

/// Merges an upload in the state `merging` into a new revision beside its base: the base's next
/// one, or the next number that neither an image nor a list of checksums has. Ends in the state
/// done or failed; a merge that was cancelled (MergeProgress::cancel) stays `merging`. Goes on
/// where a killed process stopped, and never makes a second revision. Throws when the registry or
/// the folder of images fails and nothing can be recorded: the upload stays `merging`, and a later
/// call goes on.
void runMerge(Upload& upload, const ImageCatalog& catalog);

}  // namespace netcow
