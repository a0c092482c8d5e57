// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/request_channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/errors.h"

namespace netcow {
namespace {

/// A round trip is measured with blocks of at most so many bytes, and no others are kept back for a
/// batch: what takes long to send and to answer should begin soon.
constexpr std::uint32_t kSmallBlock = 16 * 1024;
/// So many replies that nobody asked for are passed over; some servers may repeat one.
constexpr std::int64_t kMostUnasked = 100;

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

RequestChannel::RequestChannel(WakeUp& receiver, SilenceWatch watch, const Clock& clock,
                               std::optional<std::chrono::milliseconds> ioTimeout)
    : receiver_(receiver), clock_(clock), ioTimeout_(ioTimeout), watch_(watch) {}

void RequestChannel::read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) {
  bool wake = false;
  bool send = false;
  {
    MutexLock lock(mutex_);
    if (refusesReads_) {
      lock.unlock();
      done(errnoCode(EIO));
      return;
    }
    pending_.add(buffer, offset, std::move(done), ioTimeout_ ? clock_.now() : Clock::Time());
    wake = std::exchange(receiverSleeps_, false);
    const bool keepBack = buffer.size() <= kSmallBlock &&
                          std::ranges::find(inBatch_, std::this_thread::get_id()) != inBatch_.end();
    send = link_ && !link_->isSending && !keepBack;
  }
  if (send) {
    sendWaiting();
  }
  if (wake) {
    receiver_.signal();
  }
}

void RequestChannel::beginBatch() {
  const MutexLock lock(mutex_);
  inBatch_.push_back(std::this_thread::get_id());
}

void RequestChannel::endBatch() {
  {
    const MutexLock lock(mutex_);
    std::erase(inBatch_, std::this_thread::get_id());
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

std::optional<RoundTrip::Time> RequestChannel::roundTrip() const {
  const MutexLock lock(mutex_);
  return link_ ? link_->roundTrip.smoothed() : std::nullopt;
}

std::optional<RoundTrip::Time> RequestChannel::shortestRoundTrip() const {
  const MutexLock lock(mutex_);
  return link_ ? link_->roundTrip.shortest() : std::nullopt;
}

std::uint64_t RequestChannel::bytesDue() const {
  const MutexLock lock(mutex_);
  return pending_.sentBytes();
}

void RequestChannel::attach(std::shared_ptr<const UniqueFd> socket,
                            std::optional<RoundTrip::Time> measured) {
  auto link = std::make_shared<Link>();
  link->socket = std::move(socket);
  {
    const MutexLock lock(mutex_);
    if (measured) {
      link->roundTrip.note(*measured);
    }
    link_ = std::move(link);
    watch_.start(clock_.now());
  }
  sendWaiting();
}

void RequestChannel::detach() {
  const MutexLock lock(mutex_);
  link_.reset();
  pending_.sendAgain();
  passedOver_ = false;
}

void RequestChannel::sendPlain(dnbd3::Command command) {
  {
    const MutexLock lock(mutex_);
    if (link_) {
      link_->plain.push_back(dnbd3::plainRequest(command));
      // Also while the socket is full: else a KEEPALIVE that cannot go out stays due, and the
      // receiver would spin.
      watch_.sent(clock_.now(), false);
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
    watch_.sent(clock_.now(), false);
    return link.leftBatch;
  }
  if (link.plain.empty() && !pending_.hasUnsent()) {
    return {};
  }
  const Clock::Time now = clock_.now();
  const bool nothingDue = pending_.sentCount() == 0;
  const std::size_t plain = std::min(link.plain.size(), link.batch.size());
  std::copy_n(link.plain.begin(), plain, link.batch.begin());
  link.plain.erase(link.plain.begin(), link.plain.begin() + static_cast<std::ptrdiff_t>(plain));
  link.plainDue += static_cast<std::int64_t>(plain);
  const std::size_t blocks = pending_.takeUnsent(std::span(link.batch).subspan(plain), now);
  const auto batch = std::span(link.batch).first(plain + blocks);
  if (nothingDue) {
    link.sample = chooseSample(batch, now);
  }
  watch_.sent(now, blocks != 0);
  return std::as_bytes(batch);
}

/// The first message is answered first, as a rule.
std::optional<RequestChannel::Sample> RequestChannel::chooseSample(
    std::span<const dnbd3::RequestHeader> batch, Clock::Time now) {
  const dnbd3::RequestHeader& first = batch.front();
  const bool isBlock = first.command == static_cast<std::uint16_t>(dnbd3::Command::getBlock);
  if (isBlock && first.size > kSmallBlock) {
    return std::nullopt;
  }
  return Sample{.handle = isBlock ? std::uint64_t{first.handle} : 0, .sentAt = now};
}

void RequestChannel::endSample(std::uint64_t handle) {
  if (link_ && link_->sample && link_->sample->handle == handle) {
    // Never below zero: the answer may have come after the look at the clock.
    link_->roundTrip.note(
        std::max(RoundTrip::Time(0), RoundTrip::Time(receivedAt_ - link_->sample->sentAt)));
    link_->sample.reset();
  }
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

RequestChannel::Needs RequestChannel::needs(Clock::Time now, const Limits& limits) {
  const MutexLock lock(mutex_);
  receiverSleeps_ = false;
  Needs needs;
  needs.checkAt = Clock::Time::max();
  if (link_) {
    needs.room = link_->isFull;
    needs.checkAt = watch_.nextCheck(now, limits.lateAfter, limits.blockLimit);
    needs.roundTrip = link_->roundTrip.smoothed();
  }
  if (pending_.readCount() != 0) {
    needs.checkAt = std::min(needs.checkAt, nextExpiry(now));
    if (pending_.sentCount() != 0) {
      return needs;
    }
  }
  // No read that was sent has a time limit. What is sent next may have one.
  const SilenceWatch::Duration soon =
      ioTimeout_ ? std::min<SilenceWatch::Duration>(limits.lateAfter, *ioTimeout_)
                 : limits.lateAfter;
  if (link_ && (pending_.readCount() != 0 || now < watch_.lastSent() + soon)) {
    needs.checkAt = std::min(needs.checkAt, now + soon);
  } else {
    receiverSleeps_ = true;
  }
  return needs;
}

Clock::Time RequestChannel::nextExpiry(Clock::Time now) {
  if (!ioTimeout_) {
    return Clock::Time::max();
  }
  // Reads that come later expire later, so one look at all of them holds until then.
  if (expiryCheckAt_ <= now) {
    expiryCheckAt_ = pending_.oldestAsked().value_or(now) + *ioTimeout_;
  }
  return expiryCheckAt_;
}

bool RequestChannel::expire(Clock::Time now) {
  if (!ioTimeout_) {
    return false;
  }
  std::vector<PendingRequests::Answer> answers;
  {
    const MutexLock lock(mutex_);
    if (now < expiryCheckAt_ || pending_.readCount() == 0) {
      return false;
    }
    answers = pending_.expire(now - *ioTimeout_, errnoCode(EIO));
  }
  const bool any = !answers.empty();
  run(std::move(answers));
  return any;
}

RequestChannel::Silence RequestChannel::silence(Clock::Time now, const Limits& limits) {
  const MutexLock lock(mutex_);
  if (!link_) {
    return {};
  }
  if (now >= passedOverCheckAt_) {
    passedOver_ = pending_.passedOver() >= limits.blockLimit;
    passedOverCheckAt_ = now + limits.blockLimit / 8;
  }
  return {.dead = watch_.isDead(now),
          .late = watch_.blocksStandStill(now, limits.lateAfter),
          .withholds = passedOver_ || watch_.blocksStandStill(now, limits.blockLimit),
          .keepAliveDue = watch_.keepAliveDue(now)};
}

void RequestChannel::beginReceiving(Clock::Time now) {
  receivedAt_ = now;
}

bool RequestChannel::endReceiving(bool ofBlocks) {
  const MutexLock lock(mutex_);
  const bool blocksDue = pending_.sentCount() != 0;
  watch_.received(receivedAt_, ofBlocks, blocksDue);
  return blocksDue;
}

bool RequestChannel::takePlainReply(dnbd3::Command command) {
  const MutexLock lock(mutex_);
  if (!link_) {
    return false;
  }
  if (command == dnbd3::Command::keepAlive || command == dnbd3::Command::getServers) {
    endSample(0);
  }
  return --link_->plainDue >= -kMostUnasked;
}

std::span<std::byte> RequestChannel::find(std::uint64_t handle) const {
  const MutexLock lock(mutex_);
  return pending_.find(handle);
}

void RequestChannel::finish(std::uint64_t handle, std::error_code error) {
  std::optional<PendingRequests::Answer> answer;
  {
    const MutexLock lock(mutex_);
    endSample(handle);
    answer = pending_.finish(handle, error);
  }
  if (answer) {
    answer->done(answer->error);
  }
}

void RequestChannel::finish(std::span<const std::uint64_t> handles) {
  if (handles.empty()) {
    return;
  }
  std::vector<PendingRequests::Answer> answers;
  answers.reserve(handles.size());
  {
    const MutexLock lock(mutex_);
    for (const std::uint64_t handle : handles) {
      endSample(handle);
      if (auto answer = pending_.finish(handle, {})) {
        answers.push_back(std::move(*answer));
      }
    }
  }
  run(std::move(answers));
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
