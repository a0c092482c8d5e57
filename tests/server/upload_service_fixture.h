// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "server/test_files.h"
#include "server/upload_content.h"
#include "server/uploads/refusal.h"
#include "server/uploads/upload_service.h"
#include "support/fake_clock.h"
#include "support/temporary_directory.h"

namespace netcow::test {

/// An upload service over the image `win`, revision 1.
class UploadServiceTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kBaseSize = 3 * 1'310'720;

  UploadServiceTest() {
    writeFile(images_ / "win.r1", base_);
    std::filesystem::create_directory(state_);
    start();
  }
  void start() { service_ = std::make_unique<UploadService>(state_, catalog_, options_, clock_); }
  /// As if the server was killed and started again.
  void restart() {
    service_.reset();
    start();
  }
  /// As a client that waits for the answer.
  void update(const std::string& uuid, std::uint64_t cluster, std::uint64_t sequence,
              const ClusterContent& content) {
    std::promise<std::error_code> durable;
    service_->update(uuid, cluster, sequence, updateBody(content),
                     [&](std::error_code error) { durable.set_value(error); });
    ASSERT_EQ(durable.get_future().get(), std::error_code());
  }
  void send(const std::string& uuid, std::uint64_t cluster, const ClusterContent& content) {
    update(uuid, cluster, ++sequence_, content);
    sent_[cluster] = content;
  }
  UploadRecord waitForEnd(const std::string& uuid) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < limit) {
      const UploadRecord record = service_->status(uuid);
      if (record.state != UploadState::merging) {
        return record;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    throw std::runtime_error("the merge does not end");
  }
  Refusal::Kind refusalOf(const std::function<void()>& call) {
    try {
      call();
    } catch (const Refusal& refusal) {
      return refusal.kind();
    }
    throw std::runtime_error("it was not refused");
  }

  SeededRandom random_;
  TemporaryDirectory directory_;
  const std::filesystem::path images_ = directory_.path() / "images";
  const std::filesystem::path state_ = directory_.path() / "state";
  const Bytes base_ = random_.bytes(kBaseSize);
  std::map<std::uint64_t, ClusterContent> sent_;
  std::atomic<std::uint64_t> sequence_ = 0;
  UploadServiceOptions options_;
  FakeClock clock_;
  ImageCatalog catalog_ = [this] {
    std::filesystem::create_directory(images_);
    return ImageCatalog(images_);
  }();
  std::unique_ptr<UploadService> service_;
};

}  // namespace netcow::test
