// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "format/dnbd3_messages.h"

namespace netcow {

/// Who takes what a ReplyReader finds.
class ReplyHandler {
 public:
  virtual ~ReplyHandler() = default;
  /// Where the block goes that was asked for as `handle`; empty: nobody asked for it. The memory
  /// must stay valid until endBlock() or until the reader is reset.
  virtual std::span<std::byte> beginBlock(std::uint64_t handle) = 0;
  /// All of its bytes are there.
  virtual void endBlock(std::uint64_t handle) = 0;
  /// The server will not send this block. False: nobody asked for it.
  virtual bool refuseBlock(std::uint64_t handle) = 0;
  /// Other servers that have the image.
  virtual void takeServers(std::span<const dnbd3::ServerEntry> servers) = 0;
  /// Any reply without a block has come, of a known kind or not; before takeServers(). False: it is
  /// one too many that nobody asked for.
  virtual bool takePlainReply(dnbd3::Command /*command*/) { return true; }
};

/// Takes the stream of replies of one connection apart. Not thread-safe.
///
/// One recvmsg() fills the rest of the block that is under way, straight in its reader's memory,
/// and behind it a buffer of its own with whatever follows. How much may follow depends on the
/// size of the last block: after small ones as much as the buffer holds, so that one call drains
/// many of them (they are copied once more); after large ones just the next header, so that
/// nothing of them is copied.
class ReplyReader {
 public:
  explicit ReplyReader(ReplyHandler& handler) : handler_(handler) {}

  /// A new connection begins: forgets what it holds of the old one.
  void reset();

  /// What one receive() saw.
  struct Result {
    bool gotBytes = false;
    bool ofBlocks = false;  ///< a part of a block among them, or that one is refused
    std::string failure;    ///< for people; empty: the connection is good
  };
  /// Receives once from `socket`, without waiting, and hands on every reply that is whole.
  Result receive(int socket);

  /// beginBlock() would give another place now: what is still to come goes there.
  void findPlaceAgain();

 private:
  static constexpr std::size_t kBufferSize = std::size_t{128} << 10U;
  /// From here on a block is worth a system call of its own.
  static constexpr std::size_t kLargeBlock = std::size_t{32} << 10U;

  [[nodiscard]] std::size_t readAhead() const;
  void parseBuffer();
  void beginReply(const dnbd3::ReplyHeader& header);
  void beginBlock(const dnbd3::ReplyHeader& header);
  [[nodiscard]] bool inBlock() const;
  void endReply();
  void fail(const std::string& why) { failure_ = why; }

  ReplyHandler& handler_;
  std::array<std::byte, kBufferSize> buffer_;
  std::size_t buffered_ = 0;          // bytes in it that are not parsed
  dnbd3::ReplyHeader header_;         // of the reply under way
  bool inPayload_ = false;            // a reply is under way
  std::span<std::byte> rest_;         // where the rest of its payload goes
  std::vector<std::byte> shortText_;  // the payload of anything but a block
  std::size_t lastBlock_ = 0;         // size of the last block
  bool ofBlocks_ = false;             // for the Result
  std::string failure_;
};

}  // namespace netcow
