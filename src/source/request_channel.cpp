// SPDX-License-Identifier: Apache-2.0
#include "source/request_channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/errors.h"

namespace netcow {
namespace {

/// Gives `bytes` to the socket as far as it takes them now; returns how many, or -1 if the
/// connection is lost.
ssize_t sendSome(int socket, std::span<const std::byte> bytes) {
  for (;;) {
    const ssize_t put = ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put >= 0) {
      return put;
    }
    if (errno == EAGAIN) {
      return 0;
    }
    if (errno != EINTR) {
      return -1;
    }
  }
}

}  // namespace

RequestChannel::RequestChannel(WakeUp& receiver, SilenceWatch watch, const Clock& clock)
    : receiver_(receiver), clock_(clock), watch_(watch) {}

void RequestChannel::read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) {
  {
    MutexLock lock(mutex_);
    if (refusesReads_) {
      lock.unlock();
      done(errnoCode(EIO));
      return;
    }
    pending_.add(buffer, offset, std::move(done));
    if (!link_ || link_->isSending) {
      return;
    }
  }
  sendWaiting();
}

void RequestChannel::refuseReads() {
  const MutexLock lock(mutex_);
  refusesReads_ = true;
}

std::size_t RequestChannel::readCount() const {
  const MutexLock lock(mutex_);
  return pending_.readCount();
}

void RequestChannel::attach(std::shared_ptr<const UniqueFd> socket) {
  auto link = std::make_shared<Link>();
  link->socket = std::move(socket);
  {
    const MutexLock lock(mutex_);
    link_ = std::move(link);
    watch_.start(clock_.now());
  }
  sendWaiting();
}

void RequestChannel::detach() {
  const MutexLock lock(mutex_);
  link_.reset();
  pending_.sendAgain();
}

void RequestChannel::sendPlain(dnbd3::Command command) {
  {
    const MutexLock lock(mutex_);
    if (link_) {
      link_->plain.push_back(dnbd3::plainRequest(command));
      // Also while the socket is full: else a KEEPALIVE that cannot go out stays due, and the
      // receiver would spin.
      watch_.sent(clock_.now());
    }
  }
  sendWaiting();
}

void RequestChannel::sendWaiting() {
  MutexLock lock(mutex_);
  const std::shared_ptr<Link> link = link_;
  if (!link || link->isSending) {
    return;
  }
  link->isSending = true;
  while (link_ == link) {
    const std::span<const std::byte> bytes = fill(*link);
    if (bytes.empty()) {
      break;
    }
    watch_.sent(clock_.now());
    lock.unlock();
    const ssize_t put = sendSome(link->socket->get(), bytes);
    if (put < 0) {
      // Makes the receiver find it closed. isSending stays: nobody else need try.
      ::shutdown(link->socket->get(), SHUT_RDWR);
      return;
    }
    lock.lock();
    const auto rest = bytes.subspan(static_cast<std::size_t>(put));
    if (!rest.empty()) {
      // isSending stays, for the receiver.
      link->left.assign(rest.begin(), rest.end());
      link->isFull = true;
      receiver_.signal();
      return;
    }
  }
  link->isSending = false;
}

std::span<const std::byte> RequestChannel::fill(Link& link) {
  if (!link.left.empty()) {
    link.leftBatch = std::exchange(link.left, {});
    return link.leftBatch;
  }
  const std::size_t plain = std::min(link.plain.size(), link.batch.size());
  std::copy_n(link.plain.begin(), plain, link.batch.begin());
  link.plain.erase(link.plain.begin(), link.plain.begin() + static_cast<std::ptrdiff_t>(plain));
  const std::size_t blocks = pending_.takeUnsent(std::span(link.batch).subspan(plain));
  return std::as_bytes(std::span(link.batch).first(plain + blocks));
}

void RequestChannel::continueSending() {
  {
    const MutexLock lock(mutex_);
    if (!link_ || !link_->isFull) {
      return;
    }
    link_->isFull = false;
    link_->isSending = false;
  }
  sendWaiting();
}

RequestChannel::Needs RequestChannel::needs() const {
  const MutexLock lock(mutex_);
  if (!link_) {
    return {.room = false, .checkAt = Clock::Time::max()};
  }
  return {.room = link_->isFull, .checkAt = watch_.nextCheck()};
}

RequestChannel::Silence RequestChannel::silence(Clock::Time now) const {
  const MutexLock lock(mutex_);
  if (!link_) {
    return Silence::none;
  }
  if (watch_.isDead(now)) {
    return Silence::dead;
  }
  return watch_.keepAliveDue(now) ? Silence::keepAliveDue : Silence::none;
}

void RequestChannel::noteReceived(Clock::Time now) {
  const MutexLock lock(mutex_);
  watch_.received(now, pending_.sentCount() != 0);
}

std::span<std::byte> RequestChannel::find(std::uint64_t handle) const {
  const MutexLock lock(mutex_);
  return pending_.find(handle);
}

void RequestChannel::finish(std::uint64_t handle, std::error_code error) {
  std::optional<PendingRequests::Answer> answer;
  {
    const MutexLock lock(mutex_);
    answer = pending_.finish(handle, error);
  }
  if (answer) {
    answer->done(answer->error);
  }
}

bool RequestChannel::refuse(std::uint64_t handle) {
  const MutexLock lock(mutex_);
  return pending_.refuse(handle);
}

void RequestChannel::failRefused(std::error_code error) {
  std::vector<PendingRequests::Answer> answers;
  {
    const MutexLock lock(mutex_);
    answers = pending_.failRefused(error);
  }
  run(std::move(answers));
}

void RequestChannel::failAll(std::error_code error) {
  std::vector<PendingRequests::Answer> answers;
  {
    const MutexLock lock(mutex_);
    answers = pending_.failAll(error);
  }
  run(std::move(answers));
}

void RequestChannel::run(std::vector<PendingRequests::Answer> answers) {
  for (auto& answer : answers) {
    answer.done(answer.error);
  }
}

}  // namespace netcow
