// SPDX-License-Identifier: Apache-2.0
// Whatever a client sends to `netcow serve`: it gets exactly the replies that a plain model of the
// protocol gives, and is disconnected exactly where the model says, however its requests are cut
// and however small the pieces are in which the replies leave.
#include <algorithm>
#include <string>

#include "fuzz/fuzz_input.h"
#include "fuzz/stream_slices.h"
#include "server/blocks/client_protocol.h"
#include "server/dnbd3_bytes.h"
#include "support/checksummed_file.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

using Bytes = std::vector<std::byte>;
using Taken = ClientProtocol::Taken;

constexpr std::uint64_t kFileSize = 3 * 4096 - 100;
constexpr std::uint64_t kServedSize = 3 * 4096;
constexpr int kMostMessages = 100;

/// A folder with one image, its list of checksums, and another server.
struct ServedFolder {
  ServedFolder() {
    content.resize(kServedSize);
    for (std::uint64_t i = 0; i < kFileSize; ++i) {
      content[i] = static_cast<std::byte>(i * 31 + i / 256);
    }
    std::ofstream file(folder / "win.r4", std::ios::binary);
    file.write(reinterpret_cast<const char*>(content.data()), kFileSize);
    file.close();
    list = checksumListOf({plainCrc32(content)});
    writeChecksumList(folder / "win.r4", {plainCrc32(content)});
    servers.resize(1);
    servers[0].address = {10, 0, 0, 1};
    servers[0].type = 2;
  }
  TemporaryDirectory folder;
  Bytes content;
  Bytes list;
  std::vector<dnbd3::ServerEntry> servers;
  ImageCatalog catalog = ImageCatalog(folder.path());
  ChecksumLists checksums = ChecksumLists(catalog, folder / ".own");
};

