// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <vector>

#include "base/clock.h"
#include "base/unique_function.h"
#include "format/dnbd3_messages.h"

namespace netcow {

/// The reads that are not answered yet, and which parts of them a server has been asked for.
/// Bookkeeping only: no lock (its owner has one), no socket.
///
/// A read waits in a queue and is cut, from its front, into pieces: one GET_BLOCK each, at most
/// kLargestPiece bytes. A piece holds one of kMaxInFlight slots from when it is cut until it is
/// answered, so a server never has more of them to do. When a connection is lost its pieces become
/// unsent and go out again before anything new.
///
///     queue --takeUnsent--> sent --finish--> answered
///                          / |  ^
///                  expire /  |  | takeUnsent
///                        v   v  |
///               abandoned   unsent / refused   (by sendAgain / refuse)
///
/// A read that expires is answered at once and its buffer is never written again. What a server was
/// asked for it still holds its slots, as abandoned, until the answers come: they go to memory
/// nobody looks at.
///
/// Guarantees: each read is answered exactly once, when its last piece is; a handle is never used
/// twice, so that an answer which comes too late or twice is known as such. Nothing is allocated
/// per request once the pool has grown.
class PendingRequests {
 public:
  static constexpr std::size_t kMaxInFlight = 200;
  static constexpr std::uint32_t kLargestPiece = 256 * 1024;

  /// A read that has ended: the owner calls done(error), without its lock.
  struct Answer {
    Completion done;
    std::error_code error;
  };

  PendingRequests();
  PendingRequests(const PendingRequests&) = delete;
  PendingRequests& operator=(const PendingRequests&) = delete;

  /// Puts a read at the end of the queue. `buffer` must not be empty. `asked` counts for expire().
  void add(std::span<std::byte> buffer, std::uint64_t offset, Completion done,
           Clock::Time asked = {});

  /// Whether takeUnsent() would find something.
  [[nodiscard]] bool hasUnsent() const {
    return !unsentSlots_.empty() || (queueFront_ != nullptr && !unusedSlots_.empty());
  }
  /// Writes the requests that may go out now to the front of `batch` and counts them as sent at
  /// `now`.
  std::size_t takeUnsent(std::span<dnbd3::RequestHeader> batch, Clock::Time now);

  /// Where the payload of the piece goes that was sent as `handle`; empty if there is none. For an
  /// abandoned piece that is memory which all of them share.
  [[nodiscard]] std::span<std::byte> find(std::uint64_t handle) const;

  /// The piece sent as `handle` (find() knows it) has ended. Returns its read if that has ended
  /// now; nothing for an abandoned piece.
  std::optional<Answer> finish(std::uint64_t handle, std::error_code error);

  /// The server refused a piece that find() knows. True: keep it for another server, until
  /// sendAgain() or failRefused(). False: it was refused before, or is abandoned; finish() it.
  bool refuse(std::uint64_t handle);

  /// The connection is gone: everything sent or refused must go out again.
  void sendAgain();
  /// No other server was found: ends the refused pieces with `error`.
  std::vector<Answer> failRefused(std::error_code error);
  /// Ends every read with `error`.
  std::vector<Answer> failAll(std::error_code error);

  /// Ends every read that was asked at `until` or before with `error`.
  std::vector<Answer> expire(Clock::Time until, std::error_code error);
  /// When the oldest read that is not answered was asked; nothing if there is none.
  [[nodiscard]] std::optional<Clock::Time> oldestAsked() const;

  /// How much later than the piece that waits longest something was sent that is answered: how
  /// long that piece has been passed over. Zero if none has. In the order of a server that answers
  /// one after the other this stays zero, however slow it is.
  [[nodiscard]] Clock::Time::duration passedOver() const;

  [[nodiscard]] std::size_t sentCount() const { return sentCount_; }  ///< pieces due for an answer
  [[nodiscard]] std::uint64_t sentBytes() const { return sentBytes_; }  ///< bytes of these
  [[nodiscard]] std::size_t readCount() const { return readCount_; }    ///< reads not answered

 private:
  struct Read {
    Completion done;
    std::byte* buffer = nullptr;
    std::uint64_t offset = 0;
    Clock::Time asked;
    std::size_t length = 0;
    std::size_t cut = 0;     // bytes of it that became pieces
    std::size_t pieces = 0;  // of them not answered
    std::error_code error;   // the first of any piece
    Read* next = nullptr;    // in the queue or in the free list
  };
  enum class State : std::uint8_t { unused, unsent, sent, refused, abandoned };
  struct Slot {
    Read* read = nullptr;  // null: abandoned
    std::byte* buffer = nullptr;
    std::uint64_t offset = 0;
    std::uint64_t handle = 0;  // of the last time it was sent
    Clock::Time sentAt;        // the last time
    std::uint32_t size = 0;
    State state = State::unused;
    bool wasRefused = false;
  };
  using SlotNumber = std::uint8_t;
  static_assert(kMaxInFlight <= 256, "the low byte of a handle is the number of its slot");

  dnbd3::RequestHeader send(SlotNumber number, Clock::Time now);
  SlotNumber cutPiece();
  void popQueue();
  /// No answer to it can come any more.
  void freeSlot(Slot& slot, SlotNumber number);
  /// Its read ends without it.
  void abandon(Slot& slot, SlotNumber number);
  std::optional<Answer> endPiece(Slot& slot, SlotNumber number, std::error_code error);
  Answer endRead(Read& read);
  template <class Condition>
  std::vector<Answer> failSlots(Condition condition, std::error_code error);

  std::array<Slot, kMaxInFlight> slots_;
  std::vector<SlotNumber> unusedSlots_;
  std::vector<SlotNumber> unsentSlots_;  // the one to send next is at the back
  Read* queueFront_ = nullptr;           // reads not wholly cut; only the front may have pieces
  Read* queueBack_ = nullptr;
  Read* freeReads_ = nullptr;
  std::vector<std::unique_ptr<Read>> pool_;  // owns every Read
  std::uint64_t sendings_ = 0;               // so far; makes handles unique
  std::size_t sentCount_ = 0;
  std::uint64_t sentBytes_ = 0;
  std::size_t readCount_ = 0;
  Clock::Time newestAnswered_;      // when the youngest piece was sent that was answered
  std::vector<std::byte> scratch_;  // takes what comes for abandoned pieces; made when needed
};

}  // namespace netcow
