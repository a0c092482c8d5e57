// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "base/unique_function.h"
#include "base/wake_up.h"
#include "format/dnbd3_messages.h"
#include "source/dnbd3/pending_requests.h"
#include "source/dnbd3/round_trip.h"
#include "source/dnbd3/silence_watch.h"

namespace netcow {

/// Takes reads from any thread and brings them to whichever server is connected.
///
/// Who sends: the thread that adds a read, unless another is sending already: that one takes the
/// new read along before it stops. So a lone read leaves without a change of threads, and many at
/// once leave in few system calls. A thread that has more to ask for says so (beginBatch()), and
/// its reads leave when it has said all, or with the next of another thread. Nobody waits for the
/// network: when the socket's buffer is full, what is left goes to the receiver, who calls
/// continueSending() when there is room.
///
/// The receiver is the one thread that calls the methods below "for the receiver" and that
/// receives from the socket. It alone drops a connection, so the memory find() names is its own
/// until it ends the piece or calls detach().
///
/// Nor do readers wake the receiver, who has times to keep: it looks by itself at short intervals
/// while reads come, and is signalled by the first one after a pause.
///
/// The round trip is measured with what goes out while nothing else is due, so that it never
/// counts the time an answer waits behind other answers. A connection that is never idle keeps the
/// last measurement.
///
/// Locks: one, mutex_, never held in a system call or a completion. A sender works on a Link it
/// shares with the channel; if the channel has another Link when it comes back, the connection was
/// dropped meanwhile and what it sent will be sent again by others.
class RequestChannel {
 public:
  /// `receiver` is signalled when continueSending() is needed, or needs() must be looked at; it and
  /// `clock` must outlive the channel. `ioTimeout`: what expire() goes by; nothing: reads wait.
  RequestChannel(WakeUp& receiver, SilenceWatch watch, const Clock& clock,
                 std::optional<std::chrono::milliseconds> ioTimeout = std::nullopt);

  // --- for any thread ---------------------------------------------------------------------

  /// As Source::read, for a range that is inside the image and not empty.
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done);
  /// See Source.
  void beginBatch();
  void endBatch();
  /// Answers every read with EIO from now on.
  void refuseReads();
  /// Reads that are not answered.
  [[nodiscard]] std::size_t readCount() const;
  /// Of the connection in use; nothing before the first measurement.
  [[nodiscard]] std::optional<RoundTrip::Time> roundTrip() const;
  /// The shortest of them.
  [[nodiscard]] std::optional<RoundTrip::Time> shortestRoundTrip() const;

  // --- for the receiver -------------------------------------------------------------------

  /// Sends everything pending, and all that comes, to `socket`, which must be non-blocking.
  /// `measured`: what is known of its round trip.
  void attach(std::shared_ptr<const UniqueFd> socket,
              std::optional<RoundTrip::Time> measured = std::nullopt);
  /// Takes the connection away; what it was asked will be asked again.
  void detach();
  /// Sends a message without a payload, before any other.
  void sendPlain(dnbd3::Command command);
  /// Sends what may go out since answers made room.
  void sendWaiting();
  /// The socket can be written again.
  void continueSending();

  /// How long a server may keep blocks back.
  struct Limits {
    SilenceWatch::Duration lateAfter;   ///< it is late then
    SilenceWatch::Duration blockLimit;  ///< it is given up then
  };
  /// What the receiver's next poll() must look for.
  struct Needs {
    bool room = false;                         ///< continueSending() when the socket can be written
    Clock::Time checkAt;                       ///< look at silence() and expire() then
    std::optional<RoundTrip::Time> roundTrip;  ///< as roundTrip() tells it
  };
  [[nodiscard]] Needs needs(Clock::Time now, const Limits& limits);
  struct Silence {
    bool dead = false;          ///< nothing came for the watch's limit
    bool late = false;          ///< blocks are due, and no part of one came for `lateAfter`
    bool withholds = false;     ///< the same for `blockLimit`, or one was passed over for so long
    bool keepAliveDue = false;  ///< send one
  };
  [[nodiscard]] Silence silence(Clock::Time now, const Limits& limits);
  /// Bytes are there to be received.
  void beginReceiving(Clock::Time now);
  /// They were; `ofBlocks`: a part of a block among them, or that it is refused. Returns whether
  /// blocks are still due.
  bool endReceiving(bool ofBlocks);
  /// Bytes of blocks that the server was asked for and owes.
  [[nodiscard]] std::uint64_t bytesDue() const;

