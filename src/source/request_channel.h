// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "base/unique_function.h"
#include "format/dnbd3_messages.h"
#include "source/pending_requests.h"
#include "source/silence_watch.h"
#include "source/wake_up.h"

namespace netcow {

/// Takes reads from any thread and brings them to whichever server is connected.
///
/// Who sends: the thread that adds a read, unless another is sending already: that one takes the
/// new read along before it stops. So a lone read leaves without a change of threads, and many at
/// once leave in few system calls. Nobody waits for the network: when the socket's buffer is full,
/// what is left goes to the receiver, who calls continueSending() when there is room.
///
/// The receiver is the one thread that calls the methods below "for the receiver" and that
/// receives from the socket. It alone drops a connection, so the memory find() names is its own
/// until it ends the piece or calls detach().
///
/// Locks: one, mutex_, never held in a system call or a completion. A sender works on a Link it
/// shares with the channel; if the channel has another Link when it comes back, the connection was
/// dropped meanwhile and what it sent will be sent again by others.
class RequestChannel {
 public:
  /// `receiver` is signalled when continueSending() is needed; it and `clock`
  /// must outlive the channel.
  RequestChannel(WakeUp& receiver, SilenceWatch watch, const Clock& clock);

  // --- for any thread ---------------------------------------------------------------------

  /// As Source::read, for a range that is inside the image and not empty.
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done);
  /// Answers every read with EIO from now on.
  void refuseReads();
  /// Reads that are not answered.
  [[nodiscard]] std::size_t readCount() const;

  // --- for the receiver -------------------------------------------------------------------

  /// Sends everything pending, and all that comes, to `socket`, which must be non-blocking.
  void attach(std::shared_ptr<const UniqueFd> socket);
  /// Takes the connection away; what it was asked will be asked again.
  void detach();
  /// Sends a message without a payload, before any other.
  void sendPlain(dnbd3::Command command);
  /// Sends what may go out since answers made room.
  void sendWaiting();
  /// The socket can be written again.
  void continueSending();

  /// What the receiver's next poll() must look for.
  struct Needs {
    bool room = false;    ///< continueSending() when the socket can be written
    Clock::Time checkAt;  ///< look at silence() then
  };
  [[nodiscard]] Needs needs() const;
  enum class Silence { none, keepAliveDue, dead };
  [[nodiscard]] Silence silence(Clock::Time now) const;
  void noteReceived(Clock::Time now);

  /// See PendingRequests. finish() runs the completion of a read that has ended.
  [[nodiscard]] std::span<std::byte> find(std::uint64_t handle) const;
  void finish(std::uint64_t handle, std::error_code error);
  /// True: keep the piece for another server. False: it has been refused before.
  bool refuse(std::uint64_t handle);
  void failRefused(std::error_code error);
  void failAll(std::error_code error);

 private:
  /// One connection as its senders see it.
  struct Link {
    std::shared_ptr<const UniqueFd> socket;
    // All below is guarded by the channel's mutex_, except as said.
    bool isSending = false;       // a thread is in sendWaiting(), or the socket is full
    bool isFull = false;          // the receiver must go on when the socket has room
    std::vector<std::byte> left;  // the rest of a batch the socket did not take
    std::vector<dnbd3::RequestHeader> plain;
    // What goes out in one system call; belongs to the thread that set isSending. A few more than
    // blocks can be in flight, for messages without a payload.
    std::array<dnbd3::RequestHeader, PendingRequests::kMaxInFlight + 8> batch;
    std::vector<std::byte> leftBatch;
  };
  /// What to send next; stays valid until the next call for this link. Empty: nothing.
  std::span<const std::byte> fill(Link& link) NETCOW_REQUIRES(mutex_);
  static void run(std::vector<PendingRequests::Answer> answers);

  WakeUp& receiver_;
  const Clock& clock_;
  mutable Mutex mutex_;
  PendingRequests pending_ NETCOW_GUARDED_BY(mutex_);
  SilenceWatch watch_ NETCOW_GUARDED_BY(mutex_);
  std::shared_ptr<Link> link_ NETCOW_GUARDED_BY(mutex_);  // null: no connection
  bool refusesReads_ NETCOW_GUARDED_BY(mutex_) = false;
};

}  // namespace netcow
