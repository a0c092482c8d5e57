// SPDX-License-Identifier: Apache-2.0
// Everything a server or the way to it can do wrong with a cluster, one after the other, in the
// final pass and while mounted: nothing is lost, nothing is sent that must not be, the end has the
// right status, and it comes in time.
#include <ostream>

#include "upload/uploader_fixture.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using test::HttpReply;
using test::HttpRequest;
using Fault = HttpReply::Fault;
using UploadTroubleAndRestart = test::UploaderTest;

/// One thing that goes wrong, and what has to come of it.
struct Trouble {
  const char* name;
  int status = 200;
  std::vector<std::string> headers;
  Fault fault = Fault::none;
  bool passes = true;             ///< tried again until it is through; else it ends the run
  std::chrono::seconds pause{0};  ///< that must be kept before the next request
};
std::ostream& operator<<(std::ostream& out, const Trouble& trouble) {
  return out << trouble.name;
}

const Trouble kTroubles[] = {
    {"Busy", 503, {"Retry-After: 7"}, Fault::none, true, 7s},
    {"BusyWithoutTime", 503, {}, Fault::none},
    {"BusyWithADate", 503, {"Retry-After: Fri, 31 Dec 2100 23:59:59 GMT"}, Fault::none},
    {"BusyThoughItTookIt", 200, {"Retry-After: 3"}, Fault::none, true, 3s},
    {"TooMany", 429, {"retry-after: 5"}, Fault::none, true, 5s},
    {"Broken", 500, {}, Fault::none},
    {"BadGateway", 502, {}, Fault::none},
    {"Full", 507, {}, Fault::none},
    {"Unknown", 404, {}, Fault::none, false},
    {"TooLarge", 413, {}, Fault::answerEarly, false},
    {"NotAllowed", 403, {}, Fault::none, false},
    {"Conflict", 409, {}, Fault::none, false},
    {"ResetBeforeTheBody", 200, {}, Fault::resetBeforeBody},
    {"ResetDuringTheBody", 200, {}, Fault::resetDuringBody},
    {"ResetAfterTheBody", 200, {}, Fault::resetAfterBody},
    {"TakesItAndLosesTheAnswer", 200, {}, Fault::loseAnswer},
    {"HalfAHeader", 200, {}, Fault::halfHeader},
    {"SlowAnswer", 200, {}, Fault::slowAnswer},
};

class UploadTrouble : public test::UploaderTest, public testing::WithParamInterface<Trouble> {
 protected:
  UploadTrouble() {
    options.merge = true;
    // Whole clusters, and one small enough to be sent at once.
    local.fill(0, 'x');
    local.fill(1, 'y');
    local.write(2, 3, 2, 'z');
    service.setScript([this](const HttpRequest& request, HttpReply& reply) {
      if (test::callOf(request) == "merge") {
        service.setState("Done");
      } else if (test::callOf(request) == "update") {
        spoil(reply);
      }
    });
  }

  /// The first five answers, or all if it never passes.
  void spoil(HttpReply& reply) {
    const Trouble& trouble = GetParam();
    const MutexLock lock(mutex_);
    const auto now = local.clock().now();
    tooEarly_ += now < quietUntil_ ? 1 : 0;
    if (trouble.passes && ++spoiled_ > 5) {
      return;
    }
    reply.status = trouble.status;
    reply.headers = trouble.headers;
    reply.fault = trouble.fault;
    quietUntil_ = now + trouble.pause;
  }
  [[nodiscard]] int tooEarly() {
    const MutexLock lock(mutex_);
    return tooEarly_;
  }

  void expectTheRightEnd(const UploadOutcome& outcome, std::size_t mostUpdates) {
    if (GetParam().passes) {
      EXPECT_EQ(outcome.status, ExitStatus::done) << outcome.message;
      EXPECT_EQ(service.taken("merge").size(), 1U);
      EXPECT_EQ(status("state"), "done");
      expectServerHasEverything();
      return;
    }
    EXPECT_EQ(outcome.status, ExitStatus::notUploaded);
    EXPECT_NE(outcome.message.find("HTTP " + std::to_string(GetParam().status)), std::string::npos)
        << outcome.message;
    EXPECT_EQ(local.dirtyClusters(), 3U) << "nothing is called uploaded";
    EXPECT_TRUE(service.asked("merge").empty());
    EXPECT_LE(service.asked("update").size(), mostUpdates) << "it is asked again";
    EXPECT_EQ(status("state"), "failed");
  }

 private:
  Mutex mutex_;
  int spoiled_ NETCOW_GUARDED_BY(mutex_) = 0;
  int tooEarly_ NETCOW_GUARDED_BY(mutex_) = 0;
  Clock::Time quietUntil_ NETCOW_GUARDED_BY(mutex_);
};

TEST_P(UploadTrouble, InTheFinalPass) {
  const auto before = local.clock().now();
  expectTheRightEnd(finish(), 3);
  // Five failures in a row take 23 s on average; much more would be a wait that nobody asked for.
  EXPECT_LE(local.clock().now() - before, 10min);
}

TEST_P(UploadTrouble, WhileMountedAndThenInTheFinalPass) {
  start();
  passTime(60s);
  expectTheRightEnd(finish(), 5);
}

TEST_P(UploadTrouble, OneAtATimeKeepsEveryPause) {
  options.rules.parallelFinal = 1;
  expectTheRightEnd(finish(), 1);
  EXPECT_EQ(tooEarly(), 0);
}

INSTANTIATE_TEST_SUITE_P(Of, UploadTrouble, testing::ValuesIn(kTroubles),
                         [](const testing::TestParamInfo<Trouble>& trouble) {
                           return trouble.param.name;
                         });

TEST_F(UploadTroubleAndRestart, LosesNothing) {
  options.merge = true;
  for (std::uint64_t cluster = 0; cluster < 8; ++cluster) {
    local.fill(cluster, 'x');
  }
  std::atomic<int> updates = 0;
  service.setScript([&](const HttpRequest& request, HttpReply& reply) {
    if (test::callOf(request) == "merge") {
      service.setState("Done");
    } else if (++updates == 4) {
      reply.fault = Fault::neverAnswer;
    }
  });
  start();
  auto outcome = beginToFinish();
  ASSERT_TRUE(service.waitFor([&] { return updates >= 4; }));
  service.server().stop();
  local.clock().advance(20s);
  uploader->wake();
  service.server().restart();
  EXPECT_EQ(waitForEnd(outcome).status, ExitStatus::done);
  EXPECT_EQ(service.taken("merge").size(), 1U);
  expectServerHasEverything();
}

}  // namespace
}  // namespace netcow