  /// Answers reads that have waited for longer than the time-out with EIO. True if there were any:
  /// places that find() told are wrong then.
  bool expire(Clock::Time now);

  /// A reply without a block has come. False: far more came than were asked for.
  bool takePlainReply(dnbd3::Command command);

  /// See PendingRequests. finish() runs the completion of a read that has ended.
  [[nodiscard]] std::span<std::byte> find(std::uint64_t handle) const;
  void finish(std::uint64_t handle, std::error_code error);
  /// The same for several that have arrived.
  void finish(std::span<const std::uint64_t> handles);
  /// True: keep the piece for another server. False: it has been refused before.
  bool refuse(std::uint64_t handle);
  void failRefused(std::error_code error);
  void failAll(std::error_code error);

 private:
  /// A message that went out when nothing else was due.
  struct Sample {
    std::uint64_t handle = 0;  // of a block; 0: a message without a block
    Clock::Time sentAt;
  };
  /// One connection as its senders see it.
  struct Link {
    std::shared_ptr<const UniqueFd> socket;
    // All below is guarded by the channel's mutex_, except as said.
    bool isSending = false;       // a thread is in sendWaiting(), or the socket is full
    bool isFull = false;          // the receiver must go on when the socket has room
    std::vector<std::byte> left;  // the rest of a batch the socket did not take
    std::vector<dnbd3::RequestHeader> plain;
    std::int64_t plainDue = 0;  // messages without a block that are to be answered
    std::optional<Sample> sample;
    RoundTrip roundTrip;
    // What goes out in one system call; belongs to the thread that set isSending. A few more than
    // blocks can be in flight, for messages without a payload.
    std::array<dnbd3::RequestHeader, PendingRequests::kMaxInFlight + 8> batch;
    std::vector<std::byte> leftBatch;
  };
  /// What to send next; stays valid until the next call for this link. Empty: nothing.
  std::span<const std::byte> fill(Link& link) NETCOW_REQUIRES(mutex_);
  static std::optional<Sample> chooseSample(std::span<const dnbd3::RequestHeader> batch,
                                            Clock::Time now);
  void endSample(std::uint64_t handle) NETCOW_REQUIRES(mutex_);
  [[nodiscard]] Clock::Time nextExpiry(Clock::Time now) NETCOW_REQUIRES(mutex_);
  static void run(std::vector<PendingRequests::Answer> answers);

  WakeUp& receiver_;
  const Clock& clock_;
  const std::optional<std::chrono::milliseconds> ioTimeout_;
  mutable Mutex mutex_;
  PendingRequests pending_ NETCOW_GUARDED_BY(mutex_);
  SilenceWatch watch_ NETCOW_GUARDED_BY(mutex_);
  std::shared_ptr<Link> link_ NETCOW_GUARDED_BY(mutex_);            // null: no connection
  std::vector<std::thread::id> inBatch_ NETCOW_GUARDED_BY(mutex_);  // as many as workers, at most
  bool refusesReads_ NETCOW_GUARDED_BY(mutex_) = false;
  // The next read must wake the receiver.
  bool receiverSleeps_ NETCOW_GUARDED_BY(mutex_) = false;
  Clock::Time expiryCheckAt_ NETCOW_GUARDED_BY(mutex_);      // no read expires before
  Clock::Time passedOverCheckAt_ NETCOW_GUARDED_BY(mutex_);  // looks at all of them cost time
  bool passedOver_ NETCOW_GUARDED_BY(mutex_) = false;        // as the last look found it
  Clock::Time receivedAt_;  // the receiver's own: when what it looks at now was there
};

}  // namespace netcow
