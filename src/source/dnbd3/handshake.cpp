// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/handshake.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/errors.h"
#include "format/geometry.h"

namespace netcow {
namespace {

/// Longer than any name a file system takes; more is no answer to SELECT_IMAGE.
constexpr std::uint32_t kLongestReply = 8192;
/// Of the block that is measured; any will do, nothing else is asked yet.
constexpr std::uint64_t kBlockHandle = 1;

void setOption(int fd, int level, int option) {
  const int on = 1;
  // Both options only tune; a socket without them still works.
  static_cast<void>(::setsockopt(fd, level, option, &on, sizeof on));
}

std::string revisionText(std::uint16_t revision) {
  return revision == 0 ? "" : " revision " + std::to_string(revision);
}

}  // namespace

std::string objectionTo(const dnbd3::SelectReply& offer, const WantedImage& wanted) {
  const ImageName& image = wanted.image;
  const bool fixed = wanted.size.has_value();
  if (!isValidImageName(offer.name) || offer.revision == 0 || offer.size == 0 ||
      offer.size > kLargestImageSize || offer.size % kBlockSize != 0) {
    return "offers an image with an impossible name, revision or size (" +
           std::to_string(offer.size) + " bytes)";
  }
  if (image.revision != 0 && offer.revision != image.revision) {
    return "offers revision " + std::to_string(offer.revision) + " instead of " +
           std::to_string(image.revision);
  }
  if (fixed && offer.name != image.name) {
    return "offers the image " + offer.name + " instead of " + image.name;
  }
  if (fixed && offer.size != *wanted.size) {
    return "has the image with " + std::to_string(offer.size) + " bytes instead of " +
           std::to_string(*wanted.size);
  }
  return {};
}

Handshake::Handshake(UniqueFd connected, const WantedImage& wanted, Goal goal, const Clock& clock)
    : wanted_(wanted),
      socket_(std::move(connected)),
      state_(State::sending),
      goal_(goal),
      clock_(clock) {
  dnbd3::SelectRequest select;
  select.name = wanted.image.name;
  select.revision = wanted.image.revision;
  request_ = dnbd3::encode(select);
}

Handshake::Handshake(const SocketAddress& address, const WantedImage& wanted, Goal goal,
                     const Clock& clock)
    : Handshake(UniqueFd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
                wanted, goal, clock) {
  state_ = State::connecting;
  if (!socket_) {
    failWithErrno(errno);
    return;
  }
  setOption(socket_.get(), IPPROTO_TCP, TCP_NODELAY);
  setOption(socket_.get(), SOL_SOCKET, SO_KEEPALIVE);
  if (::connect(socket_.get(), address.get(), address.length()) == 0) {
    state_ = State::sending;
  } else if (errno != EINPROGRESS) {
    failWithErrno(errno);
  }
}

short Handshake::events() const {
  return state_ == State::receiving ? POLLIN : POLLOUT;
}

void Handshake::advance() {
  if (state_ == State::connecting) {
    finishConnecting();
  }
  if (state_ == State::sending) {
    send();
  }
  if (state_ == State::receiving) {
    receive();
  }
}

void Handshake::finishConnecting() {
  pollfd ready = {.fd = socket_.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&ready, 1, 0) <= 0) {
    return;
  }
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
    error = errno;
  }
  if (error != 0) {
    failWithErrno(error);
  } else {
    state_ = State::sending;
  }
}

void Handshake::send() {
  while (sent_ < request_.size()) {
    const ssize_t put =
        ::send(socket_.get(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) {
      continue;
    }
    if (put < 0) {
      if (errno != EAGAIN) {
        failWithErrno(errno);
      }
      return;
    }
    sent_ += static_cast<std::size_t>(put);
  }
  incoming_.resize(sizeof(dnbd3::ReplyHeader));
  received_ = 0;
  state_ = State::receiving;
}

void Handshake::receive() {
  while (state_ == State::receiving) {
    // Never more than this part: what follows the answer belongs to the connection's reader.
    const ssize_t got =
        ::recv(socket_.get(), incoming_.data() + received_, incoming_.size() - received_, 0);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0 && errno == EAGAIN) {
      return;
    }
    // A server may close before it has read everything, which arrives as a reset.
    const bool isClosed = got == 0 || (got < 0 && errno == ECONNRESET);
    if (isClosed && part_ != Part::selectHeader) {
      fail("closed the connection inside an answer");
      return;
    }
    if (isClosed) {
      fail("does not have image " + wanted_.image.name + revisionText(wanted_.image.revision) +
           ", or is no dnbd3 server (it closed the connection)");
      return;
    }
    if (got < 0) {
      failWithErrno(errno);
      return;
    }
    received_ += static_cast<std::size_t>(got);
    if (received_ == incoming_.size()) {
      takePart();
    }
  }
}

void Handshake::takePart() {
  switch (part_) {
    case Part::selectHeader:
      takeHeader();
      break;
    case Part::selectReply:
      takeReply();
      break;
    case Part::blockHeader:
      takeBlockHeader();
      break;
    case Part::block:
      takeBlock();
      break;
  }
}

void Handshake::takeHeader() {
  dnbd3::ReplyHeader header;
  std::memcpy(&header, incoming_.data(), sizeof header);
  const auto expected = static_cast<std::uint16_t>(dnbd3::Command::selectImage);
  const std::uint32_t size = header.size;
  if (header.magic != dnbd3::kMagic || header.command != expected || size == 0 ||
      size > kLongestReply) {
    fail("is no dnbd3 server (its answer is not of that protocol)");
    return;
  }
  part_ = Part::selectReply;
  received_ = 0;
  incoming_.resize(size);
}

void Handshake::takeReply() {
  const auto reply = dnbd3::decodeSelectReply(incoming_);
  if (!reply || reply->version < dnbd3::kLeastVersion) {
    fail("is no dnbd3 server of a known version");
    return;
  }
  const std::string objection = objectionTo(*reply, wanted_);
  if (!objection.empty()) {
    fail(objection);
    return;
  }
  reply_ = *reply;
  if (goal_ == Goal::measure) {
    askForBlock();
  } else {
    state_ = State::agreed;
  }
}

void Handshake::askForBlock() {
  const auto request = dnbd3::blockRequest(0, kBlockSize, kBlockHandle);
  const auto bytes = std::as_bytes(std::span(&request, 1));
  request_.assign(bytes.begin(), bytes.end());
  sent_ = 0;
  part_ = Part::blockHeader;
  askedAt_ = clock_.now();
  state_ = State::sending;
  send();
}

void Handshake::takeBlockHeader() {
  dnbd3::ReplyHeader header;
  std::memcpy(&header, incoming_.data(), sizeof header);
  const auto expected = static_cast<std::uint16_t>(dnbd3::Command::getBlock);
  if (header.magic != dnbd3::kMagic || header.command != expected ||
      header.handle != kBlockHandle || header.size != kBlockSize) {
    fail("does not give the first block of the image");
    return;
  }
  part_ = Part::block;
  received_ = 0;
  incoming_.resize(kBlockSize);
}

void Handshake::takeBlock() {
  roundTrip_ = clock_.now() - askedAt_;
  state_ = State::agreed;
}

void Handshake::fail(const std::string& why) {
  failure_ = why;
  state_ = State::failed;
  socket_.reset();
}

void Handshake::failWithErrno(int error) {
  fail("cannot be reached (" + errnoCode(error).message() + ")");
}

}  // namespace netcow
