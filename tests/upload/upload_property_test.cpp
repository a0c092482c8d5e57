// SPDX-License-Identifier: Apache-2.0
// Whatever the server answers and whenever the user writes, the server ends up with the session's
// content, and has taken one merge.
#include <algorithm>
#include <thread>

#include "support/seeded_random.h"
#include "upload/uploader_fixture.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using test::HttpReply;
using test::HttpRequest;
using test::SeededRandom;
using Fault = HttpReply::Fault;

class RandomUploads : public test::UploaderTest {
 protected:
  /// Half of the answers go wrong in one of these ways.
  void spoil(HttpReply& reply) {
    constexpr std::array kFaults = {Fault::resetBeforeBody, Fault::resetDuringBody,
                                    Fault::loseAnswer};
    constexpr std::array kFailures = {500, 502, 503, 408, 425, 429};
    const MutexLock lock(mutex_);
    switch (random_.between(0, 5)) {
      case 0:
        reply.fault = kFaults[random_.between(0, kFaults.size() - 1)];
        break;
      case 1:
        reply.status = kFailures[random_.between(0, kFailures.size() - 1)];
        break;
      case 2:
        reply.status = random_.oneIn(2) ? 503 : 200;
        reply.headers = {"retry-after: " + std::to_string(random_.between(1, 3))};
        break;
      default:
        break;
    }
  }

  /// A server like netcow's: it knows when it has taken the merge, and tells.
  void spoilEverything() {
    service.setScript([this](const HttpRequest& request, HttpReply& reply) {
      spoil(reply);
      const bool taken = reply.status == 200 && reply.fault != Fault::resetBeforeBody &&
                         reply.fault != Fault::resetDuringBody;
      if (test::callOf(request) == "merge" && taken) {
        service.setState("Done");
      }
    });
  }

  void writeSomewhere() {
    const MutexLock lock(mutex_);
    const std::uint64_t first = random_.between(0, kBlocksPerCluster - 1);
    const std::uint64_t blocks =
        random_.between(1, std::min<std::uint64_t>(kBlocksPerCluster - first, 40));
    local.write(random_.between(0, 15), first, blocks,
                static_cast<char>(random_.between('a', 'z')));
  }

  bool oneIn(std::uint64_t n) {
    const MutexLock lock(mutex_);
    return random_.oneIn(n);
  }

  Mutex mutex_;
  SeededRandom random_;  // used by the server's threads too
};

TEST_F(RandomUploads, EndWithTheServerHoldingTheSession) {
  options.merge = true;
  spoilEverything();
  start();
  for (int step = 0; step < 200; ++step) {
    writeSomewhere();
    if (oneIn(3)) {
      local.clock().advance(20s);
      uploader->wake();
      std::this_thread::yield();
    }
    if (oneIn(10)) {
      passTime(60s);
    }
  }
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::done) << outcome.message;
  expectServerHasEverything();
  EXPECT_EQ(service.taken("merge").size(), 1U);
  const auto calls = service.calls();
  const auto merge = std::find(calls.begin(), calls.end(), "merge");
  EXPECT_EQ(std::count(merge, calls.end(), "update"), 0) << "updates after the merge";
}

}  // namespace
}  // namespace netcow
