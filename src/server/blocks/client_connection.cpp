// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/client_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <span>
#include <utility>

#include "base/logging.h"

namespace netcow {
namespace {

// What one client may be sent before the others have their turn.
constexpr std::size_t kTurnBytes = std::size_t{2} << 20U;
// From the connection to the selection of an image, which every client sends at once.
constexpr std::chrono::milliseconds kLongestToSelect = std::chrono::seconds(15);

bool wouldBlock(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace

ClientConnection::ClientConnection(UniqueFd socket, const BlockService& service)
    : socket_(std::move(socket)),
      statistics_(service.statistics),
      protocol_(service),
      since_(std::chrono::steady_clock::now()),
      lastMoved_(since_) {
  const int one = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  statistics_.clientCame();
}

ClientConnection::~ClientConnection() {
  statistics_.clientWent();
}

void ClientConnection::prepareThread() {
  // sendfile() knows no MSG_NOSIGNAL.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

ClientConnection::Next ClientConnection::proceed(IoBuffers& buffers, DiskAccess access,
                                                 bool readable) {
  try {
    const Next next = goOn(buffers, access, readable);
    notePace(next);
    return next;
  } catch (const std::exception& error) {
    // One client's trouble must not end the service of the others.
    spdlog::error("a client cannot be served: {}", error.what());
    return Next::end;
  }
}

void ClientConnection::notePace(Next next) {
  if (next == Next::output) {
    pace_.waiting(std::chrono::steady_clock::now(), sentThisTurn_);
  } else {
    pace_.notWaiting();
  }
}

ClientConnection::Next ClientConnection::goOn(IoBuffers& buffers, DiskAccess access,
                                              bool readable) {
  sentThisTurn_ = 0;
  for (bool more = readable;;) {
    if (const Next next = takeRequests(buffers, access, more, more); next != Next::input) {
      return next;
    }
    if (const Next next = sendReplies(buffers, access); next != Next::input) {
      return next;
    }
    if (inputHasEnded_) {
      return Next::end;
    }
    if (!more && untaken_.size() < ClientProtocol::kLongestMessage) {
      return Next::input;
    }
  }
}

/// Receives if there may be something, and takes what is whole. Next::input: that is done. `more`
/// tells whether more may have come than could be received.
ClientConnection::Next ClientConnection::takeRequests(IoBuffers& buffers, DiskAccess access,
                                                      bool readable, bool& more) {
  more = false;
  std::size_t length = untaken_.size();
  std::ranges::copy(untaken_, buffers.input.begin());
  if (readable && wantsInput() && !receive(buffers, length, more)) {
    return Next::end;
  }
  if (length == 0) {
    return Next::input;
  }
  const auto bytes = std::span(buffers.input).first(length);
  std::size_t used = 0;
  const auto taken = protocol_.receive(bytes, used, access);
  if (used > 0) {
    lastMoved_ = std::chrono::steady_clock::now();
  }
  untaken_ = std::vector<std::byte>(bytes.begin() + static_cast<std::ptrdiff_t>(used), bytes.end());
  switch (taken) {
    case ClientProtocol::Taken::needsDisk:
      return Next::disk;
    case ClientProtocol::Taken::broken:
      statistics_.clientDropped();
      return Next::end;
    case ClientProtocol::Taken::whole:
      break;
  }
  return Next::input;
}

/// False: the connection is broken.
bool ClientConnection::receive(IoBuffers& buffers, std::size_t& length, bool& more) {
  const std::size_t most =
      std::min(buffers.input.size(), protocol_.room() * sizeof(dnbd3::RequestHeader));
  if (length >= most) {
    return true;
  }
  const ssize_t got =
      ::recv(socket_.get(), buffers.input.data() + length, most - length, MSG_DONTWAIT);
  if (got < 0) {
    more = errno == EINTR;
    return more || wouldBlock(errno);
  }
  inputHasEnded_ = got == 0;
  length += static_cast<std::size_t>(got);
  more = length == most;
  return true;
}

/// Next::input: all replies have left.
ClientConnection::Next ClientConnection::sendReplies(IoBuffers& buffers, DiskAccess access) {
  while (protocol_.hasReplies()) {
    if (sentThisTurn_ >= kTurnBytes) {
      return Next::turn;
    }
    const auto piece = protocol_.filePiece();
    const Next next = piece ? sendPiece(*piece, access) : sendGathered(buffers, access);
    if (next != Next::input) {
      return next;
    }
  }
  return Next::input;
}

/// Next::input: it may go on at once.
ClientConnection::Next ClientConnection::sendGathered(IoBuffers& buffers, DiskAccess access) {
  const auto gathered = protocol_.gather(buffers.output, access);
  if (gathered.length == 0) {
    return gathered.state == ReplyQueue::State::needsDisk ? Next::disk : Next::end;
  }
  const ssize_t sent = ::send(socket_.get(), buffers.output.data(), gathered.length,
                              MSG_NOSIGNAL | MSG_DONTWAIT | (gathered.pieceFollows ? MSG_MORE : 0));
  if (sent < 0) {
    if (errno == EINTR) {
      return Next::input;
    }
    return wouldBlock(errno) ? Next::output : Next::end;
  }
  hasSent(static_cast<std::size_t>(sent));
  return static_cast<std::size_t>(sent) < gathered.length ? Next::output : Next::input;
}

ClientConnection::Next ClientConnection::sendPiece(const ReplyQueue::FilePiece& piece,
                                                   DiskAccess access) {
  if (!protocol_.pieceIsReady(access)) {
    return Next::disk;
  }
  auto offset = static_cast<off_t>(piece.offset);
  const ssize_t sent = ::sendfile(socket_.get(), protocol_.image()->fd(), &offset, piece.length);
  if (sent < 0) {
    if (wouldBlock(errno)) {
      return Next::output;
    }
    if (errno == EINTR) {
      return Next::input;
    }
    if (errno == EIO) {
      statistics_.requestFailed();
      spdlog::error("cannot read {} at {}: {}", protocol_.image()->image().fileName(), piece.offset,
                    std::strerror(errno));
    }
    return Next::end;
  }
  if (sent == 0) {
    protocol_.fileHasEnded();
    return Next::input;
  }
  hasSent(static_cast<std::size_t>(sent));
  return static_cast<std::size_t>(sent) < piece.length ? Next::output : Next::input;
}

void ClientConnection::hasSent(std::size_t length) {
  protocol_.sent(length);
  sentThisTurn_ += length;
  lastMoved_ = std::chrono::steady_clock::now();
}

bool ClientConnection::isSilent(Clock::Time now, std::chrono::milliseconds longestSilence) {
  if (protocol_.image() == nullptr) {
    return now - since_ >= std::min(longestSilence, kLongestToSelect);
  }
  return now - lastMoved_ >= longestSilence || pace_.isTooSlow(now, longestSilence);
}

void ClientConnection::discardUnsent() {
  // Else the system keeps it, and memory for it, for as long as it takes the client to be gone.
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

}  // namespace netcow
