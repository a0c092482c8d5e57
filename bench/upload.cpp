// SPDX-License-Identifier: Apache-2.0
//
// How fast a session is uploaded, and what it costs to know what to upload.
//
//   build/release/bench/upload_bench [--clusters N] [--blocks N] [--rounds N] [--dirty N]
//
// 1. Throughput: the final pass of an uploader, and in turns with it the same libcurl that posts
//    the same bodies from memory, each from its own as in life, ten at a time, to the same server
//    (in this process: it takes bodies and forgets them). Only the ratio of rounds that alternate
//    means anything.
// 2. Scheduling: everything the uploader asks of queue and schedule for N dirty clusters, as a part
//    of the time that their upload takes.
#include <curl/curl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <deque>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/logging.h"
#include "session/session.h"
#include "support/scripted_http_server.h"
#include "support/temporary_directory.h"
#include "upload/uploader.h"

namespace netcow {
namespace {

using Seconds = std::chrono::duration<double>;

struct Settings {
  std::uint64_t clusters = 800;
  std::uint64_t blocks = kBlocksPerCluster;  ///< local ones in each cluster
  int rounds = 7;
  std::uint64_t dirty = 100'000;
  bool merge = true;
};

Seconds timeOf(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::steady_clock::now() - begin;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

std::unique_ptr<Session> makeSession(const std::string& directory, std::uint64_t clusters,
                                     std::uint64_t blocks) {
  NewSession settings;
  settings.imageName = "image";
  settings.uploadUuid = "0";
  settings.baseSize = clusters * kClusterSize;
  auto session = Session::create(directory, settings);
  std::vector<std::byte> content(blocks * kBlockSize, std::byte{'x'});
  for (std::uint64_t cluster = 0; cluster < clusters; ++cluster) {
    content.front() = static_cast<std::byte>(cluster);
    if (session->write(content, cluster * kClusterSize)) {
      throw std::runtime_error("cannot write to the session");
    }
  }
  if (session->checkpoint()) {
    throw std::runtime_error("cannot make the session durable");
  }
  return session;
}

/// All bodies, ten at a time, as plainly as libcurl can.
class PlainPosts {
 public:
  PlainPosts(std::string url, std::vector<std::string> bodies)
      : url_(std::move(url)), bodies_(std::move(bodies)) {}
  ~PlainPosts() {
    curl_multi_cleanup(multi_);
    curl_slist_free_all(headers_);
  }
  PlainPosts(const PlainPosts&) = delete;
  PlainPosts& operator=(const PlainPosts&) = delete;

  void run() {
    std::uint64_t begun = 0;
    std::uint64_t ended = 0;
    while (ended < bodies_.size()) {
      for (; begun < bodies_.size() && begun - ended < 10; ++begun) {
        start(begun);
      }
      int running = 0;
      curl_multi_perform(multi_, &running);
      const std::uint64_t before = ended;
      int left = 0;
      while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->data.result != CURLE_OK) {
          throw std::runtime_error(curl_easy_strerror(message->data.result));
        }
        CURL* const handle = message->easy_handle;
        curl_multi_remove_handle(multi_, handle);
        curl_easy_cleanup(handle);
        ++ended;
      }
      if (ended == before) {  // else there is something to begin, or nothing to wait for
        curl_multi_poll(multi_, nullptr, 0, 1000, nullptr);
      }
    }
  }

 private:
  void start(std::uint64_t cluster) {
    CURL* const handle = curl_easy_init();
    const std::string url = url_ + "?uuid=0&clusterindex=" + std::to_string(cluster);
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers_);
    const std::string& body = bodies_.at(cluster);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(
        handle, CURLOPT_WRITEFUNCTION,
        +[](char*, std::size_t size, std::size_t n, void*) { return size * n; });
    curl_multi_add_handle(multi_, handle);
  }

  const std::string url_;
  const std::vector<std::string> bodies_;
  // Else the server would take bodies for forms.
  curl_slist* const headers_ = curl_slist_append(nullptr, "Content-Type: application/octet-stream");
  CURLM* multi_ = curl_multi_init();
};

void makeAllDirty(Session& session, int round) {
  // Another upload holds nothing: everything is to be sent.
  if (session.setUploadUuid(std::to_string(round), true) || session.checkpoint()) {
    throw std::runtime_error("cannot begin a round");
  }
}

/// Runs `work`, in which so many bytes must arrive at the server.
double timeOfSending(std::uint64_t bytes, std::atomic<std::uint64_t>& arrived,
                     const std::function<void()>& work) {
  arrived = 0;
  const double seconds = timeOf(work).count();
  if (arrived != bytes) {
    throw std::runtime_error("not all, or too much, was sent");
  }
  return seconds;
}

