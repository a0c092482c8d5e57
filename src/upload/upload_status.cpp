// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/property_tree/ini_parser.hpp>
#include <boost/property_tree/ptree.hpp>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>
#include <utility>

namespace netcow {
namespace {

constexpr std::string_view kGroup = "[General]";
constexpr std::size_t kLongestError = 500;

constexpr std::pair<UploadStatus::State, std::string_view> kStates[] = {
    {UploadStatus::State::active, "active"},
    {UploadStatus::State::backgroundUpload, "backgroundUpload"},
    {UploadStatus::State::uploading, "uploading"},
    {UploadStatus::State::done, "done"},
    {UploadStatus::State::cancelled, "cancelled"},
    {UploadStatus::State::failed, "failed"},
    {UploadStatus::State::local, "local"},
};
constexpr std::pair<UploadStatus::Merge, std::string_view> kMerges[] = {
    {UploadStatus::Merge::none, "none"},   {UploadStatus::Merge::wanted, "wanted"},
    {UploadStatus::Merge::asked, "asked"}, {UploadStatus::Merge::merging, "merging"},
    {UploadStatus::Merge::done, "done"},   {UploadStatus::Merge::refused, "refused"},
};

template <class Names>
auto valueOf(const Names& names, std::string_view text) {
  using Value = decltype(std::begin(names)->first);
  const auto found = std::find_if(std::begin(names), std::end(names),
                                  [text](const auto& entry) { return entry.second == text; });
  return found == std::end(names) ? std::nullopt : std::optional<Value>(found->first);
}

/// A value that every INI reader takes for one string: in quotes, because Qt's splits at commas and
/// ends at `;` without them; without quotes, backslashes and per cent signs inside, which each
/// reader has another idea of; one line of valid UTF-8.
std::string quoted(const std::string& text) {
  const auto json = nlohmann::json(text.substr(0, kLongestError))
                        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string safe = nlohmann::json::parse(json).get<std::string>();
  std::replace_if(
      safe.begin(), safe.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  std::replace(safe.begin(), safe.end(), '"', '\'');
  std::replace(safe.begin(), safe.end(), '\\', '/');
  std::replace(safe.begin(), safe.end(), '%', '?');
  return safe.empty() ? "" : '"' + safe + '"';
}

std::string unquoted(const std::string& text) {
  const bool quotes = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return quotes ? text.substr(1, text.size() - 2) : text;
}

UploadStatus fromGroup(const boost::property_tree::ptree& group) {
  const auto read = [&group](const char* key, auto& value) { value = group.get(key, value); };
  UploadStatus status;
  read("uuid", status.uuid);
  status.state = valueOf(kStates, group.get("state", "")).value_or(status.state);
  read("inQueue", status.inQueue);
  read("modifiedClusters", status.modifiedClusters);
  read("idleClusters", status.idleClusters);
  read("totalClustersUploaded", status.totalClustersUploaded);
  read("activeUploads", status.activeUploads);
  read("avgSpeedKb", status.avgSpeedKb);
  read("bytesPending", status.bytesPending);
  read("bytesUploaded", status.bytesUploaded);
  read("clustersFailed", status.clustersFailed);
  status.lastError = unquoted(group.get("lastError", ""));
  status.merge = valueOf(kMerges, group.get("mergeState", "")).value_or(status.merge);
  if (const auto seconds = group.get("etaSeconds", std::int64_t{-1}); seconds >= 0) {
    status.eta = std::chrono::seconds(seconds);
  }
  read("lastErrorTime", status.lastErrorTime);
  read("mergedClusters", status.mergedClusters);
  read("clustersToMerge", status.clustersToMerge);
  read("process", status.process);
  return status;
}

}  // namespace

std::string_view toText(UploadStatus::State state) {
  return kStates[static_cast<std::size_t>(state)].second;
}

std::string_view toText(UploadStatus::Merge merge) {
  return kMerges[static_cast<std::size_t>(merge)].second;
}

std::string statusText(const UploadStatus& status) {
  const std::string known = fmt::format(
      "{}\n"
      "uuid={}\n"
      "state={}\n"
      "inQueue={}\n"
      "modifiedClusters={}\n"
      "idleClusters={}\n"
      "totalClustersUploaded={}\n"
      "activeUploads={}\n"
      "avgSpeedKb={:.2f}\n",
      kGroup, status.uuid, toText(status.state), status.inQueue, status.modifiedClusters,
      status.idleClusters, status.totalClustersUploaded, status.activeUploads, status.avgSpeedKb);
  return known + fmt::format(
                     "bytesPending={}\n"
                     "bytesUploaded={}\n"
                     "clustersFailed={}\n"
                     "lastError={}\n"
                     "mergeState={}\n"
                     "etaSeconds={}\n"
                     "lastErrorTime={}\n"
                     "mergedClusters={}\n"
                     "clustersToMerge={}\n"
                     "process={}\n",
                     status.bytesPending, status.bytesUploaded, status.clustersFailed,
                     quoted(status.lastError), toText(status.merge),
                     status.eta ? status.eta->count() : -1, status.lastErrorTime,
                     status.mergedClusters, status.clustersToMerge, status.process);
}

std::optional<UploadStatus> parseStatusText(std::string_view text) {
  const auto begin = text.find(kGroup);
  if (begin == std::string_view::npos) {
    return std::nullopt;
  }
  try {
    std::istringstream stream{std::string(text.substr(begin))};
    boost::property_tree::ptree groups;
    boost::property_tree::read_ini(stream, groups);
    return fromGroup(groups.get_child("General"));
  } catch (const boost::property_tree::ptree_error&) {
    return std::nullopt;
  }
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

}  // namespace netcow