void append(Bytes& to, const Bytes& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

/// What a server must answer, told by the description of the protocol alone.
class Model {
 public:
  explicit Model(const ServedFolder& served) : served_(served) {}

  /// The replies to a stream, up to where the client is disconnected.
  Bytes answer(const Bytes& stream) {
    std::size_t at = 0;
    while (connected && stream.size() - at >= 24) {
      const Bytes header(stream.begin() + static_cast<std::ptrdiff_t>(at),
                         stream.begin() + static_cast<std::ptrdiff_t>(at) + 24);
      const std::uint64_t command = number(header, 2, 2);
      const std::uint64_t length = command == 1 ? 0 : number(header, 4, 4);
      if (number(header, 0, 2) != 0x7273 || length > 1'000) {
        connected = false;
      } else if (stream.size() - at - 24 < length) {
        break;
      } else {
        const auto begin = stream.begin() + static_cast<std::ptrdiff_t>(at + 24);
        take(header, command, Bytes(begin, begin + static_cast<std::ptrdiff_t>(length)));
        at += 24 + length;
      }
    }
    return replies_;
  }
  bool connected = true;

 private:
  static std::uint64_t number(const Bytes& bytes, std::size_t at, int count) {
    std::uint64_t value = 0;
    for (int i = count; i-- > 0;) {
      value = value << 8U | static_cast<std::uint64_t>(bytes[at + static_cast<std::size_t>(i)]);
    }
    return value;
  }
  void take(const Bytes& header, std::uint64_t command, const Bytes& payload) {
    const std::uint64_t handle = number(header, 16, 8);
    if (!selected_) {
      connected = command == 2 && select(payload, handle);
      return;
    }
    if (command == 1) {
      block(number(header, 8, 7), number(header, 4, 4), handle);
    } else if (command == 3) {
      const auto servers = std::as_bytes(std::span(served_.servers));
      append(replies_, reply(3, handle, Bytes(servers.begin(), servers.end())));
    } else if (command == 5) {
      append(replies_, reply(5, handle));
    } else if (command == 8) {
      append(replies_, reply(8, handle, served_.list));
    }
  }
  bool select(const Bytes& payload, std::uint64_t handle) {
    const auto end = payload.size() < 2
                         ? payload.end()
                         : std::find(payload.begin() + 2, payload.end(), std::byte{0});
    const auto behind = static_cast<std::size_t>(payload.end() - end);
    if (behind < 3) {
      return false;
    }
    const std::uint64_t version = number(payload, 0, 2);
    const std::string name(reinterpret_cast<const char*>(payload.data()) + 2,
                           payload.size() - 2 - behind);
    const std::uint64_t revision = number(payload, payload.size() - behind + 1, 2);
    selected_ = version >= 2 && name == "win" && (revision == 0 || revision == 4);
    if (selected_) {
      Bytes answer = selectReply("win", 4, kServedSize,
                                 static_cast<std::uint16_t>(std::min<std::uint64_t>(version, 3)));
      const Bytes ofHandle = ByteWriter().u64(handle).bytes();
      std::copy(ofHandle.begin(), ofHandle.end(), answer.begin() + 8);
      append(replies_, answer);
    }
    return selected_;
  }
  void block(std::uint64_t offset, std::uint64_t length, std::uint64_t handle) {
    if (offset >= kServedSize || length > kServedSize - offset) {
      append(replies_, reply(4, handle));
      return;
    }
    const auto begin = served_.content.begin() + static_cast<std::ptrdiff_t>(offset);
    append(replies_, reply(1, handle, Bytes(begin, begin + static_cast<std::ptrdiff_t>(length))));
  }

  const ServedFolder& served_;
  Bytes replies_;
  bool selected_ = false;
};

Bytes bytesOf(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

/// One message, good or bad.
Bytes makeRequest(FuzzInput& input) {
  const std::uint8_t kind = input.byte() % 8;
  if (kind == 0) {
    return bytesOf(input.take(input.byte() % 64));
  }
  if (kind == 1) {
    const Bytes name = bytesOf(input.take(input.byte() % 8));
    const Bytes payload = ByteWriter()
                              .u16(input.number())
                              .raw(name)
                              .raw(bytesOf(input.take(input.byte() % 8)))
                              .bytes();
    return request(2, 0, static_cast<std::uint32_t>(payload.size()), input.byte(), payload);
  }
  if (kind < 5) {
    return getBlock(input.number(), static_cast<std::uint32_t>(input.number()), input.byte());
  }
  const Bytes payload = bytesOf(input.take(kind == 5 ? input.byte() : 0));
  const std::uint64_t length = kind == 6 ? input.number() : payload.size();
  Bytes any = request(static_cast<std::uint16_t>(input.byte() % 10), input.number(),
                      static_cast<std::uint32_t>(length), input.byte(), payload);
  if (kind == 7 && input.byte() % 8 == 0) {
    any[input.byte() % any.size()] ^= std::byte{input.byte()};
  }
  return any;
}

Bytes makeStream(FuzzInput& input) {
  Bytes stream;
  if (input.byte() % 8 != 0) {
    append(stream, selectImage("win", 4));
  }
  for (int i = 0; i < kMostMessages && !input.empty(); ++i) {
    append(stream, makeRequest(input));
  }
  return stream;
}

/// Gives the next bytes to a client that takes a part of them. The next call repeats the rest.
Bytes takeSome(ClientProtocol& protocol, std::size_t bufferSize, std::uint32_t seed) {
  Bytes bytes;
  if (const auto piece = protocol.filePiece()) {
    bytes.resize(piece->length);
    demand(!protocol.image()->read(bytes, piece->offset), "an image that is there can be read");
  } else {
    bytes.resize(bufferSize);
    bytes.resize(protocol.gather(bytes, DiskAccess::mayWait).length);
  }
  demand(!bytes.empty(), "whoever has replies has something to say");
  bytes.resize(seed == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 1 + seed % 777));
  protocol.sent(bytes.size());
  return bytes;
}

/// Moves bytes as a connection does; compares what leaves with the model's replies.
void serve(const ServedFolder& served, const Bytes& stream, std::uint32_t seed) {
  Model model(served);
  const Bytes expected = model.answer(stream);
  BlockStatistics statistics;
  const BlockService service = {served.catalog, served.checksums, statistics,
                                BlockService::encodeServers(served.servers)};
  ClientProtocol protocol(service, /*leastFromFile=*/seed % 8192);
  StreamSlices slices(stream, seed);
  Bytes input;
  Bytes output;
  const std::size_t buffer = seed == 0 ? 65'536 : sizeof(dnbd3::ReplyHeader) + seed % 5'000;
  const auto produce = [&] {
    const Bytes next = protocol.hasReplies() ? takeSome(protocol, buffer, seed) : Bytes();
    output.insert(output.end(), next.begin(), next.end());
  };
  bool connected = true;
  while (connected && !slices.empty()) {
    appendBytes(input, slices.next());
    std::size_t used = 0;
    do {
      connected = protocol.receive(input, used, DiskAccess::mayWait) != Taken::broken;
      demand(used <= input.size(), "no more is used than was sent");
      input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(used));
      produce();
    } while (connected && used != 0);
    demand(!connected || input.size() < ClientProtocol::kLongestMessage || protocol.room() == 0,
           "whole messages are taken");
  }
  while (protocol.hasReplies()) {
    produce();
  }
  demand(connected == model.connected, "the client is disconnected where the model says");
  demand(output == expected, "the client gets what the model says");
}

}  // namespace
}  // namespace netcow::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace netcow::test;
  static const ServedFolder served;
  FuzzInput input({data, size});
  const std::uint32_t seed = input.byte() | 0x100U;
  const auto stream = makeStream(input);
  serve(served, stream, 0);
  serve(served, stream, seed);
  return 0;
}
