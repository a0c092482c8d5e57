// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/server_metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <numeric>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>

#include "server/http/form.h"

namespace netcow {
namespace {

double number(std::uint64_t value) {
  return static_cast<double>(value);
}

prometheus::MetricFamily replyDurations(const LatencyFigures& latency) {
  constexpr auto& kBounds = LatencyFigures::kBoundsMicroseconds;
  std::array<double, kBounds.size()> seconds = {};
  std::ranges::transform(kBounds, seconds.begin(),
                         [](std::uint64_t bound) { return number(bound) / 1e6; });
  auto family = histogramFamily("netcow_dnbd3_reply_duration_seconds",
                                "From the arrival of a request to the last byte of its reply");
  addHistogram(family, seconds, std::span(latency.counts).first(kBounds.size()),
               std::accumulate(latency.counts.begin(), latency.counts.end(), std::uint64_t{0}),
               number(latency.totalMicroseconds) / 1e6);
  return family;
}

/// By name, all revisions together; at most kMostImagesInMetrics.
MetricFamilies imageMetrics(const std::vector<BlockFigures::Image>& images) {
  std::map<std::string, BlockFigures::Image> byName;
  for (const auto& image : images) {
    auto& sum = byName[image.image.name];
    sum.clients += image.clients;
    sum.bytes += image.bytes;
  }
  std::vector<std::pair<std::string, BlockFigures::Image>> most(byName.begin(), byName.end());
  std::ranges::sort(most, [](const auto& left, const auto& right) {
    return std::tie(right.second.bytes, left.first) < std::tie(left.second.bytes, right.first);
  });
  most.resize(std::min(most.size(), kMostImagesInMetrics));
  auto clients = gaugeFamily("netcow_image_clients",
                             "dnbd3 clients of an image now; only the images served most");
  auto bytes = counterFamily("netcow_image_sent_bytes_total",
                             "Content of an image sent; only the images served most");
  for (const auto& [name, sum] : most) {
    addSample(clients, number(sum.clients), {{"image", name}});
    addSample(bytes, number(sum.bytes), {{"image", name}});
  }
  return {std::move(clients), std::move(bytes)};
}

prometheus::MetricFamily uploadsByState(const UploadFigures& figures) {
  auto family = gaugeFamily("netcow_uploads", "Uploads in each state, also those that ended");
  for (const auto& [state, count] : figures.sessions) {
    addSample(family, number(count), {{"state", toLowerCase(stateName(state))}});
  }
  return family;
}

prometheus::MetricFamily updatesByResult(const UploadCounts& counts) {
  auto family = counterFamily("netcow_updates_total", "Updates of clusters by what became of them");
  addSample(family, number(counts.updates - std::min(counts.updates, counts.supersededUpdates)),
            {{"result", "kept"}});
  addSample(family, number(counts.supersededUpdates), {{"result", "superseded"}});
  addSample(family, number(counts.refusedUpdates), {{"result", "refused"}});
  addSample(family, number(counts.updatesWithoutRoom), {{"result", "no_room"}});
  addSample(family, number(counts.failedUpdates), {{"result", "failed"}});
  return family;
}

prometheus::MetricFamily updateDurations(const UpdateLatencies& latencies) {
  auto family = histogramFamily("netcow_update_duration_seconds",
                                "From an update to when it survives a power cut");
  addHistogram(family, UpdateLatencies::kBounds, latencies.counts, latencies.count,
               latencies.seconds);
  return family;
}

prometheus::MetricFamily mergesByResult(const UploadCounts& counts) {
  auto family = counterFamily("netcow_merges_total", "Merges that ended, by how");
  addSample(family, number(counts.mergesDone), {{"result", "done"}});
  addSample(family, number(counts.mergesFailed), {{"result", "failed"}});
  addSample(family, number(counts.mergesCancelled), {{"result", "cancelled"}});
  return family;
}

}  // namespace

MetricFamilies blockMetrics(const BlockFigures& figures) {
  MetricFamilies families = {
      gauge("netcow_dnbd3_clients", "dnbd3 clients now", number(figures.clients)),
      counter("netcow_dnbd3_clients_accepted_total", "dnbd3 clients that came",
              number(figures.acceptedClients)),
      counter("netcow_dnbd3_clients_refused_total",
              "dnbd3 clients that were refused because there were too many",
              number(figures.refusedClients)),
      counter("netcow_dnbd3_clients_dropped_total",
              "dnbd3 clients that were dropped: silent, or broke the protocol",
              number(figures.droppedClients)),
      counter("netcow_dnbd3_requests_total", "Requests of dnbd3 clients", number(figures.requests)),
      counter("netcow_dnbd3_errors_total", "Requests for blocks that were not answered with them",
              number(figures.errors)),
      counter("netcow_dnbd3_sent_bytes_total", "Content of images sent", number(figures.bytes)),
      replyDurations(figures.latency),
  };
  std::ranges::move(imageMetrics(figures.images), std::back_inserter(families));
  return families;
}

MetricFamilies uploadMetrics(const UploadFigures& figures) {
  const UploadCounts& counts = figures.counts;
  return {
      uploadsByState(figures),
      updatesByResult(counts),
      counter("netcow_update_bytes_total", "Bytes in updates that were kept",
              number(counts.updateBytes)),
      updateDurations(counts.latencies),
      counter("netcow_update_commits_total", "Times that updates were made durable together",
              number(counts.commits)),
      gauge("netcow_merges_waiting", "Merges in the queue", number(figures.mergesWaiting)),
      gauge("netcow_merges_running", "Merges that run", number(figures.mergesRunning)),
      mergesByResult(counts),
      counter("netcow_merge_seconds_total", "Time that merges took", counts.mergeSeconds),
      gauge("netcow_state_disk_free_bytes", "Free on the disk with the uploads",
            number(figures.freeBytes)),
      gauge("netcow_state_disk_reserved_bytes", "Of the free bytes, what uploads do not use",
            number(figures.reservedBytes)),
  };
}

std::string metricsText(const MetricFamilies& families) {
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return text.str();
}

}  // namespace netcow
