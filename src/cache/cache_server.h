// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "base/wake_up.h"
#include "source/source.h"

namespace netcow {

/// Serves other mounts of the host from a source that is cached, so that a block is fetched and
/// kept once. One thread does all; no client can hold up another, or the source: what a client does
/// not take waits in memory, at most kMostPerClient bytes, and no more is asked for it meanwhile.
class CacheServer {
 public:
  static constexpr std::uint64_t kMostPerClient = std::uint64_t{16} << 20U;  ///< bytes
  static constexpr std::size_t kMostClients = 64;
  /// The longest read that is served.
  static constexpr std::uint32_t kLongestRead = std::uint32_t{1} << 20U;

  /// `source` must outlive the server. Throws std::system_error.
  CacheServer(const std::string& folder, Source& source);
  /// Closes all connections. Reads that the source still has are dropped when they end.
  ~CacheServer();
  CacheServer(const CacheServer&) = delete;
  CacheServer& operator=(const CacheServer&) = delete;

 private:
  class Client;
  void run();
  void accept();

  Source& source_;
  const UniqueFd listener_;
  /// Also in the hands of completions.
  const std::shared_ptr<WakeUp> wakeUp_ = std::make_shared<WakeUp>();
  std::vector<std::shared_ptr<Client>> clients_;  // of the thread
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace netcow
