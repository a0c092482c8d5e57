// SPDX-License-Identifier: Apache-2.0
#include "upload/status_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <tuple>
#include <utility>

#include "base/logging.h"
#include "base/whole_io.h"

namespace netcow {
namespace {

std::string_view toText(UploadStatus::State state) {
  switch (state) {
    case UploadStatus::State::active:
      return "active";
    case UploadStatus::State::backgroundUpload:
      return "backgroundUpload";
    case UploadStatus::State::uploading:
      return "uploading";
    case UploadStatus::State::done:
      return "done";
    case UploadStatus::State::cancelled:
      return "cancelled";
    case UploadStatus::State::failed:
      return "failed";
    case UploadStatus::State::local:
      return "local";
  }
  return "";
}

}  // namespace

std::string statusText(const UploadStatus& status) {
  return fmt::format(
      "[General]\n"
      "uuid={}\n"
      "state={}\n"
      "inQueue={}\n"
      "modifiedClusters={}\n"
      "idleClusters={}\n"
      "totalClustersUploaded={}\n"
      "activeUploads={}\n"
      "avgSpeedKb={:.2f}\n",
      status.uuid, toText(status.state), status.inQueue, status.modifiedClusters,
      status.idleClusters, status.totalClustersUploaded, status.activeUploads, status.avgSpeedKb);
}

std::string blockStatsText(std::vector<ClusterUploads> clusters) {
  if (clusters.empty()) {
    return {};
  }
  std::sort(clusters.begin(), clusters.end(), [](const auto& left, const auto& right) {
    return std::tie(right.uploads, left.cluster) < std::tie(left.uploads, right.cluster);
  });
  std::string text = "\n[BlockStats]\n";
  for (const ClusterUploads& entry : clusters) {
    text += fmt::format("{}={}\n", entry.cluster, entry.uploads);
  }
  return text;
}

StatusFile::StatusFile(std::string directory) : directory_(std::move(directory)) {
  makeLink();
}

void StatusFile::makeLink() const {
  const std::filesystem::path link = directory_ + "/status.txt";
  std::error_code error;
  if (std::filesystem::read_symlink(link, error) == "status") {
    return;
  }
  std::filesystem::remove(link, error);
  std::filesystem::create_symlink("status", link, error);
  if (error) {
    spdlog::warn("cannot make the link {}: {}", link.string(), error.message());
  }
}

void StatusFile::write(std::string_view text, bool durable) {
  try {
    replaceTextFile(directory_ + "/status", text, durable);
    complained_ = false;
  } catch (const std::exception& error) {
    if (!std::exchange(complained_, true)) {
      spdlog::warn("{}; uploads go on without a status file", error.what());
    }
  }
}

}  // namespace netcow
