// SPDX-License-Identifier: Apache-2.0
#include "server/http/http_server.h"

#include <gmock/gmock.h>

#include <future>
#include <map>
#include <stdexcept>
#include <thread>

#include "base/mutex.h"
#include "server/http_client.h"

namespace netcow {
namespace {

using test::HttpAnswer;
using test::HttpClient;
using testing::HasSubstr;
using testing::Not;

/// Answers with what it was asked.
HttpResponse echo(const HttpRequest& request) {
  if (request.target == "/throw") {
    throw std::runtime_error("the disk is gone");
  }
  if (request.target == "/busy") {
    return {.status = 503, .body = "slow down", .retryAfterSeconds = 7};
  }
  if (request.target == "/fields") {
    const std::string* asked = request.field("x-asked");
    return {.body = asked != nullptr ? *asked : "nothing", .fields = {{"X-Answered", "yes"}}};
  }
  return {.body =
              request.method + " " + request.target + " " + std::to_string(request.body.size())};
}

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() { start({}); }
  void start(HttpServerOptions options, HttpHandler handler = answeringAtOnce(echo)) {
    options.addresses = {{"127.0.0.1", 0}};
    server_.reset();
    server_ = std::make_unique<HttpServer>(options, std::move(handler));
    server_->start();
  }
  HttpClient connect() { return HttpClient(server_->addresses().front().port); }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersManyRequestsOnOneConnection) {
  HttpClient client = connect();
  EXPECT_EQ(client.get("/a?b=c").body, "GET /a?b=c 0");
  EXPECT_EQ(client.post("/d", "body").body, "POST /d 4");
  EXPECT_EQ(client.get("/e").body, "GET /e 0");
}

TEST_F(HttpServerTest, TellsAndTakesFieldsOfTheHeader) {
  HttpClient client = connect();
  client.send("GET /fields HTTP/1.1\r\nHost: x\r\nX-ASKED: 1\r\nx-asked: 2\r\n\r\n");
  const HttpAnswer answer = client.receive();
  EXPECT_EQ(answer.body, "1");
  EXPECT_THAT(answer.header, HasSubstr("X-Answered: yes\r\n"));
  EXPECT_EQ(client.get("/fields").body, "nothing");
}

TEST_F(HttpServerTest, AnswersRequestsSentWithoutWaiting) {
  HttpClient client = connect();
  client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive().body, "GET /1 0");
  EXPECT_EQ(client.receive().body, "GET /2 0");
}

TEST_F(HttpServerTest, EndsTheConnectionWhenAsked) {
  HttpClient client = connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200U);
  EXPECT_TRUE(client.isClosed());
}

