// SPDX-License-Identifier: Apache-2.0
// Whatever a server sends once an image is selected: every block ends in the memory of whoever
// asked for it and nowhere else, or the connection is given up with one line, exactly where a plain
// model of the protocol says. How the stream is cut makes no difference.
#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "fuzz/fuzz_input.h"
#include "fuzz/stream_slices.h"
#include "source/dnbd3/reply_reader.h"

namespace netcow::test {
namespace {

using Blocks = std::map<std::uint64_t, std::vector<std::byte>>;

constexpr std::size_t kLongestStream = std::size_t{512} << 10U;

// How a stream ends.
const std::string kEnded = "it closed the connection";
const std::string kEndedInside = "it closed the connection inside a reply";
const std::string kBroken = "it broke the protocol";

std::string hashOf(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return std::to_string(std::hash<std::string_view>()(text));
}

/// Has asked for some blocks and notes what comes.
class Recorder : public ReplyHandler {
 public:
  explicit Recorder(Blocks wanted) : wanted_(std::move(wanted)) {}

  std::span<std::byte> beginBlock(std::uint64_t handle) override {
    const auto found = wanted_.find(handle);
    return found == wanted_.end() ? std::span<std::byte>() : std::span(found->second);
  }
  void endBlock(std::uint64_t handle) override {
    const auto found = wanted_.find(handle);
    demand(found != wanted_.end(), "only what was begun ends");
    log += "block " + std::to_string(handle) + " " + hashOf(found->second) + "\n";
    wanted_.erase(found);
  }
  bool refuseBlock(std::uint64_t handle) override {
    log += "refused " + std::to_string(handle) + "\n";
    return wanted_.erase(handle) != 0;
  }
  void takeServers(std::span<const dnbd3::ServerEntry> servers) override {
    demand(servers.size() <= dnbd3::kMaxServerEntries, "there are not too many servers");
    log += "servers " + hashOf(std::as_bytes(servers)) + "\n";
  }
  std::string log;

 private:
  Blocks wanted_;
};

Blocks makeWanted(FuzzInput& input) {
  Blocks wanted;
  const std::size_t count = input.byte() % 8;
  for (std::uint64_t handle = 0; handle < count; ++handle) {
    wanted[handle].resize(1 + input.number() % 300'000);
  }
  return wanted;
}

/// One message, good or bad.
void appendReply(FuzzInput& input, const Blocks& wanted, std::vector<std::byte>& stream) {
  const std::uint8_t kind = input.byte() % 8;
  dnbd3::ReplyHeader header;
  header.command = static_cast<std::uint16_t>(dnbd3::Command::getBlock);
  if (kind < 3 && !wanted.empty()) {  // a block that was asked for, perhaps in another length
    const std::uint64_t handle = input.byte() % wanted.size();
    const std::size_t length = wanted.at(handle).size() + (kind == 2 ? input.number() % 5 - 2 : 0);
    header.handle = handle;
    header.size = static_cast<std::uint32_t>(length);
    appendPlain(stream, header);
    stream.resize(stream.size() + length % kLongestStream, std::byte{input.byte()});
  } else if (kind == 3) {
    header.command = static_cast<std::uint16_t>(dnbd3::Command::error);
    header.handle = input.byte() % 8;
    appendPlain(stream, header);
  } else if (kind == 4) {
    const auto servers = input.take(input.byte());
    header.command = static_cast<std::uint16_t>(dnbd3::Command::getServers);
    header.size = static_cast<std::uint32_t>(servers.size());
    appendPlain(stream, header);
    appendBytes(stream, servers);
  } else if (kind == 5) {  // any header, with some payload
    header.magic = input.byte() % 16 == 0 ? static_cast<std::uint16_t>(input.number())
                                          : std::uint16_t{dnbd3::kMagic};
    header.command = static_cast<std::uint16_t>(input.number() % 12);
    header.size = static_cast<std::uint32_t>(input.number());
    header.handle = input.number();
    appendPlain(stream, header);
    stream.resize(stream.size() + header.size % 2'000);
  } else {
    appendBytes(stream, input.take(input.byte() % 64));
  }
}

std::vector<std::byte> makeStream(FuzzInput& input, const Blocks& wanted) {
  std::vector<std::byte> stream;
  while (!input.empty() && stream.size() < kLongestStream) {
    appendReply(input, wanted, stream);
  }
  return stream;
}

/// Receives until the socket is empty; the failure, if there is one.
std::string drain(ReplyReader& reader, const FuzzedConnection& connection) {
  for (;;) {
    const ReplyReader::Result result = reader.receive(connection.mine().get());
    demand(result.gotBytes || result.failure.find('\n') == std::string::npos,
           "a failure is one line");
    if (!result.failure.empty() || !result.gotBytes) {
      return result.failure;
    }
  }
}

/// What the reader must see of a stream, and how it must end.
std::string expectedOutcome(std::span<const std::byte> stream, const Blocks& wanted) {
  Recorder recorder(wanted);
  dnbd3::ReplyHeader header;
  while (stream.size() >= sizeof header) {
    std::memcpy(&header, stream.data(), sizeof header);
    stream = stream.subspan(sizeof header);
    const std::uint16_t command = header.command;
    const std::uint32_t size = header.size;
    const std::span<std::byte> place =
        command == 1 ? recorder.beginBlock(header.handle) : std::span<std::byte>();
    bool isPossible = size <= 1'000;
    if (header.magic != 0x7273) {
      isPossible = false;
    } else if (command == 1) {
      isPossible = !place.empty() && place.size() == size;
    } else if (command == 4) {
      isPossible = size == 0 && recorder.refuseBlock(header.handle);
    }
    if (!isPossible) {
      return recorder.log + kBroken;
    }
    if (size > stream.size()) {
      return recorder.log + kEndedInside;
    }
    if (command == 1) {
      std::memcpy(place.data(), stream.data(), size);
      recorder.endBlock(header.handle);
    } else if (command == 3 && size > 0) {
      std::array<dnbd3::ServerEntry, 8> servers;
      const std::size_t count = std::min<std::size_t>(size / 20, servers.size());
      std::memcpy(servers.data(), stream.data(), count * 20);
      recorder.takeServers(std::span(servers).first(count));
    }
    stream = stream.subspan(size);
  }
  return recorder.log + (stream.empty() ? kEnded : kEndedInside);
}

/// All that was seen of the stream, and how it ended.
std::string outcome(std::span<const std::byte> stream, const Blocks& wanted, std::uint32_t seed) {
  FuzzedConnection connection;
  Recorder recorder(wanted);
  ReplyReader reader(recorder);
  StreamSlices slices(stream, seed);
  std::string failure;
  while (failure.empty() && !slices.empty()) {
    connection.send(slices.next());
    failure = drain(reader, connection);
  }
  connection.close();
  if (failure.empty()) {
    failure = drain(reader, connection);
  }
  demand(!failure.empty(), "the end of the stream is seen");
  const bool isEnd = failure == kEnded || failure == kEndedInside;
  return recorder.log + (isEnd ? failure : kBroken);
}

}  // namespace
}  // namespace netcow::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace netcow::test;
  FuzzInput input({data, size});
  const std::uint32_t seed = input.byte() | 0x100U;
  const Blocks wanted = makeWanted(input);
  const auto stream = makeStream(input, wanted);
  const std::string expected = expectedOutcome(stream, wanted);
  demand(outcome(stream, wanted, 0) == expected, "the model is followed");
  demand(outcome(stream, wanted, seed) == expected, "how the stream is cut makes no difference");
  return 0;
}
