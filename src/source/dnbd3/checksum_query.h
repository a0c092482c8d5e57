// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/unique_fd.h"
#include "format/checksum_list.h"
#include "format/dnbd3_messages.h"

namespace netcow {

/// Asks one server for its list of checksums (GET_CRC32), on a connection on which the image is
/// selected and nothing else was asked: the answer is longer than anything that the reader of
/// blocks takes. Never blocks: call advance() whenever poll() reports events() on fd(). Not
/// thread-safe.
class ChecksumQuery {
 public:
  /// `socket` must be non-blocking; `imageSize` is what the server called the image's size. Memory
  /// for the list is bounded by it, whatever the server says.
  ChecksumQuery(UniqueFd socket, std::uint64_t imageSize);

  enum class State { sending, receiving, answered, failed };
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool isOver() const { return state_ == State::answered || state_ == State::failed; }
  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] short events() const;  ///< for poll(), unless isOver()

  /// Goes on as far as it can without waiting. True if any byte was moved.
  bool advance();

  /// If answered: the list, whose length and own checksum are right; nothing: the server has none.
  [[nodiscard]] const std::optional<ChecksumList>& list() const { return list_; }
  /// Why it failed, for people: follows "host: ".
  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  void send();
  void receive();
  void takePart();
  void takeHeader();
  void takeList();
  void fail(const std::string& why);
  void failWithErrno(int error);

  UniqueFd socket_;
  const std::uint64_t listBytes_;
  State state_ = State::sending;
  bool moved_ = false;
  dnbd3::Bytes outgoing_;
  std::size_t sent_ = 0;
  dnbd3::Bytes incoming_;  // as long as the part that is read now: header, then list
  std::size_t received_ = 0;
  bool haveHeader_ = false;
  std::optional<ChecksumList> list_;
  std::string failure_;
};

}  // namespace netcow
