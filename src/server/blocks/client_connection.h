// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "server/blocks/client_protocol.h"
#include "server/blocks/reply_pace.h"

namespace netcow {

/// Memory that a thread lends to the client that it is busy with: no client has any of its own,
/// but for a message that came in part.
struct IoBuffers {
  // As many requests as a queue takes.
  std::vector<std::byte> input =
      std::vector<std::byte>(ReplyQueue::kMost * sizeof(dnbd3::RequestHeader));
  // Small replies leave in sends of up to this size.
  std::vector<std::byte> output = std::vector<std::byte>(std::size_t{256} << 10U);
};

/// One dnbd3 client: moves bytes between its socket and a ClientProtocol, without ever waiting
/// for the client. Used by one thread at a time.
class ClientConnection {
 public:
  /// `socket`: connected, without blocking. `service` must outlive the connection.
  ClientConnection(UniqueFd socket, const BlockService& service);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  /// What the connection waits for.
  enum class Next {
    input,   ///< the client's next request
    output,  ///< room to send; requests are taken meanwhile while wantsInput()
    turn,    ///< nothing: others should have their turn before it goes on
    disk,    ///< a call that may wait for the disk
    end,     ///< nothing any more: it is to be closed
  };
  /// Does what can be done now. `readable`: there may be something to receive. Throws nothing: a
  /// client that cannot be served (no memory, no descriptors) comes to its end.
  Next proceed(IoBuffers& buffers, DiskAccess access, bool readable);
  /// Every thread that calls proceed() calls this before.
  static void prepareThread();

  /// From now on nothing is taken from the client: it ends when its replies have left.
  void takeNoMore() { inputHasEnded_ = true; }
  /// Whether the client may send more before replies have left.
  [[nodiscard]] bool wantsInput() const {
    return !inputHasEnded_ && protocol_.room() >= kLeastRoom;
  }
  [[nodiscard]] bool hasReplies() const { return protocol_.hasReplies(); }

  /// Whether nothing moved for too long: no whole message came and nothing was taken; or, while
  /// replies wait, next to nothing was taken of them, whatever came. A client that selected no
  /// image yet has less time, however it spends it.
  [[nodiscard]] bool isSilent(Clock::Time now, std::chrono::milliseconds longestSilence);
  /// To call before it is closed for cause: what the client did not take is thrown away at once.
  void discardUnsent();

  [[nodiscard]] int socket() const { return socket_.get(); }

 private:
  // What is received never holds more whole messages than the queue has room for.
  static constexpr std::size_t kLeastRoom = 64;
  static_assert(kLeastRoom * sizeof(dnbd3::RequestHeader) > ClientProtocol::kLongestMessage);

  void notePace(Next next);
  Next goOn(IoBuffers& buffers, DiskAccess access, bool readable);
  Next takeRequests(IoBuffers& buffers, DiskAccess access, bool readable, bool& more);
  bool receive(IoBuffers& buffers, std::size_t& length, bool& more);
  Next sendReplies(IoBuffers& buffers, DiskAccess access);
  Next sendGathered(IoBuffers& buffers, DiskAccess access);
  Next sendPiece(const ReplyQueue::FilePiece& piece, DiskAccess access);
  void hasSent(std::size_t length);

  UniqueFd socket_;
  BlockStatistics& statistics_;
  ClientProtocol protocol_;
  std::vector<std::byte> untaken_;  // a message of which a part is missing, or that needs the disk
  bool inputHasEnded_ = false;      // the client sends no more, but may wait for replies
  std::size_t sentThisTurn_ = 0;
  Clock::Time since_;
  Clock::Time lastMoved_;
  ReplyPace pace_;
};

}  // namespace netcow
