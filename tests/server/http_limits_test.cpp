// SPDX-License-Identifier: Apache-2.0
// Clients that are too many, too slow, or too greedy.
#include <gmock/gmock.h>

#include <future>
#include <thread>

#include "server/http/body_memory.h"
#include "server/http/body_pace.h"
#include "server/http/client_limits.h"
#include "server/http/http_server.h"
#include "server/http_client.h"

namespace netcow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::HttpClient;
using testing::HasSubstr;
using Verdict = ClientLimits::Verdict;

TEST(ClientLimits, CountsAllAndByAddress) {
  ClientLimits limits({.clients = 3, .clientsPerAddress = 2});
  auto first = limits.enter("a");
  auto second = limits.enter("a");
  EXPECT_EQ(first->verdict(), Verdict::serve);
  EXPECT_EQ(second->verdict(), Verdict::serve);
  EXPECT_EQ(limits.enter("a")->verdict(), Verdict::refuse);
  const auto other = limits.enter("b");
  EXPECT_EQ(other->verdict(), Verdict::serve);
  EXPECT_EQ(limits.enter("c")->verdict(), Verdict::refuse);
  first.reset();
  EXPECT_EQ(limits.enter("a")->verdict(), Verdict::serve);
}

TEST(ClientLimits, DropsWhenManyAreBeingRefused) {
  ClientLimits limits({.clients = 0, .clientsPerAddress = 1});
  std::vector<std::unique_ptr<ClientLimits::Place>> places;
  do {
    places.push_back(limits.enter("a"));
    ASSERT_LT(places.size(), 1000U);
  } while (places.back()->verdict() == Verdict::refuse);
  EXPECT_EQ(places.back()->verdict(), Verdict::drop);
  places.erase(places.begin());
  EXPECT_EQ(limits.enter("a")->verdict(), Verdict::refuse);
}

TEST(ClientLimits, MayChangeWhileClientsAreThere) {
  ClientLimits limits({.clients = 2, .clientsPerAddress = 2});
  const auto place = limits.enter("a");
  limits.replace({.clients = 1, .clientsPerAddress = 1});
  EXPECT_EQ(limits.enter("b")->verdict(), Verdict::refuse);
  limits.replace({.clients = 2, .clientsPerAddress = 1});
  EXPECT_EQ(limits.enter("b")->verdict(), Verdict::serve);
}

TEST(BodyMemory, GivesWhatThereIsAndTakesItBack) {
  BodyMemory memory(100);
  BodyMemory::Share first = memory.take(60);
  EXPECT_TRUE(static_cast<bool>(first));
  EXPECT_FALSE(static_cast<bool>(memory.take(41)));
  const BodyMemory::Share rest = memory.take(40);
  EXPECT_TRUE(static_cast<bool>(rest));
  first = {};
  EXPECT_TRUE(static_cast<bool>(memory.take(60)));
  EXPECT_FALSE(static_cast<bool>(memory.take(61)));
}

