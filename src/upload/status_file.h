// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace netcow {

/// What the file `status` of a session tells (docs/formats/session.md).
struct UploadStatus {
  enum class State {
    active,            ///< just begun
    backgroundUpload,  ///< mounted
    uploading,         ///< unmounted, final pass
    done,              ///< all uploaded, and merged if asked
    cancelled,         ///< the user stopped the uploads
    failed,            ///< the server refused; what is not uploaded is safe in the session
    local,             ///< there is no upload server
  };
  std::string uuid;
  State state = State::active;
  std::uint64_t inQueue = 0;           ///< clusters due or in flight
  std::uint64_t modifiedClusters = 0;  ///< changed too recently
  std::uint64_t idleClusters = 0;      ///< clean
  std::uint64_t totalClustersUploaded = 0;
  std::uint64_t activeUploads = 0;
  double avgSpeedKb = 0;  ///< 1000 bytes a second, over the last interval
};

/// How often one cluster was uploaded.
struct ClusterUploads {
  std::uint64_t cluster = 0;
  std::uint32_t uploads = 0;
};

/// The group [General]; readers depend on its keys, their order and their spelling.
std::string statusText(const UploadStatus& status);
/// The group [BlockStats]: most uploaded first, then by number. Empty without an entry.
std::string blockStatsText(std::vector<ClusterUploads> clusters);

/// Keeps `status`, and the link status.txt by which very old programs know it, in a session
/// directory. Not thread-safe. Progress is no reason to end an upload: failures are logged.
class StatusFile {
 public:
  explicit StatusFile(std::string directory);
  /// Replaces the text, so that a reader sees the old or the new one. `durable`: it also survives
  /// a power cut.
  void write(std::string_view text, bool durable = false);

 private:
  void makeLink() const;

  const std::string directory_;
  bool complained_ = false;  // one line in the log, not one every five seconds
};

}  // namespace netcow
