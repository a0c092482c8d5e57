// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/metrics.h"

#include <gmock/gmock.h>

#include <ctime>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "server/metrics/process_metrics.h"
#include "server/metrics/server_metrics.h"

namespace netcow {
namespace {

using std::chrono::milliseconds;
using testing::SizeIs;

/// A text of metrics, read as strictly as Prometheus does and a little more.
struct ParsedMetrics {
  std::map<std::string, std::string> types;  // by family
  std::map<std::string, double> samples;     // by name and labels as they stand in the text

  explicit ParsedMetrics(const std::string& text) {
    std::istringstream lines(text);
    std::set<std::string> helps;
    for (std::string line; std::getline(lines, line);) {
      std::smatch match;
      if (std::regex_match(line, match, std::regex("# HELP ([a-z_0-9]+) (.+)"))) {
        EXPECT_TRUE(helps.insert(match[1]).second) << line;
      } else if (std::regex_match(line, match,
                                  std::regex("# TYPE ([a-z_0-9]+) (counter|gauge|histogram)"))) {
        EXPECT_TRUE(helps.contains(match[1])) << line;
        EXPECT_TRUE(types.emplace(match[1], match[2]).second) << line;
        EXPECT_EQ(match[2] == "counter", match[1].str().ends_with("_total")) << line;
      } else if (std::regex_match(line, match, sample())) {
        EXPECT_TRUE(types.contains(familyOf(match[1]))) << line;
        EXPECT_TRUE(samples.emplace(match[1].str() + match[2].str(), std::stod(match[3])).second)
            << line;
      } else {
        ADD_FAILURE() << "not a line of metrics: " << line;
      }
    }
  }

  double operator[](const std::string& name) const {
    const auto found = samples.find(name);
    return found != samples.end() ? found->second : -1;
  }

 private:
  static const std::regex& sample() {
    static const std::regex kSample(
        R"RE(([a-z_0-9]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? ([-+0-9.e]+|\+Inf))RE");
    return kSample;
  }
  [[nodiscard]] std::string familyOf(const std::string& name) const {
    for (const std::string part : {"_bucket", "_sum", "_count"}) {
      const std::string family = name.substr(0, name.size() - std::min(name.size(), part.size()));
      if (name.ends_with(part) && types.contains(family)) {
        return family;
      }
    }
    return name;
  }
};

ParsedMetrics parsed(const MetricFamilies& families) {
  return ParsedMetrics(metricsText(families));
}

TEST(Metrics, TheWholeAnswerCanBeRead) {
  UploadFigures uploads;
  for (const UploadState state : kAllUploadStates) {
    uploads.sessions[state] = 1;
  }
  HttpStatistics http;
  http.answered("/", 200, milliseconds(1));
  const HttpResponse response = tellMetrics({}, uploads, http);
  EXPECT_EQ(response.contentType, "text/plain; version=0.0.4; charset=utf-8");
  const ParsedMetrics metrics(response.body);
  EXPECT_EQ(metrics["netcow_dnbd3_clients"], 0);
  EXPECT_EQ(metrics["netcow_uploads{state=\"active\"}"], 1);
  EXPECT_GT(metrics["process_resident_memory_bytes"], 0);
}

TEST(Metrics, TellsOfDnbd3) {
  BlockFigures figures;
  figures.clients = 3;
  figures.bytes = 4096;
  figures.latency.counts[0] = 2;      // at most 50 us
  figures.latency.counts[1] = 1;      // at most 100 us
  figures.latency.counts.back() = 4;  // longer than any bound
  figures.latency.totalMicroseconds = 1'500'000;
  const ParsedMetrics metrics = parsed(blockMetrics(figures));
  EXPECT_EQ(metrics["netcow_dnbd3_clients"], 3);
  EXPECT_EQ(metrics["netcow_dnbd3_sent_bytes_total"], 4096);
  EXPECT_EQ(metrics["netcow_dnbd3_reply_duration_seconds_bucket{le=\"5e-05\"}"], 2);
  EXPECT_EQ(metrics["netcow_dnbd3_reply_duration_seconds_bucket{le=\"0.0001\"}"], 3);
  EXPECT_EQ(metrics["netcow_dnbd3_reply_duration_seconds_bucket{le=\"+Inf\"}"], 7);
  EXPECT_EQ(metrics["netcow_dnbd3_reply_duration_seconds_count"], 7);
  EXPECT_EQ(metrics["netcow_dnbd3_reply_duration_seconds_sum"], 1.5);
}

TEST(Metrics, SumsUpTheRevisionsOfAnImageAndEscapesItsName) {
  BlockFigures figures;
  const std::string name = "a\"b\\c\nd{}";
  figures.images = {{.image = {name, 1}, .clients = 1, .requests = 0, .bytes = 10},
                    {.image = {name, 2}, .clients = 2, .requests = 0, .bytes = 20}};
  const ParsedMetrics metrics = parsed(blockMetrics(figures));
  EXPECT_EQ(metrics[R"(netcow_image_clients{image="a\"b\\c\nd{}"})"], 3);
  EXPECT_EQ(metrics[R"(netcow_image_sent_bytes_total{image="a\"b\\c\nd{}"})"], 30);
}

TEST(Metrics, HasABoundedNumberOfSeriesWhateverThereIs) {
  BlockFigures figures;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    figures.images.push_back(
        {.image = {"image" + std::to_string(i), 1}, .clients = 0, .requests = 0, .bytes = i});
  }
  const ParsedMetrics metrics = parsed(blockMetrics(figures));
  EXPECT_EQ(metrics["netcow_image_sent_bytes_total{image=\"image999\"}"], 999);
  EXPECT_EQ(metrics["netcow_image_sent_bytes_total{image=\"image900\"}"], 900);
  EXPECT_EQ(metrics["netcow_image_sent_bytes_total{image=\"image899\"}"], -1);

