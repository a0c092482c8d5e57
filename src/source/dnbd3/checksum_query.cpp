// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/checksum_query.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/errors.h"

namespace netcow {

ChecksumQuery::ChecksumQuery(UniqueFd socket, std::uint64_t imageSize)
    : socket_(std::move(socket)), listBytes_(ChecksumList::bytesFor(imageSize)) {
  const dnbd3::RequestHeader request = dnbd3::plainRequest(dnbd3::Command::getCrc32);
  const auto bytes = std::as_bytes(std::span(&request, 1));
  outgoing_.assign(bytes.begin(), bytes.end());
}

short ChecksumQuery::events() const {
  return state_ == State::receiving ? POLLIN : POLLOUT;
}

bool ChecksumQuery::advance() {
  moved_ = false;
  if (state_ == State::sending) {
    send();
  }
  if (state_ == State::receiving) {
    receive();
  }
  return moved_;
}

void ChecksumQuery::send() {
  while (sent_ < outgoing_.size()) {
    const ssize_t put =
        ::send(socket_.get(), outgoing_.data() + sent_, outgoing_.size() - sent_, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) {
      continue;
    }
    if (put < 0) {
      if (errno != EAGAIN) {
        failWithErrno(errno);
      }
      return;
    }
    moved_ = true;
    sent_ += static_cast<std::size_t>(put);
  }
  incoming_.resize(sizeof(dnbd3::ReplyHeader));
  state_ = State::receiving;
}

void ChecksumQuery::receive() {
  while (state_ == State::receiving) {
    const ssize_t got = ::recv(socket_.get(), incoming_.data() + received_,
                               incoming_.size() - received_, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0 && errno == EAGAIN) {
      return;
    }
    if (got < 0) {
      failWithErrno(errno);
      return;
    }
    if (got == 0) {
      fail("closed the connection when it was asked for its list of checksums");
      return;
    }
    moved_ = true;
    received_ += static_cast<std::size_t>(got);
    if (received_ == incoming_.size()) {
      takePart();
    }
  }
}

void ChecksumQuery::takePart() {
  if (haveHeader_) {
    takeList();
  } else {
    takeHeader();
  }
}

void ChecksumQuery::takeHeader() {
  dnbd3::ReplyHeader header;
  std::memcpy(&header, incoming_.data(), sizeof header);
  const auto expected = static_cast<std::uint16_t>(dnbd3::Command::getCrc32);
  const std::uint32_t size = header.size;
  if (header.magic != dnbd3::kMagic || header.command != expected) {
    fail("answered something else than its list of checksums");
  } else if (size == 0) {
    state_ = State::answered;
  } else if (size != listBytes_) {
    fail("has a list of checksums of " + std::to_string(size) + " bytes instead of " +
         std::to_string(listBytes_));
  } else {
    haveHeader_ = true;
    received_ = 0;
    incoming_.resize(size);
  }
}

void ChecksumQuery::takeList() {
  list_ = ChecksumList::parse(incoming_);
  if (!list_) {
    fail("has a list of checksums whose own checksum is wrong");
    return;
  }
  state_ = State::answered;
}

void ChecksumQuery::fail(const std::string& why) {
  failure_ = why;
  state_ = State::failed;
  socket_.reset();
}

void ChecksumQuery::failWithErrno(int error) {
  fail("cannot be asked for its list of checksums (" + errnoCode(error).message() + ")");
}

}  // namespace netcow
