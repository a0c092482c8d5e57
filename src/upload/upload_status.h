// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netcow {

/// How the uploads of a session go on: what the file `status` tells (docs/formats/session.md), what
/// progress lines show, and what `netcow status` reads back.
struct UploadStatus {
  enum class State {
    active,            ///< just begun
    backgroundUpload,  ///< mounted
    uploading,         ///< unmounted: final pass, then the merge
    done,              ///< all uploaded, and merged if asked
    cancelled,         ///< the user stopped the uploads
    failed,            ///< the server refused; what is not uploaded is safe in the session
    local,             ///< there is no upload server
  };
  enum class Merge {
    none,     ///< nobody wants one
    wanted,   ///< asked for as soon as everything is uploaded
    asked,    ///< asked for, no answer known
    merging,  ///< the server took it, and has not said that it is done
    done,     ///< the server made the new revision, or does not tell more than that it took it
    refused,  ///< the server will not merge, or could not
  };

  std::string uuid;
  State state = State::active;
  std::uint64_t inQueue = 0;                ///< clusters due or in flight
  std::uint64_t modifiedClusters = 0;       ///< changed too recently
  std::uint64_t idleClusters = 0;           ///< clean
  std::uint64_t totalClustersUploaded = 0;  ///< since this start
  std::uint64_t activeUploads = 0;
  double avgSpeedKb = 0;  ///< 1000 bytes a second, over the last interval

  std::uint64_t bytesPending = 0;    ///< of all dirty clusters, without what was sent of them
  std::uint64_t bytesUploaded = 0;   ///< acknowledged since this start
  std::uint64_t clustersFailed = 0;  ///< dirty, and their last upload failed
  std::string lastError;             ///< of this run; empty: none
  Merge merge = Merge::none;
  std::optional<std::chrono::seconds> eta;  ///< of the uploads; nothing while nothing moves
  std::int64_t lastErrorTime = 0;           ///< seconds since 1970; 0: none
  std::uint64_t mergedClusters = 0;         ///< as the server tells
  std::uint64_t clustersToMerge = 0;        ///< the same; 0: it does not tell
  std::int64_t process = 0;                 ///< id of the one that uploads

  bool operator==(const UploadStatus&) const = default;
};

std::string_view toText(UploadStatus::State state);
std::string_view toText(UploadStatus::Merge merge);

/// The group [General]; readers depend on its keys, their order and their spelling. What comes from
/// elsewhere (lastError) is changed so that no reader of INI files stumbles over it.
std::string statusText(const UploadStatus& status);

/// Reads back what statusText() wrote, wherever it begins in `text`. Keys that are missing stay as
/// they are in a fresh UploadStatus. Nothing if there is no such group, or it is not understood.
std::optional<UploadStatus> parseStatusText(std::string_view text);

/// How often one cluster was uploaded.
struct ClusterUploads {
  std::uint64_t cluster = 0;
  std::uint32_t uploads = 0;
};
/// The group [BlockStats]: most uploaded first, then by number. Empty without an entry.
std::string blockStatsText(std::vector<ClusterUploads> clusters);

}  // namespace netcow
