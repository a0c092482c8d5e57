// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/pending_requests.h"

#include <algorithm>
#include <utility>

namespace netcow {
namespace {

constexpr std::uint64_t kSlotBits = 8;
constexpr std::uint64_t kSlotMask = (std::uint64_t{1} << kSlotBits) - 1;

}  // namespace

PendingRequests::PendingRequests() {
  unusedSlots_.reserve(kMaxInFlight);
  unsentSlots_.reserve(kMaxInFlight);
  for (std::size_t i = kMaxInFlight; i > 0; --i) {
    unusedSlots_.push_back(static_cast<SlotNumber>(i - 1));
  }
}

void PendingRequests::add(std::span<std::byte> buffer, std::uint64_t offset, Completion done,
                          Clock::Time asked) {
  if (freeReads_ == nullptr) {
    pool_.push_back(std::make_unique<Read>());
    freeReads_ = pool_.back().get();
  }
  Read& read = *std::exchange(freeReads_, freeReads_->next);
  read.done = std::move(done);
  read.buffer = buffer.data();
  read.offset = offset;
  read.asked = asked;
  read.length = buffer.size();
  read.cut = 0;
  read.pieces = 0;
  read.error.clear();
  read.next = nullptr;
  (queueFront_ == nullptr ? queueFront_ : queueBack_->next) = &read;
  queueBack_ = &read;
  ++readCount_;
}

std::size_t PendingRequests::takeUnsent(std::span<dnbd3::RequestHeader> batch, Clock::Time now) {
  std::size_t taken = 0;
  while (taken < batch.size() && !unsentSlots_.empty()) {
    batch[taken++] = send(unsentSlots_.back(), now);
    unsentSlots_.pop_back();
  }
  while (taken < batch.size() && queueFront_ != nullptr && !unusedSlots_.empty()) {
    batch[taken++] = send(cutPiece(), now);
  }
  return taken;
}

dnbd3::RequestHeader PendingRequests::send(SlotNumber number, Clock::Time now) {
  Slot& slot = slots_[number];
  slot.handle = (++sendings_ << kSlotBits) | number;
  slot.state = State::sent;
  slot.sentAt = now;
  ++sentCount_;
  sentBytes_ += slot.size;
  return dnbd3::blockRequest(slot.offset, slot.size, slot.handle);
}

PendingRequests::SlotNumber PendingRequests::cutPiece() {
  const SlotNumber number = unusedSlots_.back();
  unusedSlots_.pop_back();
  Read& read = *queueFront_;
  Slot& slot = slots_[number];
  slot.read = &read;
  slot.buffer = read.buffer + read.cut;
  slot.offset = read.offset + read.cut;
  slot.size =
      static_cast<std::uint32_t>(std::min<std::size_t>(read.length - read.cut, kLargestPiece));
  slot.wasRefused = false;
  read.cut += slot.size;
  ++read.pieces;
  if (read.cut == read.length) {
    popQueue();
  }
  return number;
}

void PendingRequests::popQueue() {
  queueFront_ = queueFront_->next;
  if (queueFront_ == nullptr) {
    queueBack_ = nullptr;
  }
}

std::span<std::byte> PendingRequests::find(std::uint64_t handle) const {
  const std::uint64_t number = handle & kSlotMask;
  if (number >= kMaxInFlight) {
    return {};
  }
  const Slot& slot = slots_[number];
  const bool isDue = slot.state == State::sent || slot.state == State::abandoned;
  return isDue && slot.handle == handle ? std::span(slot.buffer, slot.size)
                                        : std::span<std::byte>();
}

std::optional<PendingRequests::Answer> PendingRequests::finish(std::uint64_t handle,
                                                               std::error_code error) {
  const auto number = static_cast<SlotNumber>(handle & kSlotMask);
  newestAnswered_ = std::max(newestAnswered_, slots_[number].sentAt);
  return endPiece(slots_[number], number, error);
}

void PendingRequests::freeSlot(Slot& slot, SlotNumber number) {
  if (slot.state == State::sent || slot.state == State::abandoned) {
    --sentCount_;
    sentBytes_ -= slot.size;
  }
  slot.state = State::unused;
  unusedSlots_.push_back(number);
}

std::optional<PendingRequests::Answer> PendingRequests::endPiece(Slot& slot, SlotNumber number,
                                                                 std::error_code error) {
  freeSlot(slot, number);
  if (slot.read == nullptr) {
    return std::nullopt;
  }
  Read& read = *slot.read;
  --read.pieces;
  if (error && !read.error) {
    read.error = error;
    if (read.cut < read.length) {
      // It has failed: the rest need not be fetched.
      read.cut = read.length;
      popQueue();
    }
  }
  if (read.pieces != 0 || read.cut < read.length) {
    return std::nullopt;
  }
  return endRead(read);
}

PendingRequests::Answer PendingRequests::endRead(Read& read) {
  Answer answer{.done = std::move(read.done), .error = read.error};
  read.next = freeReads_;
  freeReads_ = &read;
  --readCount_;
  return answer;
}

bool PendingRequests::refuse(std::uint64_t handle) {
  Slot& slot = slots_[handle & kSlotMask];
  if (slot.read == nullptr || std::exchange(slot.wasRefused, true)) {
    return false;
  }
  newestAnswered_ = std::max(newestAnswered_, slot.sentAt);
  slot.state = State::refused;
  --sentCount_;
  sentBytes_ -= slot.size;
  return true;
}

void PendingRequests::sendAgain() {
  for (std::size_t i = 0; i < kMaxInFlight; ++i) {
    Slot& slot = slots_[i];
    if (slot.state == State::abandoned) {
      freeSlot(slot, static_cast<SlotNumber>(i));
    } else if (slot.state == State::sent || slot.state == State::refused) {
      slot.state = State::unsent;
      unsentSlots_.push_back(static_cast<SlotNumber>(i));
    }
  }
  sentCount_ = 0;
  sentBytes_ = 0;
  newestAnswered_ = {};
  // Who has waited longest goes first.
  std::sort(unsentSlots_.begin(), unsentSlots_.end(),
            [this](SlotNumber a, SlotNumber b) { return slots_[a].handle > slots_[b].handle; });
}

std::vector<PendingRequests::Answer> PendingRequests::expire(Clock::Time until,
                                                             std::error_code error) {
  std::vector<Answer> answers;
  const auto end = [&](Read& read) {
    read.error = error;
    answers.push_back(endRead(read));
  };
  // The queue has the order in which reads were asked. Only its front may have pieces already; then
  // the last of them ends it.
  while (queueFront_ != nullptr && queueFront_->asked <= until) {
    Read& read = *queueFront_;
    read.cut = read.length;
    popQueue();
    if (read.pieces == 0) {
      end(read);
    }
  }
  for (std::size_t i = 0; i < kMaxInFlight; ++i) {
    Slot& slot = slots_[i];
    if (slot.state == State::unused || slot.read == nullptr || slot.read->asked > until) {
      continue;
    }
    Read& read = *slot.read;
    abandon(slot, static_cast<SlotNumber>(i));
    if (--read.pieces == 0) {
      end(read);
    }
  }
  std::erase_if(unsentSlots_,
                [this](SlotNumber number) { return slots_[number].state != State::unsent; });
  return answers;
}

void PendingRequests::abandon(Slot& slot, SlotNumber number) {
  if (slot.state == State::sent) {
    scratch_.resize(kLargestPiece);
    slot.state = State::abandoned;
    slot.buffer = scratch_.data();
  } else {
    freeSlot(slot, number);
  }
  slot.read = nullptr;
}

std::optional<Clock::Time> PendingRequests::oldestAsked() const {
  std::optional<Clock::Time> oldest;
  const auto look = [&oldest](const Read* read) {
    if (read != nullptr && (!oldest || read->asked < *oldest)) {
      oldest = read->asked;
    }
  };
  look(queueFront_);
  for (const Slot& slot : slots_) {
    look(slot.state == State::unused ? nullptr : slot.read);
  }
  return oldest;
}

Clock::Time::duration PendingRequests::passedOver() const {
  Clock::Time oldest = newestAnswered_;
  for (const Slot& slot : slots_) {
    if (slot.state == State::sent) {
      oldest = std::min(oldest, slot.sentAt);
    }
  }
  return newestAnswered_ - oldest;
}

template <class Condition>
std::vector<PendingRequests::Answer> PendingRequests::failSlots(Condition condition,
                                                                std::error_code error) {
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < kMaxInFlight; ++i) {
    if (condition(slots_[i].state)) {
      if (auto answer = endPiece(slots_[i], static_cast<SlotNumber>(i), error)) {
        answers.push_back(std::move(*answer));
      }
    }
  }
  return answers;
}

std::vector<PendingRequests::Answer> PendingRequests::failRefused(std::error_code error) {
  return failSlots([](State state) { return state == State::refused; }, error);
}

std::vector<PendingRequests::Answer> PendingRequests::failAll(std::error_code error) {
  // Pieces first: what is left in the queue afterwards has none.
  auto answers = failSlots([](State state) { return state != State::unused; }, error);
  unsentSlots_.clear();
  while (queueFront_ != nullptr) {
    Read& read = *queueFront_;
    popQueue();
    read.error = error;
    answers.push_back(endRead(read));
  }
  return answers;
}

}  // namespace netcow
