// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "base/unique_function.h"
#include "base/wake_up.h"
#include "cache/cache_record.h"
#include "format/dnbd3_messages.h"

namespace netcow {

/// Reads through the mount that owns the image's cache, as long as there is one.
///
/// Nobody waits for an owner that is dead, stopped or slow: when it has said nothing for a while
/// although it owes an answer, or closes the connection, all that it was asked is asked of the
/// network, and it is left alone for a while. Then, or at once where it has ended, the client tries
/// to become the owner itself. In the end it does so only when somebody reads: an idle one rests.
///
/// One thread receives; it alone drops a connection and answers what was sent there, so nothing is
/// answered twice, and no buffer is written to after its read was given to the network.
class CacheClient {
 public:
  struct Timing {
    std::chrono::milliseconds silence{1'000};  ///< after that the owner counts as gone
    std::chrono::milliseconds retry{3'000};    ///< between two tries
  };
  struct Hooks {
    /// Reads from the network; as Source::read.
    std::function<void(std::span<std::byte>, std::uint64_t, Completion)> network;
    /// Tries to make this mount the owner. True if it is: then the client is of no use any more.
    std::function<bool()> becomeOwner;
  };
  /// The most that is asked at a time; more goes to the network.
  static constexpr std::size_t kMostReads = 128;

  CacheClient(std::string folder, CacheRecord record, Hooks hooks, Timing timing);
  /// After stop().
  ~CacheClient();
  CacheClient(const CacheClient&) = delete;
  CacheClient& operator=(const CacheClient&) = delete;

  /// Takes over a read, and `done` with it. False, and nothing is taken, if the owner cannot be
  /// asked now.
  bool read(std::span<std::byte> buffer, std::uint64_t offset, Completion& done);
  /// Gives what is pending to the network, and takes nothing any more. Afterwards no completion
  /// runs on the client's thread.
  void stop();
  [[nodiscard]] bool connected() const { return connected_.load(); }

 private:
  struct Pending {
    std::span<std::byte> buffer;
    std::uint64_t offset = 0;
    Completion done;
  };
  using Time = std::chrono::steady_clock::time_point;

  void run();
  bool waitForWish();
  bool connect();
  void serve();
  bool waitReadable(Time limit);
  bool receiveAll(std::span<std::byte> buffer);
  bool receiveReply();
  void disconnect();
  /// Whether the connection is of no use any more, and until when to wait for the owner.
  struct Look {
    bool over;
    Time until;
  };
  Look look();
  bool isAsleep();

  const std::string folder_;
  const CacheRecord record_;
  const Hooks hooks_;
  const Timing timing_;
  WakeUp wakeUp_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> connected_ = false;
  std::atomic<bool> wished_ = true;  ///< somebody read while there was no connection

  Mutex mutex_;  ///< also held while a request is sent, which never waits
  ConditionVariable wish_;
  UniqueFd fd_;  ///< changed by the thread under mutex_, which may read it without
  std::map<std::uint64_t, Pending> pending_ NETCOW_GUARDED_BY(mutex_);
  /// Since when the owner has owed an answer and given none; while something is pending.
  Time owedSince_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t lastHandle_ NETCOW_GUARDED_BY(mutex_) = 0;
  bool broken_ NETCOW_GUARDED_BY(mutex_) = false;  ///< a request could not be sent
  bool asleep_ NETCOW_GUARDED_BY(mutex_) = false;  ///< the thread waits without a limit
  std::thread thread_;
};

}  // namespace netcow
