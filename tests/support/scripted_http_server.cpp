// SPDX-License-Identifier: Apache-2.0
#include "support/scripted_http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace netcow::test {
namespace {

using namespace std::chrono_literals;

std::string lowerCase(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string unescape(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      result += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      result += text[i] == '+' ? ' ' : text[i];
    }
  }
  return result;
}

/// "a=1&b=2" into `values`.
void addValues(std::string_view text, std::map<std::string, std::string>& values) {
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    const auto equals = std::min(pair.find('='), pair.size());
    const auto value = pair.substr(std::min(equals + 1, pair.size()));
    values[unescape(pair.substr(0, equals))] = unescape(value);
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
  }
}

HttpRequest parseHead(std::string_view head) {
  HttpRequest request;
  std::string_view line = head.substr(0, head.find("\r\n"));
  request.method = line.substr(0, line.find(' '));
  line.remove_prefix(request.method.size() + 1);
  const std::string_view target = line.substr(0, line.find(' '));
  const auto question = std::min(target.find('?'), target.size());
  request.path = target.substr(0, question);
  addValues(target.substr(std::min(question + 1, target.size())), request.values);
  for (auto at = head.find("\r\n"); at + 4 < head.size(); at = head.find("\r\n", at + 2)) {
    const std::string_view field = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    const auto colon = field.find(':');
    const auto value = field.find_first_not_of(' ', colon + 1);
    request.headers[lowerCase(field.substr(0, colon))] =
        value == std::string_view::npos ? "" : field.substr(value);
  }
  return request;
}

}  // namespace

std::string HttpRequest::value(const std::string& name) const {
  const auto found = values.find(name);
  return found != values.end() ? found->second : std::string();
}

/// Reads requests from one socket and writes answers to it; every call tells whether the
/// connection still stands.
class ScriptedHttpServer::Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}

  std::optional<HttpRequest> readHead() {
    for (;;) {
      const auto end = pending_.find("\r\n\r\n");
      if (end != std::string::npos) {
        HttpRequest request = parseHead(std::string_view(pending_).substr(0, end + 4));
        pending_.erase(0, end + 4);
        return request;
      }
      if (!receive()) {
        return std::nullopt;
      }
    }
  }

  /// Until so many bytes of a body have arrived.
  bool waitFor(std::size_t size) {
    while (pending_.size() < size) {
      if (!receive()) {
        return false;
      }
    }
    return true;
  }

  bool readBody(std::size_t size, std::string& body) {
    if (!waitFor(size)) {
      return false;
    }
    body = pending_.substr(0, size);
    pending_.erase(0, size);
    return true;
  }

  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return false;
      }
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  bool sendReply(const HttpReply& reply) { return send(textOf(reply)); }

  /// In pieces that arrive one by one.
  bool sendSlowly(const HttpReply& reply) {
    const std::string text = textOf(reply);
    return std::all_of(text.begin(), text.end(), [this](char c) {
      std::this_thread::sleep_for(1ms);
      return send(std::string_view(&c, 1));
    });
  }

  static std::string textOf(const HttpReply& reply) {
    std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " Scripted\r\n";
    for (const std::string& header : reply.headers) {
      text += header + "\r\n";
    }
    return text + "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
  }

  /// Lets the peer read everything before the socket is closed.
  void drain() {
    ::shutdown(fd_, SHUT_WR);
    while (receive()) {
      pending_.clear();
    }
  }

  /// Makes the peer see "connection reset" when the socket is closed.
  void resetOnClose() {
    const linger now = {1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

 private:
  bool receive() {
    char part[65536];
    const ssize_t got = ::recv(fd_, part, sizeof part, 0);
    if (got > 0) {
      pending_.append(part, static_cast<std::size_t>(got));
    }
    return got > 0;
  }

  const int fd_;
  std::string pending_;
};

ScriptedHttpServer::ScriptedHttpServer(Handler handler) : handler_(std::move(handler)) {
  listen();
}

void ScriptedHttpServer::listen() {
  listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;  // connections of before a restart may still be dying
  ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_.get(), generic, length) != 0 || ::listen(listener_.get(), 64) != 0 ||
      ::getsockname(listener_.get(), generic, &length) != 0) {
    throw std::runtime_error("cannot listen on 127.0.0.1");
  }
  port_ = ntohs(address.sin_port);
  accepter_ = std::thread([this] { acceptConnections(); });
}

void ScriptedHttpServer::restart() {
  stopping_ = false;
  listen();
}

ScriptedHttpServer::~ScriptedHttpServer() {
  stop();
}

std::string ScriptedHttpServer::url() const {
  return "http://127.0.0.1:" + std::to_string(port_);
}

void ScriptedHttpServer::stop() {
  if (stopping_.exchange(true)) {
    return;
  }
  ::shutdown(listener_.get(), SHUT_RDWR);
  accepter_.join();
  listener_.reset();
  std::vector<std::thread> threads;
  {
    const MutexLock lock(mutex_);
    for (const auto& [number, fd] : open_) {
      ::shutdown(fd.get(), SHUT_RDWR);
    }
    threads = std::move(threads_);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

void ScriptedHttpServer::acceptConnections() {
  for (;;) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) {
      return;
    }
    const std::uint64_t number = ++connectionCount_;
    const MutexLock lock(mutex_);
    const int raw = fd.get();
    open_.emplace(number, std::move(fd));
    threads_.emplace_back([this, raw, number] {
      serve(raw, number);
      const MutexLock relock(mutex_);
      open_.erase(number);
    });
  }
}

void ScriptedHttpServer::serve(int fd, std::uint64_t number) {
  using Fault = HttpReply::Fault;
  Connection connection(fd);
  while (auto request = connection.readHead()) {
    request->connection = number;
    const HttpReply reply = handler_(*request);
    if (reply.fault == Fault::resetBeforeBody) {
      connection.resetOnClose();
      return;
    }
    if (reply.fault == Fault::answerEarly) {
      connection.sendReply(reply);
      connection.drain();
      return;
    }
    if (request->headers.contains("expect") && reply.sendContinue &&
        !connection.send("HTTP/1.1 100 Continue\r\n\r\n")) {
      return;
    }
    const std::string length = request->headers["content-length"];
    const std::size_t size = length.empty() ? 0 : std::stoul(length);
    const bool half = reply.fault == Fault::resetDuringBody;
    if (reply.halfway) {
      if (!connection.waitFor(size / 2)) {
        return;
      }
      reply.halfway();
    }
    if (!connection.readBody(half ? size / 2 : size, request->body) || half) {
      connection.resetOnClose();
      return;
    }
    if (request->headers["content-type"] == "application/x-www-form-urlencoded") {
      addValues(request->body, request->values);
    }
    if (reply.fault == Fault::resetAfterBody) {
      connection.resetOnClose();
      return;
    }
    if (reply.taken) {
      reply.taken(*request);
    }
    while ((reply.fault == Fault::neverAnswer || (reply.mayAnswer && !reply.mayAnswer())) &&
           !stopping_) {
      std::this_thread::sleep_for(1ms);
    }
    if (reply.fault == Fault::loseAnswer) {
      connection.resetOnClose();
      return;
    }
    if (reply.fault == Fault::halfHeader) {
      connection.send("HTTP/1.1 200 OK\r\nContent-Le");
      return;
    }
    const bool slow = reply.fault == Fault::slowAnswer;
    if (!(slow ? connection.sendSlowly(reply) : connection.sendReply(reply))) {
      return;
    }
  }
}

}  // namespace netcow::test
