// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "format/dnbd3_messages.h"
#include "format/image_name.h"
#include "source/dnbd3/round_trip.h"
#include "source/dnbd3/socket_address.h"

namespace netcow {

/// What a server must answer to SELECT_IMAGE to be read from.
struct WantedImage {
  ImageName image;                    ///< as asked for; revision 0 = the latest
  std::optional<std::uint64_t> size;  ///< bytes; set once a mount has begun: then all must match
};

/// The first words with one server: connect, SELECT_IMAGE, its answer; to measure it, also the
/// first block of the image. Never blocks: call advance() whenever poll() reports events() on fd().
/// Not thread-safe.
class Handshake {
 public:
  enum class Goal { select, measure };
  /// Begins to connect. `clock` must outlive it.
  Handshake(const SocketAddress& address, const WantedImage& wanted, Goal goal = Goal::select,
            const Clock& clock = Clock::system());
  /// Begins to select, on a socket that is connected already and non-blocking.
  Handshake(UniqueFd connected, const WantedImage& wanted, Goal goal = Goal::select,
            const Clock& clock = Clock::system());

  enum class State { connecting, sending, receiving, agreed, failed };
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool isOver() const { return state_ == State::agreed || state_ == State::failed; }
  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] short events() const;  ///< for poll(), unless isOver()

  /// Goes on as far as it can without waiting.
  void advance();

  /// Why it failed, for people: follows "host: ".
  [[nodiscard]] const std::string& failure() const { return failure_; }
  /// What the server has, and the connection, if agreed; nothing behind the last answer has been
  /// read from it.
  [[nodiscard]] const dnbd3::SelectReply& reply() const { return reply_; }
  /// How long the block took from when it was asked for until all of it was there, if that was the
  /// goal.
  [[nodiscard]] std::optional<RoundTrip::Time> roundTrip() const { return roundTrip_; }
  UniqueFd takeSocket() { return std::move(socket_); }

 private:
  void finishConnecting();
  void send();
  void receive();
  /// All of incoming_ is there.
  void takePart();
  void takeHeader();
  void takeReply();
  void askForBlock();
  void takeBlockHeader();
  void takeBlock();
  void fail(const std::string& why);
  void failWithErrno(int error);

  WantedImage wanted_;
  UniqueFd socket_;
  State state_ = State::connecting;
  std::string failure_;
  dnbd3::Bytes request_;
  std::size_t sent_ = 0;
  dnbd3::Bytes incoming_;  // as long as the part that is read now: header, then payload
  std::size_t received_ = 0;
  enum class Part { selectHeader, selectReply, blockHeader, block };
  Part part_ = Part::selectHeader;  // what incoming_ holds
  dnbd3::SelectReply reply_;
  const Goal goal_;
  const Clock& clock_;
  Clock::Time askedAt_;
  std::optional<RoundTrip::Time> roundTrip_;
};

/// Why an image that a server offers is not the wanted one, for people; empty if it is.
std::string objectionTo(const dnbd3::SelectReply& offer, const WantedImage& wanted);

}  // namespace netcow