TEST_F(HttpServerTest, InvitesABodyAsSoonAsTheHeaderIsThere) {
  HttpClient client = connect();
  client.send("POST /big HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  // Nothing of the body was sent yet: without the invitation this would wait for ever.
  EXPECT_EQ(client.receive().status, 100U);
  client.send("12345");
  EXPECT_EQ(client.receive().body, "POST /big 5");
  EXPECT_EQ(client.get("/next").status, 200U);
}

TEST_F(HttpServerTest, TakesABodyInChunks) {
  HttpClient client = connect();
  client.send(
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
  EXPECT_EQ(client.receive().body, "POST /c 7");
}

TEST_F(HttpServerTest, RefusesABodyThatIsTooLongWithoutInvitingIt) {
  HttpServerOptions options;
  options.longestBody = 1000;
  start(options);
  HttpClient fits = connect();
  EXPECT_EQ(fits.post("/", std::string(1000, 'x')).status, 200U);
  HttpClient client = connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_EQ(client.receive().status, 413U);
}

TEST_F(HttpServerTest, LetsAClientThatSendsTooMuchReadTheAnswer) {
  HttpServerOptions options;
  options.longestBody = 1000;
  start(options);
  HttpClient client = connect();
  // Several times what the sockets hold: the answer must not be lost to a reset.
  EXPECT_EQ(client.post("/", std::string(8'000'000, 'x')).status, 413U);
  HttpClient chunked = connect();
  chunked.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" +
               std::string(1001, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.receive().status, 413U);
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttp) {
  for (const char* text : {"hello\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                           "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"}) {
    HttpClient client = connect();
    client.send(text);
    EXPECT_EQ(client.receive().status, 400U) << text;
    EXPECT_TRUE(client.isClosed());
  }
}

TEST_F(HttpServerTest, RefusesAnEndlessHeader) {
  HttpClient client = connect();
  client.send("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(client.receive().status, 431U);
}

TEST_F(HttpServerTest, AnswersHeadWithoutABody) {
  HttpClient client = connect();
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string header;
  while (!header.ends_with("\r\n\r\n")) {
    header += static_cast<char>(client.raw().receive(1)[0]);
  }
  EXPECT_THAT(header, HasSubstr("Content-Length: 8\r\n"));
  EXPECT_EQ(client.receive().body, "GET /next 0");
}

TEST_F(HttpServerTest, TellsWhenToComeBack) {
  const HttpAnswer busy = connect().get("/busy");
  EXPECT_EQ(busy.status, 503U);
  EXPECT_THAT(busy.header, HasSubstr("Retry-After: 7\r\n"));
  EXPECT_THAT(connect().get("/").header, Not(HasSubstr("Retry-After")));
}

TEST_F(HttpServerTest, AnswersAnExceptionWith500AndGoesOn) {
  HttpClient client = connect();
  const HttpAnswer answer = client.get("/throw");
  EXPECT_EQ(answer.status, 500U);
  EXPECT_THAT(answer.body, HasSubstr("the disk is gone"));
  EXPECT_EQ(client.get("/").status, 200U);
}

TEST_F(HttpServerTest, DropsASilentClient) {
  HttpServerOptions options;
  options.longestSilence = std::chrono::milliseconds(100);
  start(options);
  HttpClient silent = connect();
  EXPECT_TRUE(silent.isClosed());
  HttpClient half = connect();
  half.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
  EXPECT_TRUE(half.isClosed());
}

/// Keeps what it is asked until the test answers.
class Desk {
 public:
  HttpHandler handler() {
    return [this](HttpRequest&& request, HttpReply reply) {
      const MutexLock lock(mutex_);
      sequences_[request.target] = request.sequence;
      replies_.emplace(request.target, std::move(reply));
      changed_.notifyAll();
    };
  }
  void waitFor(std::size_t requests) {
    MutexLock lock(mutex_);
    while (replies_.size() < requests) {
      changed_.wait(lock);
    }
  }
  HttpReply take(const std::string& target) {
    const MutexLock lock(mutex_);
    return std::move(replies_.extract(target).mapped());
  }
  std::uint64_t sequence(const std::string& target) {
    const MutexLock lock(mutex_);
    return sequences_.at(target);
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  std::map<std::string, HttpReply> replies_ NETCOW_GUARDED_BY(mutex_);
  std::map<std::string, std::uint64_t> sequences_ NETCOW_GUARDED_BY(mutex_);
};

TEST_F(HttpServerTest, ServesOthersWhileManyRequestsWaitForTheirAnswers) {
  Desk desk;
  start({}, desk.handler());
  constexpr int kWaiting = 20;  // many times the server's threads
  std::vector<HttpClient> clients;
  for (int i = 0; i < kWaiting; ++i) {
    clients.push_back(connect());
    clients.back().send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  desk.waitFor(kWaiting);
  for (int i = kWaiting - 1; i >= 0; --i) {  // in another order than they came
    desk.take("/" + std::to_string(i))({.body = "answer " + std::to_string(i)});
    EXPECT_EQ(clients[static_cast<std::size_t>(i)].receive().body, "answer " + std::to_string(i));
  }
}

TEST_F(HttpServerTest, NumbersRequestsAsTheirHeadersComeIn) {
  Desk desk;
  start({}, desk.handler());
  HttpClient first = connect();
  first.send(
      "POST /first HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_EQ(first.receive().status, 100U);  // so its header is there
  HttpClient second = connect();
  second.send("GET /second HTTP/1.1\r\nHost: x\r\n\r\n");
  desk.waitFor(1);
  first.send("x");
  desk.waitFor(2);
  EXPECT_LT(desk.sequence("/first"), desk.sequence("/second"));
}

TEST_F(HttpServerTest, AnswersARequestThatItsHandlerForgot) {
  start({}, [](HttpRequest&&, HttpReply) {});
  EXPECT_EQ(connect().get("/").status, 500U);
  start({}, [](HttpRequest&&, HttpReply) { throw std::runtime_error("no memory"); });
  EXPECT_EQ(connect().get("/").status, 500U);
}

TEST_F(HttpServerTest, EndsOnlyWhenEveryRequestIsAnswered) {
  Desk desk;
  start({}, desk.handler());
  HttpClient client = connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  desk.waitFor(1);
  auto end = std::async(std::launch::async, [this] { server_.reset(); });
  // However long it takes; without the rule the answer below would meet a server that is gone.
  EXPECT_EQ(end.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  desk.take("/")({});
  end.get();
}

}  // namespace
}  // namespace netcow
