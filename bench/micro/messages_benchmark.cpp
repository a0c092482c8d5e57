// SPDX-License-Identifier: Apache-2.0
// What goes over the wire for each block.
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "format/dnbd3_messages.h"
#include "micro/iterations.h"

namespace netcow {
namespace {

void encodeBlockRequest(benchmark::State& state) {
  std::uint64_t handle = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(dnbd3::blockRequest(handle * 4096, 4096, handle));
    ++handle;
  }
}
NETCOW_BENCHMARK(encodeBlockRequest);

void decodeReplyHeader(benchmark::State& state) {
  dnbd3::ReplyHeader reply;
  reply.command = static_cast<std::uint16_t>(dnbd3::Command::getBlock);
  reply.size = 4096;
  reply.handle = 1;
  std::array<std::byte, sizeof reply> bytes = {};
  std::memcpy(bytes.data(), &reply, sizeof reply);
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes.data());
    dnbd3::ReplyHeader decoded;
    std::memcpy(&decoded, bytes.data(), sizeof decoded);
    benchmark::DoNotOptimize(std::uint64_t{decoded.handle} + decoded.size);
  }
}
NETCOW_BENCHMARK(decodeReplyHeader);

void decodeSelectAnswer(benchmark::State& state) {
  dnbd3::SelectReply select;
  select.name = "labs/windows";
  select.revision = 7;
  select.size = std::uint64_t{20} << 30U;
  const dnbd3::Bytes message = dnbd3::encode(select);
  const auto payload = std::span(message).subspan(sizeof(dnbd3::ReplyHeader));
  for (auto _ : state) {
    benchmark::DoNotOptimize(dnbd3::decodeSelectReply(payload));
  }
}
NETCOW_BENCHMARK(decodeSelectAnswer);

}  // namespace
}  // namespace netcow