TEST(BodyPace, AllowsASlowBodyAndNoEndlessOne) {
  const BodyPace pace = {.start = seconds(30), .bytesPerSecond = 1000};
  EXPECT_EQ(pace.patience(seconds(0), 0), seconds(30));
  EXPECT_EQ(pace.patience(seconds(30), 0), seconds(0));
  EXPECT_EQ(pace.patience(seconds(100), 100'000), seconds(30));    // 1 000 bytes a second
  EXPECT_EQ(pace.patience(seconds(100), 50'000), seconds(0));      // half of that
  EXPECT_EQ(pace.patience(seconds(1), 1'000'000), seconds(1029));  // which only silence bounds
}

class HttpLimitsTest : public testing::Test {
 protected:
  void start(HttpServerOptions options) {
    start(std::move(options), answeringAtOnce([](const HttpRequest& request) -> HttpResponse {
            return {.body = request.method + " from " + request.client};
          }));
  }
  void start(HttpServerOptions options, HttpHandler handler) {
    options.addresses = {{"127.0.0.1", 0}};
    server_ = std::make_unique<HttpServer>(std::move(options), std::move(handler));
    server_->start();
  }
  HttpClient connect() { return HttpClient(server_->addresses().front().port); }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpLimitsTest, ClientsBeyondTheLimitAreToldSo) {
  start({.limits = {.clients = 2, .clientsPerAddress = 2}});
  auto first = std::make_unique<HttpClient>(connect());
  HttpClient second = connect();
  EXPECT_EQ(first->get("/").body, "GET from 127.0.0.1");
  EXPECT_EQ(second.get("/").status, 200U);
  HttpClient third = connect();
  const auto refused = third.get("/");
  EXPECT_EQ(refused.status, 503U);
  EXPECT_THAT(refused.header, HasSubstr("Retry-After: "));
  EXPECT_TRUE(third.isClosed());
  first.reset();
  for (;;) {  // as soon as the server has seen it leave
    if (connect().get("/").status == 200U) {
      break;
    }
  }
}

TEST_F(HttpLimitsTest, AHeaderThatNeverEndsIsDroppedThoughItMoves) {
  start({.longestHeader = milliseconds(200)});
  HttpClient slow = connect();
  slow.send("GET / HTTP/1.1\r\n");
  const auto until = std::chrono::steady_clock::now() + seconds(20);
  while (!slow.raw().hasSomethingWithin(milliseconds(20))) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    slow.send("X: y\r\n");
  }
  EXPECT_TRUE(slow.isClosed());
}

TEST_F(HttpLimitsTest, ABodyThatTricklesIsDroppedThoughItMoves) {
  start({.bodyPace = {.start = milliseconds(200), .bytesPerSecond = 1'000'000}});
  HttpClient slow = connect();
  slow.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  const auto until = std::chrono::steady_clock::now() + seconds(20);
  while (!slow.raw().hasSomethingWithin(milliseconds(20))) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    slow.send("x");
  }
  EXPECT_TRUE(slow.isClosed());
}

TEST_F(HttpLimitsTest, BodiesTakeNoMoreMemoryThanAllowed) {
  start({.bodyMemory = 1'500'000});
  HttpClient first = connect();
  first.send(
      "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(first.receive().status, 100U);  // so it has its share
  HttpClient second = connect();
  const auto refused = second.post("/", std::string(1'000'000, 'x'));
  EXPECT_EQ(refused.status, 503U);
  EXPECT_THAT(refused.header, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_EQ(connect().post("/", std::string(400'000, 'x')).status, 200U);
  first.send(std::string(1'000'000, 'x'));
  EXPECT_EQ(first.receive().status, 200U);
  EXPECT_EQ(connect().post("/", std::string(1'000'000, 'x')).status, 200U);
}

TEST_F(HttpLimitsTest, ABodyKeepsItsShareOfMemoryUntilItIsAnswered) {
  std::promise<HttpReply> held;
  start({.bodyMemory = 1'500'000}, [&](HttpRequest&& request, HttpReply reply) {
    if (request.target == "/wait") {
      held.set_value(std::move(reply));
    } else {
      reply({});
    }
  });
  const std::string body(1'000'000, 'x');
  HttpClient first = connect();
  first.send("POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + body);
  HttpReply reply = held.get_future().get();  // it was received whole
  EXPECT_EQ(connect().post("/", body).status, 503U);
  EXPECT_EQ(connect().post("/", std::string(400'000, 'x')).status, 200U);
  reply({});
  EXPECT_EQ(first.receive().status, 200U);
  EXPECT_EQ(connect().post("/", body).status, 200U);
}

TEST_F(HttpLimitsTest, ManySlowBodiesTakeNoMoreMemoryThanAllowed) {
  constexpr int kFit = 10;
  start({.bodyMemory = kFit * 100'000});
  std::vector<HttpClient> invited;
  int refused = 0;
  for (int i = 0; i < 5 * kFit; ++i) {
    HttpClient client = connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n");
    if (client.receive().status == 100U) {
      client.send("the beginning of a body");
      invited.push_back(std::move(client));
    } else {
      ++refused;
    }
  }
  EXPECT_EQ(invited.size(), kFit);
  EXPECT_EQ(refused, 4 * kFit);
  EXPECT_EQ(connect().get("/").status, 200U);
}

TEST_F(HttpLimitsTest, ABodyOfUnknownLengthTakesTheLongestAndNoMore) {
  constexpr std::size_t kLongest = 400'000;
  std::promise<std::size_t> capacity;
  start({.longestBody = kLongest, .bodyMemory = kLongest},
        [&](HttpRequest&& request, HttpReply reply) {
          capacity.set_value(request.body.capacity());
          reply({});
        });
  const std::string header = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
  HttpClient first = connect();
  first.send(header + "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(first.receive().status, 100U);
  EXPECT_EQ(connect().post("/", std::string("x")).status, 503U);
  for (int i = 0; i < 3; ++i) {
    first.send("186A0\r\n" + std::string(100'000, 'x') + "\r\n");
  }
  first.send("0\r\n\r\n");
  EXPECT_EQ(first.receive().status, 200U);
  EXPECT_LE(capacity.get_future().get(), kLongest);
}

TEST_F(HttpLimitsTest, SlowClientsDoNotStarveOthers) {
  start({});
  constexpr int kSlow = 100;
  std::vector<HttpClient> slow;
  for (int i = 0; i < kSlow; ++i) {
    slow.push_back(connect());
    slow.back().send(i % 2 == 0 ? "GET / HT"
                                : "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nxx");
  }
  constexpr int kQuick = 100;
  std::vector<HttpClient> quick;
  for (int i = 0; i < kQuick; ++i) {
    quick.push_back(connect());
  }
  for (int round = 0; round < 10; ++round) {
    for (HttpClient& client : quick) {
      client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for (HttpClient& client : quick) {
      EXPECT_EQ(client.receive().status, 200U);
    }
  }
}

TEST_F(HttpLimitsTest, TellsOfEveryAnswer) {
  Mutex mutex;
  std::vector<HttpExchange> told;
  start({.longestBody = 10, .onAnswered = [&](const HttpExchange& exchange) {
           const MutexLock lock(mutex);
           told.push_back(exchange);
         }});
  {
    HttpClient client = connect();
    client.post("/a?b", std::string("12345"));
    client.send("nonsense\r\n\r\n");
    client.receive();
    connect().post("/too/long", std::string(11, 'x'));
  }
  server_.reset();
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[0].target, "/a?b");
  EXPECT_EQ(told[0].status, 200U);
  EXPECT_EQ(told[0].bytesReceived, 5U);
  EXPECT_EQ(told[0].bytesSent, std::string("POST from 127.0.0.1").size());
  EXPECT_EQ(told[1].status, 400U);
  EXPECT_EQ(told[2].status, 413U);
  EXPECT_EQ(told[2].target, "/too/long");
}

}  // namespace
}  // namespace netcow
