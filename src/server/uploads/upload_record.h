// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "format/image_name.h"

namespace netcow {

/// copying -> active -> merging -> done, or failed and from there merging again.
enum class UploadState {
  copying,  ///< its session is being made; no client knows of it yet
  active,   ///< takes clusters
  merging,  ///< the merge was accepted; no cluster is taken from here on
  done,     ///< the new revision is there
  failed,   ///< the merge failed and may be asked for again
};

/// The state as the API tells it and the registry keeps it: "Copying", "Active", ...
const char* stateName(UploadState state);
/// Nothing for an unknown name.
std::optional<UploadState> parseStateName(const std::string& name);

/// What a merge is asked for with, in bytes: the base is cut to the first, then cut or grown to
/// the second.
struct MergeSizes {
  std::uint64_t originalFileSize = 0;
  std::uint64_t newFileSize = 0;
  bool operator==(const MergeSizes&) const = default;
};

/// Everything about one upload that is not in its session directory.
struct UploadRecord {
  std::string uuid;
  ImageName base;
  std::uint64_t baseSize = 0;  ///< bytes, as served
  UploadState state = UploadState::copying;
  std::optional<MergeSizes> sizes;  ///< once the merge was accepted
  std::uint16_t newRevision = 0;    ///< the result's; 0 = not chosen yet
  std::uint64_t mergedClusters = 0;
  std::uint64_t totalClusters = 0;
  std::int64_t createdAt = 0;  ///< unix seconds
  std::int64_t changedAt = 0;  ///< unix seconds, of the last change of state
  std::string message;         ///< why it failed, one line
  bool operator==(const UploadRecord&) const = default;
};

}  // namespace netcow
