// SPDX-License-Identifier: Apache-2.0
// Whatever a server answers to GET_CRC32, and whatever lies in NAME.rN.crc: it is a list for an
// image of this size whose own checksum is right, or it is refused with one line. How the answer is
// cut makes no difference.
#include <cstring>
#include <string>

#include "format/geometry.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/stream_slices.h"
#include "source/dnbd3/checksum_query.h"

namespace netcow::test {
namespace {

void appendNumber(std::vector<std::byte>& to, std::uint32_t number) {
  appendPlain(to, LittleEndian<std::uint32_t>(number));
}

/// A list, as a rule sound.
std::vector<std::byte> makeList(FuzzInput& input) {
  const auto numbers = input.take(input.byte());
  const std::uint8_t kind = input.byte();
  Crc32 own;
  own.add(numbers);
  std::vector<std::byte> list;
  appendNumber(list, kind % 8 == 0 ? static_cast<std::uint32_t>(input.number()) : own.value());
  appendBytes(list, numbers);
  return list;
}

std::vector<std::byte> makeStream(FuzzInput& input) {
  std::vector<std::byte> list = makeList(input);
  const std::uint8_t changes = input.byte();
  dnbd3::ReplyHeader header;
  header.magic =
      changes % 16 == 1 ? static_cast<std::uint16_t>(input.number()) : std::uint16_t{dnbd3::kMagic};
  header.command = changes % 16 == 2 ? static_cast<std::uint16_t>(input.number())
                                     : static_cast<std::uint16_t>(dnbd3::Command::getCrc32);
  header.size = changes % 16 == 3 ? static_cast<std::uint32_t>(input.number())
                                  : static_cast<std::uint32_t>(list.size());
  if (changes % 16 == 4) {
    list.resize(input.number() % (list.size() + 1));
  }
  std::vector<std::byte> stream;
  appendPlain(stream, header);
  appendBytes(stream, list);
  appendBytes(stream, input.take(64));
  return stream;
}

void checkList(const ChecksumList& list, std::span<const std::byte> bytes) {
  demand(bytes.size() == 4 * (list.spans() + 1), "a list holds what it was made of");
  for (std::uint64_t span = 0; span < list.spans(); ++span) {
    LittleEndian<std::uint32_t> number;
    std::memcpy(&number, bytes.data() + 4 * (span + 1), sizeof number);
    demand(list.checksum(span) == number, "each checksum is in its place");
  }
  Crc32 own;
  own.add(bytes.subspan(4));
  LittleEndian<std::uint32_t> first;
  std::memcpy(&first, bytes.data(), sizeof first);
  demand(own.value() == first, "a list's own checksum is right");
}

void parseFile(std::span<const std::byte> bytes) {
  if (const auto list = ChecksumList::parse(bytes)) {
    checkList(*list, bytes);
  }
}

std::string outcome(std::span<const std::byte> stream, std::uint64_t imageSize,
                    std::uint32_t seed) {
  FuzzedConnection connection;
  ChecksumQuery query(connection.takeMine(), imageSize);
  query.advance();
  StreamSlices slices(stream, seed);
  while (!query.isOver() && !slices.empty()) {
    connection.send(slices.next());
    query.advance();
  }
  if (!query.isOver()) {
    connection.close();
    query.advance();
  }
  demand(query.isOver(), "the end of the connection ends the query");
  if (query.state() == ChecksumQuery::State::failed) {
    demand(!query.failure().empty() && query.failure().find('\n') == std::string::npos,
           "a failure is one line");
    return query.failure();
  }
  if (!query.list()) {
    return "none";
  }
  const std::uint64_t length = ChecksumList::bytesFor(imageSize);
  demand(query.list()->spans() + 1 == length / 4, "a list fits its image");
  checkList(*query.list(), stream.subspan(sizeof(dnbd3::ReplyHeader), length));
  return "list";
}

}  // namespace
}  // namespace netcow::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace netcow::test;
  parseFile(std::as_bytes(std::span(data, size)));
  FuzzInput input({data, size});
  const std::uint32_t seed = input.byte() | 0x100U;
  // Up to 64 spans, as the lists have, or any size there may be.
  const std::uint8_t spans = input.byte();
  const std::uint64_t imageSize = spans < 240 ? 1 + (std::uint64_t{spans} % 64 << 24U)
                                              : 1 + input.number() % netcow::kLargestImageSize;
  const auto stream = makeStream(input);
  demand(outcome(stream, imageSize, 0) == outcome(stream, imageSize, seed),
         "how the answer is cut makes no difference");
  return 0;
}
