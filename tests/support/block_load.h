// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/load_client.h"

namespace netcow::test {

/// What came of a load.
struct LoadResult {
  std::uint64_t replies = 0;
  std::uint64_t bytes = 0;
  std::uint64_t leastReplies = 0;  ///< of the client that got the fewest
  std::uint64_t reconnects = 0;
  double seconds = 0;
  std::string wrong;  ///< the first thing that must not have come; empty = all was right
};

/// Many clients of a block server at once, driven by the thread that calls run(). Whoever loses
/// its server comes back until it is there again.
class BlockLoad {
 public:
  /// `options` must outlive this object. Raises the limit of open files if need be.
  explicit BlockLoad(const LoadOptions& options);

  /// Until `duration` is over, stop() was called, or something wrong came.
  LoadResult run(std::chrono::duration<double> duration);

  /// Ends run(). From any thread.
  void stop() { stopped_ = true; }
  /// How many replies all clients have had so far. From any thread.
  [[nodiscard]] std::uint64_t replies() const { return replies_; }
  /// How many clients are connected. From any thread.
  [[nodiscard]] int connected() const { return connected_; }

 private:
  void proceed(std::chrono::milliseconds wait, LoadResult& result);
  void takeLeave(LoadResult& result);
  void connectMissing();
  void watch(LoadClient& client, bool isNew);
  void lose(LoadClient& client);

  UniqueFd epoll_;
  std::vector<std::unique_ptr<LoadClient>> clients_;
  std::vector<LoadClient*> missing_;
  std::vector<std::byte> buffer_;  // for what comes
  std::uint64_t reconnects_ = 0;
  std::atomic<std::uint64_t> replies_ = 0;
  std::atomic<int> connected_ = 0;
  std::atomic<bool> stopped_ = false;
};

}  // namespace netcow::test