  HttpStatistics http;
  for (int i = 0; i < 1000; ++i) {
    http.answered("/nonsense" + std::to_string(i), static_cast<unsigned>(i), milliseconds(1));
    http.answered("/v1/file/" + std::to_string(i), 404, milliseconds(1));
    http.answered("/page/" + std::to_string(i), 404, milliseconds(1));
  }
  const auto families = http.families();
  EXPECT_THAT(families[0].metric, SizeIs(testing::Le(7U)));
  EXPECT_THAT(families[1].metric, SizeIs(2));
}

TEST(Metrics, TellsOfUploads) {
  UploadFigures figures;
  figures.sessions[UploadState::merging] = 2;
  figures.mergesWaiting = 1;
  figures.counts.updates = 10;
  figures.counts.supersededUpdates = 3;
  figures.counts.mergesFailed = 4;
  figures.counts.mergeSeconds = 2.5;
  figures.counts.latencies.counts[2] = 6;  // at most 5 ms
  figures.counts.latencies.count = 7;      // one took longer than any bound
  const ParsedMetrics metrics = parsed(uploadMetrics(figures));
  EXPECT_EQ(metrics["netcow_uploads{state=\"merging\"}"], 2);
  EXPECT_EQ(metrics["netcow_merges_waiting"], 1);
  EXPECT_EQ(metrics["netcow_updates_total{result=\"kept\"}"], 7);
  EXPECT_EQ(metrics["netcow_updates_total{result=\"superseded\"}"], 3);
  EXPECT_EQ(metrics["netcow_merges_total{result=\"failed\"}"], 4);
  EXPECT_EQ(metrics["netcow_merge_seconds_total"], 2.5);
  EXPECT_EQ(metrics["netcow_update_duration_seconds_bucket{le=\"0.0025\"}"], 0);
  EXPECT_EQ(metrics["netcow_update_duration_seconds_bucket{le=\"10\"}"], 6);
  EXPECT_EQ(metrics["netcow_update_duration_seconds_bucket{le=\"+Inf\"}"], 7);
}

TEST(Metrics, CountsHttpByCallAndStatus) {
  HttpStatistics http;
  http.answered("/v1/file/update", 200, milliseconds(3));
  http.answered("/v1/file/update", 204, milliseconds(60'000));
  http.answered("/v1/file/update", 507, milliseconds(1));
  http.answered("/api/v1/overview", 200, milliseconds(1));
  const ParsedMetrics metrics = parsed(http.families());
  EXPECT_EQ(metrics[R"(netcow_http_requests_total{call="update",code="2xx"})"], 2);
  EXPECT_EQ(metrics[R"(netcow_http_requests_total{call="update",code="5xx"})"], 1);
  EXPECT_EQ(metrics[R"(netcow_http_requests_total{call="page",code="2xx"})"], 1);
  const std::string bucket = "netcow_http_request_duration_seconds_bucket{call=\"update\",le=";
  EXPECT_EQ(metrics[bucket + "\"0.001\"}"], 1);
  EXPECT_EQ(metrics[bucket + "\"0.005\"}"], 2);
  EXPECT_EQ(metrics[bucket + "\"30\"}"], 2);
  EXPECT_EQ(metrics[bucket + "\"+Inf\"}"], 3);
}

TEST(Metrics, TellsOfTheProcess) {
  const ParsedMetrics metrics = parsed(processMetrics());
  EXPECT_GT(metrics["process_cpu_seconds_total"], 0);
  EXPECT_GT(metrics["process_resident_memory_bytes"], 1'000'000);
  EXPECT_GT(metrics["process_virtual_memory_bytes"], metrics["process_resident_memory_bytes"]);
  EXPECT_GE(metrics["process_open_fds"], 3);
  EXPECT_GT(metrics["process_max_fds"], metrics["process_open_fds"]);
  EXPECT_GE(metrics["process_threads"], 1);
  const double age =
      static_cast<double>(std::time(nullptr)) - metrics["process_start_time_seconds"];
  EXPECT_GT(age, -10);  // boot time is known in whole seconds
  EXPECT_LT(age, 3'600);
}

}  // namespace
}  // namespace netcow
