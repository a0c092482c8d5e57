// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <thread>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "source/dnbd3/host_list.h"

namespace netcow::test {

/// What a network between a client and a server does to them. All of it may change at any time and
/// then holds for connections that exist as well.
struct NetworkFaults {
  std::chrono::microseconds delay{0};     ///< each way: half of what it adds to a round trip
  std::uint64_t bytesPerSecond = 0;       ///< each way and connection; 0 = as fast as it goes
  std::chrono::milliseconds cutEvery{0};  ///< a connection so old is cut; 0 = never
  /// A connection is cut when it has carried so many bytes from the server, which may be in the
  /// middle of a reply; 0 = never.
  std::uint64_t cutAfterBytes = 0;
  /// Carries nothing on, as if the server hung: TCP goes on living, and nothing is lost.
  bool silent = false;
  /// The same for a connection that has carried so many bytes from the server; 0 = never.
  std::uint64_t silentAfterBytes = 0;
  /// dnbd3 replies that arrive together leave in random order.
  bool reorder = false;
  std::uint64_t seed = 1;  ///< of that order
  /// Cuts every connection and takes no new one.
  bool down = false;
};

/// A TCP proxy on 127.0.0.1 with a network of its own choice behind it. One thread a connection.
/// Thread-safe.
class FaultProxy {
 public:
  /// Carries to 127.0.0.1:`serverPort`, where nobody need listen yet.
  explicit FaultProxy(std::uint16_t serverPort, NetworkFaults faults = {});
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] Host host() const { return {"127.0.0.1", port_}; }

  /// Returns once every connection works by them, and what it carried before is in the counts.
  void setFaults(const NetworkFaults& faults);
  /// Cuts the connections there are.
  void cut();

  struct Counts {
    std::uint64_t connections = 0;  ///< accepted so far
    std::uint64_t cuts = 0;         ///< ended by a fault
    std::uint64_t fromClient = 0;   ///< bytes taken in
    std::uint64_t toServer = 0;     ///< bytes passed on
    std::uint64_t toClient = 0;     ///< bytes passed on
  };
  [[nodiscard]] Counts counts() const;
  /// Waits until `condition` holds for the counts; false after a minute.
  bool waitUntil(const std::function<bool(const Counts&)>& condition) const;

 private:
  class Connection;
  void accept();
  [[nodiscard]] NetworkFaults faults() const;
  [[nodiscard]] bool allWorkByTheFaults() const NETCOW_REQUIRES(mutex_);
  void count(const std::function<void(Counts&)>& change);

  const std::uint16_t serverPort_;
  UniqueFd listener_;
  UniqueFd stop_;  // an eventfd: written to end accepting
  std::uint16_t port_ = 0;
  mutable Mutex mutex_;
  mutable ConditionVariable counted_;
  NetworkFaults faults_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t faultsVersion_ NETCOW_GUARDED_BY(mutex_) = 1;
  Counts counts_ NETCOW_GUARDED_BY(mutex_);
  std::list<std::unique_ptr<Connection>> connections_ NETCOW_GUARDED_BY(mutex_);
  std::thread accepting_;  // last: it uses all of the above
};

}  // namespace netcow::test
