// SPDX-License-Identifier: Apache-2.0
#include "support/fault_lane.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "format/dnbd3_messages.h"

namespace netcow::test {

FaultLane::FaultLane(int from, int to, bool carriesReplies, std::uint64_t seed)
    : from_(from), to_(to), carriesReplies_(carriesReplies), random_(seed) {}

FaultLane::Time FaultLane::nextDue() const {
  return queue_.empty() ? Time::max() : std::max(queue_.front().due, mayGoOn_);
}

bool FaultLane::receive(Time now, const NetworkFaults& faults) {
  const ssize_t got = ::recv(from_, input_.data(), input_.size(), MSG_DONTWAIT);
  if (got < 0) {
    return errno == EAGAIN || errno == EINTR;
  }
  received_ += static_cast<std::uint64_t>(got);
  const Time due = now + faults.delay;
  take(static_cast<std::size_t>(got), due, faults.reorder && carriesReplies_);
  if (got == 0) {
    enqueueAll(due, std::exchange(unparsed_, {}));
    ended_ = true;
  }
  return true;
}

/// So much of input_ has arrived.
void FaultLane::take(std::size_t length, Time due, bool shuffled) {
  const auto bytes = std::span(input_).first(length);
  if (shuffled) {
    unparsed_.insert(unparsed_.end(), bytes.begin(), bytes.end());
    enqueueShuffled(due);
    return;
  }
  enqueueAll(due, std::exchange(unparsed_, {}));  // of a time when replies were shuffled
  if (length < kWorthABuffer) {
    enqueueAll(due, {bytes.begin(), bytes.end()});
  } else {
    enqueue(due, std::exchange(input_, takeBuffer()), length);
  }
}

std::vector<std::byte> FaultLane::takeBuffer() {
  if (spareBuffers_.empty()) {
    return std::vector<std::byte>(kBufferSize);
  }
  std::vector<std::byte> buffer = std::move(spareBuffers_.back());
  spareBuffers_.pop_back();
  return buffer;
}

void FaultLane::enqueueAll(Time due, std::vector<std::byte> bytes) {
  const std::size_t length = bytes.size();
  enqueue(due, std::move(bytes), length);
}

void FaultLane::enqueue(Time due, std::vector<std::byte> bytes, std::size_t length) {
  if (length != 0) {
    queued_ += length;
    queue_.push_back({due, std::move(bytes), length});
  }
}

/// The whole replies there are, in another order; the beginning of one more stays.
void FaultLane::enqueueShuffled(Time due) {
  std::vector<std::vector<std::byte>> replies;
  std::size_t begin = 0;
  dnbd3::ReplyHeader header;
  while (unparsed_.size() - begin >= sizeof header) {
    std::memcpy(&header, unparsed_.data() + begin, sizeof header);
    const std::size_t length = sizeof header + header.size;
    if (unparsed_.size() - begin < length) {
      break;
    }
    const auto first = unparsed_.begin() + static_cast<std::ptrdiff_t>(begin);
    replies.emplace_back(first, first + static_cast<std::ptrdiff_t>(length));
    begin += length;
  }
  unparsed_.erase(unparsed_.begin(), unparsed_.begin() + static_cast<std::ptrdiff_t>(begin));
  std::shuffle(replies.begin(), replies.end(), random_);
  for (auto& reply : replies) {
    enqueueAll(due, std::move(reply));
  }
}

bool FaultLane::send(Time now, const NetworkFaults& faults, std::uint64_t limit) {
  full_ = false;
  while (limit > 0 && nextDue() <= now) {
    Chunk& chunk = queue_.front();
    std::size_t part =
        static_cast<std::size_t>(std::min<std::uint64_t>(chunk.length - chunk.sent, limit));
    if (faults.bytesPerSecond > 0) {
      constexpr std::uint64_t kSteps = 200;  // a second
      part = std::min<std::size_t>(part, faults.bytesPerSecond / kSteps + 1);
    }
    const ssize_t put =
        ::send(to_, chunk.bytes.data() + chunk.sent, part, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0) {
      full_ = errno == EAGAIN;
      return full_ || errno == EINTR;
    }
    const auto sent = static_cast<std::uint64_t>(put);
    limit -= sent;
    carried_ += sent;
    queued_ -= sent;
    chunk.sent += sent;
    if (faults.bytesPerSecond > 0) {
      mayGoOn_ = std::max(mayGoOn_, now) +
                 std::chrono::nanoseconds(sent * 1'000'000'000 / faults.bytesPerSecond);
    }
    if (chunk.sent == chunk.length) {
      if (chunk.bytes.size() == kBufferSize) {
        spareBuffers_.push_back(std::move(chunk.bytes));
      }
      queue_.pop_front();
    }
  }
  return true;
}

}  // namespace netcow::test