void compareThroughput(const Settings& settings, const std::string& url,
                       std::atomic<std::uint64_t>& arrived) {
  const test::TemporaryDirectory directory;
  const auto session = makeSession(directory / "session", settings.clusters, settings.blocks);
  const std::size_t size = 40 + settings.blocks * kBlockSize;
  PlainPosts plain(url + "/v1/file/update",
                   std::vector<std::string>(settings.clusters, std::string(size, 'x')));
  std::vector<double> ratios;
  for (int round = 0; round <= settings.rounds; ++round) {
    makeAllDirty(*session, round);
    const std::uint64_t all = size * settings.clusters;
    const double memory = timeOfSending(all, arrived, [&] { plain.run(); });
    UploadOptions options;
    options.prefix.emplace(url);
    options.merge = settings.merge;
    Uploader uploader(*session, std::move(options));
    UploadOutcome outcome;
    const double netcow = timeOfSending(all, arrived, [&] { outcome = uploader.finish(); });
    if (outcome.status != ExitStatus::done) {
      throw std::runtime_error(outcome.message);
    }
    if (round > 0) {  // the first one warms up
      const double bytes = static_cast<double>(all) / 1e6;
      std::printf("round %d: from memory %.0f MB/s, netcow %.0f MB/s, ratio %.2f\n", round,
                  bytes / memory, bytes / netcow, memory / netcow);
      ratios.push_back(memory / netcow);
    }
  }
  std::printf("throughput, netcow / the same libcurl from memory: %.2f (median of %d)\n",
              median(ratios), settings.rounds);
}

void schedule(const Settings& settings, const std::string& url) {
  const test::TemporaryDirectory directory;
  const auto session = makeSession(directory / "session", settings.dirty, 1);
  UploadRules rules;
  UploadSchedule schedule(rules, Clock::system(), Jitter::random());
  schedule.beginFinalPass();
  std::deque<std::uint64_t> clusters;
  std::uint64_t reports = 0;
  const double alone = timeOf([&] {
                         while (const auto cluster = session->takeDirty(schedule.newestDue())) {
                           static_cast<void>(schedule.mayStart());
                           schedule.started();
                           clusters.push_back(*cluster);
                           static_cast<void>(schedule.takeWaited());
                           static_cast<void>(schedule.wakeAt(session->oldestDirty()));
                           schedule.arrived(*cluster);
                           // A report every five seconds is far less often than this.
                           if (clusters.size() % 1000 == 0) {
                             reports += session->dirtyCounts(schedule.newestDue()).old;
                           }
                         }
                       }).count();
  for (const std::uint64_t cluster : clusters) {
    session->returnDirty(cluster);
  }
  UploadOptions options;
  options.prefix.emplace(url);
  Uploader uploader(*session, std::move(options));
  UploadOutcome outcome;
  const double whole = timeOf([&] { outcome = uploader.finish(); }).count();
  if (outcome.status != ExitStatus::done || reports == 0) {
    throw std::runtime_error(outcome.message);
  }
  std::printf("scheduling %zu dirty clusters of one block: %.3f s of %.1f s, %.2f %%\n",
              clusters.size(), alone, whole, 100 * alone / whole);
}

}  // namespace
}  // namespace netcow

int main(int argc, char** argv) {
  netcow::Settings settings;
  CLI::App app("Compares netcow's uploads with plain libcurl, and tells what scheduling costs");
  app.add_option("--clusters", settings.clusters, "Clusters to upload in a round [800]");
  app.add_option("--blocks", settings.blocks, "Local blocks in each [320]")
      ->check(CLI::Range(std::uint64_t{1}, netcow::kBlocksPerCluster));
  app.add_option("--rounds", settings.rounds, "Rounds [7]");
  app.add_flag("--merge,!--no-merge", settings.merge, "Ask for the merge in the end, as -m [true]");
  app.add_option("--dirty", settings.dirty, "Dirty clusters to schedule [100000], 0: none");
  CLI11_PARSE(app, argc, argv);
  netcow::setUpLogging("", false);
  spdlog::set_level(spdlog::level::warn);
  std::atomic<std::uint64_t> arrived = 0;
  const netcow::test::ScriptedHttpServer server(
      [&arrived](const netcow::test::HttpRequest& request) {
        netcow::test::HttpReply reply;
        if (request.path.ends_with("/update")) {
          reply.taken = [&arrived](const netcow::test::HttpRequest& whole) {
            arrived += whole.body.size();
          };
        } else if (request.path.ends_with("/status")) {
          reply.body = R"({"state":"Done"})";
        }
        return reply;
      });
  netcow::compareThroughput(settings, server.url(), arrived);
  if (settings.dirty > 0) {
    netcow::schedule(settings, server.url());
  }
}
