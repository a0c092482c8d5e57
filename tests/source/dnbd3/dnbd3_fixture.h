// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "base/errors.h"
#include "base/logging.h"
#include "source/dnbd3/dnbd3_source.h"
#include "support/scripted_dnbd3_server.h"

namespace netcow::test {

/// The byte at `offset` of every image in these tests.
inline std::byte patternAt(std::uint64_t offset) {
  const std::uint64_t mixed = (offset / 8 + 1) * 0x9E3779B97F4A7C15U;
  return static_cast<std::byte>(mixed >> (offset % 8 * 8) & 0xFFU);
}

inline void fillPattern(std::uint64_t offset, std::span<std::byte> buffer) {
  for (std::size_t i = 0; i < buffer.size(); ++i) {
    buffer[i] = patternAt(offset + i);
  }
}

/// Whether `buffer` holds what the image has at `offset`.
inline bool matchesPattern(std::span<const std::byte> buffer, std::uint64_t offset) {
  for (std::size_t i = 0; i < buffer.size(); ++i) {
    if (buffer[i] != patternAt(offset + i)) {
      return false;
    }
  }
  return true;
}

/// A read under way: wait() returns its errno value, 0 for success.
class PendingRead {
 public:
  PendingRead(Source& source, std::size_t size, std::uint64_t offset)
      : state_(std::make_shared<State>()), offset_(offset) {
    state_->buffer.resize(size);
    // The completion holds the buffer too: a test that failed may end before its reads.
    source.read(state_->buffer, offset, [state = state_](std::error_code error) {
      state->result.set_value(toErrno(error));
    });
  }

  /// -1 if it was not answered within a minute.
  int wait() {
    auto result = state_->result.get_future();
    const auto ready = result.wait_for(std::chrono::seconds(60));
    return ready == std::future_status::ready ? result.get() : -1;
  }
  [[nodiscard]] bool matches() const { return matchesPattern(state_->buffer, offset_); }

 private:
  struct State {
    std::vector<std::byte> buffer;
    std::promise<int> result;
  };
  std::shared_ptr<State> state_;
  std::uint64_t offset_;
};

/// Servers of one image, and sources that read from them, with short times.
class Dnbd3Fixture : public testing::Test {
 protected:
  static constexpr std::uint64_t kSize = std::uint64_t{64} << 20U;
  using Server = ScriptedDnbd3Server;

  Dnbd3Fixture() {
    // Every cut connection is a warning.
    spdlog::set_level(spdlog::level::err);
    options_.image = image_;
    options_.timing.firstRetryDelay = std::chrono::milliseconds(1);
    options_.timing.longestRetryDelay = std::chrono::milliseconds(20);
  }
  std::unique_ptr<Server> makeServer(Dnbd3Script script = {}) {
    return std::make_unique<Server>(image_, kSize, fillPattern, std::move(script));
  }
  std::unique_ptr<Source> connect(const std::vector<const Server*>& servers) {
    options_.hosts.clear();
    for (const Server* server : servers) {
      options_.hosts.push_back(server->host());
    }
    return connectDnbd3(options_);
  }
  /// Whether a read gives the right bytes.
  static testing::AssertionResult reads(Source& source, std::size_t size, std::uint64_t offset) {
    PendingRead read(source, size, offset);
    const int error = read.wait();
    if (error != 0) {
      return testing::AssertionFailure() << "error " << error << "\n" << source.statusText();
    }
    return read.matches() ? testing::AssertionSuccess()
                          : testing::AssertionFailure() << "wrong bytes";
  }

  const ImageName image_{"lab/test", 3};
  Dnbd3Options options_;
};

}  // namespace netcow::test
