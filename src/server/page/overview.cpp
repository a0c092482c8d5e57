// SPDX-License-Identifier: Apache-2.0
#include "server/page/overview.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "server/http/form.h"

namespace netcow {
namespace {

using Json = nlohmann::ordered_json;

Json serverJson(const Overview& overview) {
  return {{"imagesFolder", overview.imagesFolder},
          {"imagesFreeBytes", overview.imagesFreeBytes},
          {"uptimeSeconds", overview.uptimeSeconds}};
}

Json trafficJson(const Overview& overview) {
  return {{"clients", overview.clients},
          {"bytesServed", overview.bytesServed},
          {"requests", overview.requests},
          {"errors", overview.errors}};
}

Json imageJson(const Overview::Image& image, std::size_t& revisionsLeft) {
  std::uint64_t clients = 0;
  std::uint64_t bytesServed = 0;
  auto revisions = Json::array();
  for (const auto& revision : image.revisions) {
    clients += revision.clients;
    bytesServed += revision.bytesServed;
    if (revisions.empty() || revisionsLeft > 0) {
      revisionsLeft -= revisionsLeft > 0 ? 1 : 0;
      revisions.push_back({{"revision", revision.revision},
                           {"size", revision.size},
                           {"clients", revision.clients},
                           {"bytesServed", revision.bytesServed}});
    }
  }
  return {{"name", image.name},
          {"clients", clients},
          {"bytesServed", bytesServed},
          {"revisionCount", image.revisions.size()},
          {"revisions", std::move(revisions)}};
}

Json imagesJson(const Overview& overview, const std::string& filter, std::size_t limit) {
  auto list = Json::array();
  std::size_t matching = 0;
  std::size_t revisionsLeft = kMostRevisionsInOverview;
  for (const auto& image : overview.images) {
    if (!filter.empty() && toLowerCase(image.name).find(filter) == std::string::npos) {
      continue;
    }
    if (++matching <= limit) {
      list.push_back(imageJson(image, revisionsLeft));
    }
  }
  return {{"total", overview.images.size()}, {"matching", matching}, {"list", std::move(list)}};
}

/// What may be asked of an upload in its state.
Json actionsOf(const UploadRecord& record) {
  switch (record.state) {
    case UploadState::active:
    case UploadState::failed:
      return {"merge", "delete"};
    case UploadState::merging:
      return record.cancelRequested ? Json::array() : Json::array({"cancel"});
    default:
      return Json::array();
  }
}

Json uploadJson(const Overview::Upload& upload) {
  const UploadRecord& record = upload.record;
  Json json = {{"key", upload.key},
               {"image", record.base.name},
               {"revision", record.base.revision},
               {"baseSize", record.baseSize},
               {"owner", record.owner},
               {"state", stateName(record.state)},
               {"createdAt", record.createdAt},
               {"lastActivityAt", record.lastActivity},
               {"changedAt", record.changedAt},
               {"bytesReceived", record.bytesReceived},
               {"mergedClusters", record.mergedClusters},
               {"totalClusters", record.totalClusters},
               {"queuePosition", upload.queuePosition},
               {"cancelRequested", record.cancelRequested},
               {"actions", actionsOf(record)}};
  if (record.sizes) {
    json["originalFileSize"] = record.sizes->originalFileSize;
    json["newFileSize"] = record.sizes->newFileSize;
  }
  if (record.state == UploadState::done) {
    json["newRevision"] = record.newRevision;
  }
  if (record.mergeMilliseconds > 0) {
    json["mergeSeconds"] = static_cast<double>(record.mergeMilliseconds) / 1000;
  }
  if (!record.message.empty()) {
    json["message"] = record.message;
  }
  return json;
}

Json uploadsJson(const std::vector<Overview::Upload>& uploads, std::size_t limit) {
  auto list = Json::array();
  for (const auto& upload : uploads) {
    if (list.size() == limit) {
      break;
    }
    list.push_back(uploadJson(upload));
  }
  return {{"total", uploads.size()}, {"list", std::move(list)}};
}

}  // namespace

void setQueuePositions(std::vector<Overview::Upload>& uploads) {
  std::vector<Overview::Upload*> waiting;
  for (auto& upload : uploads) {
    if (upload.record.state == UploadState::merging && upload.record.mergeMilliseconds == 0) {
      waiting.push_back(&upload);
    }
  }
  std::ranges::sort(waiting, {}, [](const Overview::Upload* upload) {
    return std::tie(upload->record.changedAt, upload->key);
  });
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    waiting[i]->queuePosition = i + 1;
  }
}

std::string overviewJson(const Overview& overview, const OverviewQuery& query) {
  const Json json = {
      {"time", overview.time},
      {"milliseconds", overview.milliseconds},
      {"server", serverJson(overview)},
      {"traffic", trafficJson(overview)},
      {"uploads", uploadsJson(overview.uploads, kMostUploadsInOverview)},
      {"images", imagesJson(overview, toLowerCase(query.filter),
                            std::min(query.imageLimit, kMostImagesInOverview))},
      {"history", uploadsJson(overview.history, kMostHistoryInOverview)},
  };
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace netcow
