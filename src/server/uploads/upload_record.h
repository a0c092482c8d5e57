// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "format/image_name.h"

namespace netcow {

/// copying -> active -> merging -> done, or failed and from there merging again; a merge that is
/// cancelled leads back to active. Active and failed ones may be deleted or expire.
enum class UploadState {
  copying,  ///< its session is being made; no client knows of it yet
  active,   ///< takes clusters
  merging,  ///< the merge was accepted; no cluster is taken from here on
  done,     ///< the new revision is there
  failed,   ///< the merge failed and may be asked for again
  deleted,  ///< somebody deleted it; only its record is left
  expired,  ///< nobody used it for too long; only its record is left
};

inline constexpr std::array kAllUploadStates = {
    UploadState::copying, UploadState::active,  UploadState::merging, UploadState::done,
    UploadState::failed,  UploadState::deleted, UploadState::expired};

/// The state as the API tells it and the registry keeps it: "Copying", "Active", ...
const char* stateName(UploadState state);
/// Nothing for an unknown name.
std::optional<UploadState> parseStateName(const std::string& name);
/// Whether nothing but the record is left or needed: done, deleted, expired.
bool hasEnded(UploadState state);

/// Enough of a uuid for people to tell uploads apart. Logs and messages hold no whole one: whoever
/// knows it may change the upload.
std::string shortUuid(const std::string& uuid);
/// A message (it may name files of the upload) with `uuid` cut short.
std::string hideUuid(std::string message, const std::string& uuid);
/// The same with whatever looks like a uuid.
std::string hideUuids(const std::string& message);

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
  std::string owner;           ///< who made it: the name of a token, or an address
  UploadState state = UploadState::copying;
  std::optional<MergeSizes> sizes;  ///< of the last merge that was accepted
  bool cancelRequested = false;     ///< while merging: somebody wants it stopped
  std::uint16_t newRevision = 0;    ///< the result's; 0 = not chosen yet
  std::uint64_t mergedClusters = 0;
  std::uint64_t totalClusters = 0;
  std::uint64_t updates = 0;            ///< clusters that were accepted, each time counted
  std::uint64_t bytesReceived = 0;      ///< in them
  std::int64_t createdAt = 0;           ///< unix seconds
  std::int64_t changedAt = 0;           ///< unix seconds, of the last change of state
  std::int64_t lastActivity = 0;        ///< unix seconds; of the last call that changed something
  std::uint64_t mergeMilliseconds = 0;  ///< that the last merge took or has taken so far
  std::string message;  ///< why it failed or what else a person should know, one line
  bool operator==(const UploadRecord&) const = default;
};

}  // namespace netcow
