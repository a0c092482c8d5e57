// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "support/scripted_http_server.h"
#include "upload/fake_upload_service.h"
#include "upload/uploader.h"
#include "upload/uploading_session.h"

namespace netcow::test {

/// A session, a server and an uploader between them. Time stands still but for passTime() and
/// finish().
class UploaderTest : public testing::Test {
 protected:
  UploaderTest() {
    options.prefix.emplace(service.url());
    options.jitter = Jitter([] { return 0.5; });
    options.onMergeState = [this](MergeState state) { mergeStates.push_back(state); };
    options.statusSink = [this](const std::string& text) {
      const MutexLock lock(mutex_);
      lastStatus_ = text;
      ++reports_;
    };
  }

  void start() {
    uploader = std::make_unique<Uploader>(local.session(), options, local.clock());
    uploader->start();
  }

  /// Lets `time`, at least five seconds, and then five more pass, and returns when the uploader has
  /// started everything that was due after `time`.
  void passTime(std::chrono::seconds time) {
    // In each round it starts what is due, then reports. The round of the first report may have
    // begun before the clock moved, that of the second has not.
    for (const auto step : {time, std::chrono::seconds(5)}) {
      const int before = reports();
      local.clock().advance(step);
      uploader->wake();
      ASSERT_TRUE(service.waitFor([&] { return reports() > before; }));
    }
  }

  /// Begins the end; time passes from now on until it has come.
  std::future<UploadOutcome> beginToFinish() {
    return std::async(std::launch::async, [this] { return uploader->finish(); });
  }
  UploadOutcome waitForEnd(std::future<UploadOutcome>& outcome) {
    while (outcome.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
      local.clock().advance(std::chrono::milliseconds(100));
      uploader->wake();
    }
    return outcome.get();
  }
  UploadOutcome finish() {
    if (!uploader) {
      start();
    }
    auto outcome = beginToFinish();
    return waitForEnd(outcome);
  }

  /// The server gets this many answers of `reply`'s making to `call`, then behaves well.
  void failFirst(const std::string& call, int count, std::function<void(HttpReply&)> change) {
    auto left = std::make_shared<std::atomic<int>>(count);
    service.setScript([=](const HttpRequest& request, HttpReply& reply) {
      if (callOf(request) == call && left->fetch_sub(1) > 0) {
        change(reply);
      }
    });
  }

  [[nodiscard]] int reports() {
    const MutexLock lock(mutex_);
    return reports_;
  }
  /// A value of the last status text.
  [[nodiscard]] std::string status(const std::string& key) {
    const MutexLock lock(mutex_);
    const auto at = lastStatus_.find("\n" + key + "=");
    if (at == std::string::npos) {
      return "missing";
    }
    const auto begin = at + key.size() + 2;
    return lastStatus_.substr(begin, lastStatus_.find('\n', begin) - begin);
  }
  void expectServerHasEverything() {
    EXPECT_TRUE(service.bodies() == local.expectedBodies()) << "bodies on the server differ";
    EXPECT_EQ(local.dirtyClusters(), 0U);
  }

  UploadingSession local{FakeUploadService::kUuid};
  FakeUploadService service;
  UploadOptions options;
  std::vector<MergeState> mergeStates;

 private:
  Mutex mutex_;
  std::string lastStatus_ NETCOW_GUARDED_BY(mutex_);
  int reports_ NETCOW_GUARDED_BY(mutex_) = 0;

 protected:
  std::unique_ptr<Uploader> uploader;  // last: its thread uses the rest
};

}  // namespace netcow::test
