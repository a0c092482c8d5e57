// SPDX-License-Identifier: Apache-2.0
// A session on the disk: what a write and a checkpoint cost. The folder lies in $TMPDIR.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>

#include "micro/iterations.h"
#include "session/session.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

constexpr std::uint64_t kImage = std::uint64_t{100} << 30U;
constexpr std::array<std::byte, kBlockSize> kContent = {};

/// A session over an image of 100 GiB.
class SessionUnderTest {
 public:
  SessionUnderTest()
      : session_(Session::create(folder_ / "session",
                                 {.imageName = "image", .uploadUuid = {}, .baseSize = kImage})) {}

  Session& operator*() { return *session_; }

 private:
  test::TemporaryDirectory folder_;
  std::unique_ptr<Session> session_;
};

void check(benchmark::State& state, const std::error_code& error) {
  if (error) {
    state.SkipWithError(error.message().c_str());
  }
}

void overwriteALocalBlock(benchmark::State& state) {
  SessionUnderTest session;
  check(state, (*session).write(kContent, 0));
  for (auto _ : state) {
    check(state, (*session).write(kContent, 0));
  }
}
NETCOW_BENCHMARK(overwriteALocalBlock);

void writeAFreshBlock(benchmark::State& state) {
  SessionUnderTest session;
  std::uint64_t offset = 0;
  for (auto _ : state) {
    check(state, (*session).write(kContent, offset));
    offset = (offset + kBlockSize) % kImage;
  }
}
NETCOW_BENCHMARK(writeAFreshBlock);

void findWhereALocalBlockLies(benchmark::State& state) {
  SessionUnderTest session;
  check(state, (*session).write(kContent, 0));
  for (auto _ : state) {
    benchmark::DoNotOptimize((*session).runAt(0, kBlockSize));
  }
}
NETCOW_BENCHMARK(findWhereALocalBlockLies);

/// So many clusters get a fresh block each, then a checkpoint. Only that is timed.
void checkpointAfterChanges(benchmark::State& state) {
  SessionUnderTest session;
  const auto changed = static_cast<std::uint64_t>(state.range(0));
  std::uint64_t round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (std::uint64_t cluster = 0; cluster < changed; ++cluster) {
      const std::uint64_t block = round % kBlocksPerCluster;
      check(state, (*session).write(kContent, cluster * kClusterSize + block * kBlockSize));
    }
    ++round;
    state.ResumeTiming();
    check(state, (*session).checkpoint());
  }
}
NETCOW_BENCHMARK(checkpointAfterChanges)->Arg(1)->Arg(16)->Arg(1024);

}  // namespace
}  // namespace netcow
