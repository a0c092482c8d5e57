// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"

namespace netcow::test {

/// A request as it came. Until the body is through, `body` is empty.
struct HttpRequest {
  std::string method;
  std::string path;                            ///< without the query
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::map<std::string, std::string> values;   ///< of the query, and of a urlencoded body
  std::string body;
  std::uint64_t connection = 0;  ///< counts from 1 in the order of connecting

  /// A value of query or form; empty if it is missing.
  [[nodiscard]] std::string value(const std::string& name) const;
};

/// What a request is answered with, and what goes wrong on the way.
struct HttpReply {
  enum class Fault {
    none,
    resetBeforeBody,  ///< the connection breaks when the head has arrived
    resetDuringBody,  ///< ... when half of the body has
    resetAfterBody,   ///< ... when all of the body has, which is not taken
    halfHeader,       ///< the request is taken, but only half of the answer's header arrives
    slowAnswer,       ///< the request is taken, and the answer comes byte by byte
    loseAnswer,       ///< the request is taken, but the connection breaks before the answer
    answerEarly,      ///< the answer goes out before the body is read, then the connection closes
    neverAnswer,      ///< the request is taken and nothing more happens
  };
  int status = 200;
  std::string body;
  std::vector<std::string> headers;  ///< whole lines, such as "Retry-After: 3"
  Fault fault = Fault::none;
  bool sendContinue = true;         ///< answer "Expect: 100-continue" as one should
  std::function<void()> halfway;    ///< called when half of the body has arrived; may be empty
  std::function<bool()> mayAnswer;  ///< the answer waits until this is true; may be empty
  std::function<void(const HttpRequest&)> taken;  ///< called with the whole request; may be empty
};

/// An HTTP/1.1 server in the test's own process, on 127.0.0.1 and a free port, that does exactly
/// what it is told. Connections are kept alive. Thread-safe.
class ScriptedHttpServer {
 public:
  /// Called for each request when its head has arrived, on the thread of its connection.
  using Handler = std::function<HttpReply(const HttpRequest&)>;

  explicit ScriptedHttpServer(Handler handler);
  /// Breaks all connections.
  ~ScriptedHttpServer();
  ScriptedHttpServer(const ScriptedHttpServer&) = delete;
  ScriptedHttpServer& operator=(const ScriptedHttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// "http://127.0.0.1:PORT".
  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::uint64_t connections() const { return connectionCount_; }

  /// Stops listening and breaks all connections, as a server that is killed. The port stays free.
  void stop();
  /// Listens again, at the same port; after stop().
  void restart();

 private:
  class Connection;

  void listen();
  void acceptConnections();
  void serve(int fd, std::uint64_t number);

  const Handler handler_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> connectionCount_ = 0;
  Mutex mutex_;
  std::map<std::uint64_t, UniqueFd> open_ NETCOW_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ NETCOW_GUARDED_BY(mutex_);
  std::thread accepter_;
};

}  // namespace netcow::test
