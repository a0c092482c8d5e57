// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "fuzz/fuzz_input.h"

namespace netcow::test {

/// Two connected sockets: what is fuzzed has one, the fuzzer plays the peer at the other.
class FuzzedConnection {
 public:
  FuzzedConnection() {
    int ends[2] = {-1, -1};
    demand(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
           "there is a socketpair");
    mine_.reset(ends[0]);
    theirs_.reset(ends[1]);
  }
  /// The fuzzed end, non-blocking; may be taken once.
  [[nodiscard]] const UniqueFd& mine() const { return mine_; }
  UniqueFd takeMine() { return std::move(mine_); }

  /// The peer sends; what was sent before must have been received, and 64 KiB are the most.
  void send(std::span<const std::byte> bytes) const {
    const ssize_t put = ::send(theirs_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    // The fuzzed end may have closed.
    demand(put == static_cast<ssize_t>(bytes.size()) || put < 0, "a slice fits into a socket");
  }
  void close() { theirs_.reset(); }

 private:
  UniqueFd mine_;
  UniqueFd theirs_;
};

/// How a stream is cut into pieces that arrive one after the other. Which way makes no difference:
/// that is what the fuzzers compare.
class StreamSlices {
 public:
  static constexpr std::size_t kLongest = std::size_t{64} << 10U;

  /// `seed` 0: pieces as long as may be; else random ones, many of them tiny.
  StreamSlices(std::span<const std::byte> stream, std::uint32_t seed)
      : rest_(stream), state_(seed) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::span<const std::byte> next() {
    std::size_t length = kLongest;
    if (state_ != 0) {
      state_ = (state_ * 1'664'525U + 1'013'904'223U) | 1U;
      const std::uint32_t random = state_ >> 8U;
      length = random % 4 == 0 ? 1 + random / 4 % 40'000 : 1 + random / 4 % 40;
    }
    const auto slice = rest_.first(std::min(length, rest_.size()));
    rest_ = rest_.subspan(slice.size());
    return slice;
  }

 private:
  std::span<const std::byte> rest_;
  std::uint32_t state_;
};

/// Appends a header, or another plain structure, to a stream.
template <class Plain>
void appendPlain(std::vector<std::byte>& stream, const Plain& plain) {
  const auto bytes = std::as_bytes(std::span(&plain, 1));
  stream.insert(stream.end(), bytes.begin(), bytes.end());
}

inline void appendBytes(std::vector<std::byte>& stream, std::span<const std::byte> bytes) {
  stream.insert(stream.end(), bytes.begin(), bytes.end());
}

}  // namespace netcow::test
