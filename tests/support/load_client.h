// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "support/seeded_random.h"

namespace netcow::test {

/// What the clients of a BlockLoad do.
struct LoadOptions {
  enum class Protocol {
    dnbd3,
    nbd,  ///< the default export, to measure another server with the same client
  };
  Protocol protocol = Protocol::dnbd3;
  std::uint16_t port = 0;  ///< on 127.0.0.1
  std::string image;       ///< its newest revision
  int clients = 1;
  int depth = 1;              ///< requests of one client on their way
  std::uint32_t size = 4096;  ///< of one request
  bool anySize = false;       ///< from 1 to `size`, at any byte
  double sequential = 0;      ///< share of the clients that read in order
  /// Compared with what comes. Without it only `imageSize` is known.
  std::span<const std::byte> content;
  std::uint64_t imageSize = 0;
};

/// One client of a block server, on a socket that does not block: keeps `depth` requests on their
/// way and compares every reply with what it must be. Nothing of it is netcow's code.
class LoadClient {
 public:
  LoadClient(const LoadOptions& options, SeededRandom random, bool sequential);

  /// Connects anew; what was on its way is forgotten. False: the server is not there.
  bool connect();
  /// The socket can be read or written. `buffer` is for what comes. False: the connection is lost.
  bool proceed(std::span<std::byte> buffer);

  /// Asks for nothing any more, and takes its leave when the last reply has come.
  void finish() { finishing_ = true; }
  [[nodiscard]] bool finished() const { return finishing_ && asked_.empty() && current_.size == 0; }

  [[nodiscard]] int socket() const { return socket_.get(); }
  [[nodiscard]] bool wantsToSend() const { return !output_.empty(); }
  void disconnect() { socket_.reset(); }
  [[nodiscard]] bool connected() const { return static_cast<bool>(socket_); }

  bool watchedForRoom = false;  ///< for who watches the socket
  std::uint64_t replies = 0;
  std::uint64_t contentBytes = 0;
  std::string wrong;  ///< what came that must not; empty = nothing

 private:
  struct Request {
    std::uint64_t offset;
    std::uint32_t size;
  };

  bool send();
  void take(std::span<const std::byte> bytes);
  std::size_t takeGreeting(std::span<const std::byte> bytes);
  std::size_t takeHeader(std::span<const std::byte> bytes);
  std::size_t takeContent(std::span<const std::byte> bytes);
  void askAgain();
  void append(const std::vector<std::byte>& bytes);

  const LoadOptions& options_;
  SeededRandom random_;
  const bool sequential_;
  UniqueFd socket_;
  bool finishing_ = false;
  std::vector<std::byte> output_;
  std::size_t greetingLeft_ = 0;  // bytes of what the server says first
  std::array<std::byte, 16> header_ = {};
  std::size_t headerLength_ = 0;
  Request current_ = {};  // the reply that is coming; size 0: none
  std::uint64_t nextOffset_ = 0;
  std::uint64_t nextHandle_ = 1;
  std::map<std::uint64_t, Request> asked_;
};

}  // namespace netcow::test
