// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/catalog/image_catalog.h"
#include "server/uploads/upload.h"

namespace netcow {

/// Merges an upload in the state `merging` into a new revision beside its base: the base's next
/// one, or the next number that neither an image nor a list of checksums has. Ends in the state
/// done or failed, or active where somebody wished it cancelled before the result was out; a merge
/// that only the end of the server stopped (MergeProgress::cancel) stays `merging`. Goes on where a
/// killed process stopped, and never makes a second revision. `reserve`: bytes that are left free
/// on the disk. Throws when the registry or the folder of images fails and nothing can be recorded:
/// the upload stays `merging`, and a later call goes on.
void runMerge(Upload& upload, const ImageCatalog& catalog, std::uint64_t reserve = 0);

/// What mergeSession() has to do for an upload whose merge was accepted.
MergeRequest mergeRequestFor(const UploadRecord& record, const ImageCatalog& catalog);

/// Removes what a merge may have left beside the base. Only for uploads that are not `merging`.
void removeMergeRemains(const UploadRecord& record, const ImageCatalog& catalog);

}  // namespace netcow
