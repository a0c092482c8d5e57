// SPDX-License-Identifier: Apache-2.0
// Whatever a server answers to SELECT_IMAGE: it is agreed with only if it has the wanted image, and
// then nothing behind its answer is taken; else it is refused with one line. How the answer is cut
// makes no difference.
#include <algorithm>
#include <cstring>
#include <string>

#include "fuzz/fuzz_input.h"
#include "fuzz/stream_slices.h"
#include "source/dnbd3/handshake.h"

namespace netcow::test {
namespace {

WantedImage makeWanted(FuzzInput& input) {
  const std::uint8_t kind = input.byte();
  WantedImage wanted;
  wanted.image = {"lab/pc", static_cast<std::uint16_t>(kind % 2 == 0 ? 0 : 5)};
  if (kind % 4 > 1) {
    wanted.size = std::uint64_t{8192};
  }
  return wanted;
}

/// An answer with one or more things wrong, or none, and what else the server sends.
std::vector<std::byte> makeStream(FuzzInput& input) {
  if (input.byte() % 8 == 0) {
    const auto raw = input.take(4'096);
    return {raw.begin(), raw.end()};
  }
  const std::uint8_t changes = input.byte();
  const auto has = [changes](unsigned bit) { return (changes >> bit & 1U) != 0; };
  dnbd3::SelectReply reply;
  reply.version = has(0) ? static_cast<std::uint16_t>(input.number()) : std::uint16_t{3};
  const auto name = input.take(has(1) ? input.byte() : 0);
  reply.name = has(1) ? std::string(reinterpret_cast<const char*>(name.data()), name.size())
                      : std::string("lab/pc");
  reply.revision = has(2) ? static_cast<std::uint16_t>(input.number()) : std::uint16_t{5};
  reply.size = has(3) ? input.number() : 8192;
  std::vector<std::byte> stream = dnbd3::encode(reply);
  if (has(4)) {  // another byte in the header or behind it
    stream[input.number() % stream.size()] = std::byte{input.byte()};
  }
  if (has(5)) {
    stream.resize(input.number() % (stream.size() + 1));
  }
  appendBytes(stream, input.take(64));
  return stream;
}

/// Whether it is, by the description of the protocol alone.
bool isWantedImage(std::span<const std::byte> stream, const WantedImage& wanted) {
  const auto number = [&stream](std::size_t at, std::size_t count) {
    std::uint64_t value = 0;
    for (std::size_t i = count; i-- > 0;) {
      value = value << 8U | static_cast<std::uint64_t>(stream[at + i]);
    }
    return value;
  };
  if (stream.size() < 16 || number(0, 2) != 0x7273 || number(2, 2) != 2 || number(4, 4) > 8'192 ||
      stream.size() < 16 + number(4, 4)) {
    return false;
  }
  stream = stream.subspan(16, number(4, 4));
  const auto nameEnd =
      stream.size() < 2 ? stream.end() : std::find(stream.begin() + 2, stream.end(), std::byte{0});
  const auto behind = static_cast<std::size_t>(stream.end() - nameEnd);
  if (behind < 11) {
    return false;
  }
  const std::size_t at = stream.size() - behind + 1;
  const std::string name(reinterpret_cast<const char*>(stream.data()) + 2, at - 3);
  const std::uint64_t revision = number(at, 2);
  const std::uint64_t size = number(at + 2, 8);
  const bool isSame = !wanted.size || (name == wanted.image.name && size == *wanted.size);
  return number(0, 2) >= 2 && isValidImageName(name) && revision != 0 && size != 0 &&
         size % 4'096 == 0 && size <= (std::uint64_t{16} << 40U) && isSame &&
         (wanted.image.revision == 0 || revision == wanted.image.revision);
}

/// The name a server gave goes to people's terminals.
bool isOneLine(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return c >= 0 && c < ' '; });
}

void checkAgreement(Handshake& handshake, const WantedImage& wanted,
                    std::span<const std::byte> stream, StreamSlices& slices,
                    const FuzzedConnection& connection) {
  const dnbd3::SelectReply& reply = handshake.reply();
  demand(objectionTo(reply, wanted).empty(), "nobody objects to what is agreed on");
  dnbd3::ReplyHeader header;
  std::memcpy(&header, stream.data(), sizeof header);
  std::vector<std::byte> rest;
  const UniqueFd socket = handshake.takeSocket();
  for (bool more = true; more;) {
    std::byte part[4'096];
    ssize_t got = 0;
    while ((got = ::recv(socket.get(), part, sizeof part, 0)) > 0) {
      appendBytes(rest, std::span(part).first(static_cast<std::size_t>(got)));
    }
    more = !slices.empty();
    if (more) {
      connection.send(slices.next());
    }
  }
  const auto expected = stream.subspan(sizeof header + header.size);
  demand(std::equal(rest.begin(), rest.end(), expected.begin(), expected.end()),
         "what follows the answer is left");
}

std::string outcome(std::span<const std::byte> stream, const WantedImage& wanted,
                    std::uint32_t seed) {
  FuzzedConnection connection;
  Handshake handshake(connection.takeMine(), wanted);
  handshake.advance();
  StreamSlices slices(stream, seed);
  while (!handshake.isOver() && !slices.empty()) {
    connection.send(slices.next());
    handshake.advance();
  }
  if (!handshake.isOver()) {
    connection.close();
    handshake.advance();
  }
  demand(handshake.isOver(), "the end of the connection ends the handshake");
  demand(isOneLine(handshake.failure()), "a failure is one line");
  demand((handshake.state() == Handshake::State::agreed) == isWantedImage(stream, wanted),
         "the wanted image is agreed on, and no other");
  if (handshake.state() == Handshake::State::agreed) {
    checkAgreement(handshake, wanted, stream, slices, connection);
    return "agreed on " + handshake.reply().name;
  }
  demand(!handshake.failure().empty(), "a failure is told");
  return handshake.failure();
}

}  // namespace
}  // namespace netcow::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace netcow::test;
  FuzzInput input({data, size});
  const std::uint32_t seed = input.byte() | 0x100U;
  const netcow::WantedImage wanted = makeWanted(input);
  const auto stream = makeStream(input);
  demand(outcome(stream, wanted, 0) == outcome(stream, wanted, seed),
         "how the answer is cut makes no difference");
  return 0;
}
