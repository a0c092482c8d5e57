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
  const auto bytes = std::span(input_).first(static_cast<std::size_t>(got));
  unparsed_.insert(unparsed_.end(), bytes.begin(), bytes.end());
  if (faults.reorder && carriesReplies_) {
    enqueueShuffled(due);
  } else {
    enqueue(due, std::exchange(unparsed_, {}));
  }
  if (got == 0) {
    enqueue(due, std::exchange(unparsed_, {}));
    ended_ = true;
  }
  return true;
}

void FaultLane::enqueue(Time due, std::vector<std::byte> bytes) {
  if (!bytes.empty()) {
    queued_ += bytes.size();
    queue_.push_back({due, std::move(bytes)});
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
    enqueue(due, std::move(reply));
  }
}

bool FaultLane::send(Time now, const NetworkFaults& faults, std::uint64_t limit) {
  full_ = false;
  while (limit > 0 && nextDue() <= now) {
    Chunk& chunk = queue_.front();
    std::size_t part =
        static_cast<std::size_t>(std::min<std::uint64_t>(chunk.bytes.size() - chunk.sent, limit));
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
    if (chunk.sent == chunk.bytes.size()) {
      queue_.pop_front();
    }
  }
  return true;
}

}  // namespace netcow::test
