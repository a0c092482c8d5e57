// SPDX-License-Identifier: Apache-2.0
#include "server/http/http_server.h"

#include <atomic>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <memory>
#include <utility>

#include "base/logging.h"
#include "base/mutex.h"
#include "server/http/form.h"
#include "server/net/accept_loop.h"
#include "server/net/io_threads.h"

namespace netcow {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr int kThreads = 2;
constexpr std::size_t kBodyPiece = std::size_t{64} << 10U;
// What is read and thrown away of a request that was refused: closing with unread bytes would
// reset the connection, and the client might never see the answer.
constexpr std::size_t kMostDiscarded = std::size_t{16} << 20U;

HttpFields fieldsOf(const http::fields& header) {
  HttpFields fields;
  for (const auto& field : header) {
    fields.emplace_back(toLowerCase(field.name_string()), field.value());
  }
  return fields;
}

/// Requests that a handler has and did not answer yet. Thread-safe.
class UnansweredRequests {
 public:
  /// False once the server ends: then the request must not be handled.
  bool add() {
    const MutexLock lock(mutex_);
    count_ += ending_ ? 0 : 1;
    return !ending_;
  }
  void remove() {
    const MutexLock lock(mutex_);
    --count_;
    changed_.notifyAll();
  }
  /// Lets no other in, and waits for the last answer.
  void end() {
    MutexLock lock(mutex_);
    ending_ = true;
    while (count_ > 0) {
      changed_.wait(lock);
    }
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  std::uint64_t count_ NETCOW_GUARDED_BY(mutex_) = 0;
  bool ending_ NETCOW_GUARDED_BY(mutex_) = false;
};

/// What all clients of one server share.
struct Shared {
  const HttpServerOptions options;
  const HttpHandler handler;
  std::atomic<std::uint64_t> sequence = 0;  ///< of the last request whose header came in
  UnansweredRequests unanswered = {};
};

/// One client. Everything runs on the strand of its socket; pending operations, and the answer that
/// is owed, keep it alive.
///
///   header -> (100 Continue ->) body -> handler -> answer -> header ...
///                                                         -> discard what is left, end
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(asio::ip::tcp::socket socket, Shared& shared)
      : stream_(std::move(socket)), options_(shared.options), shared_(shared) {}

  void start() {
    beast::error_code ignored;
    stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    asio::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->readHeader(); });
  }

 private:
  using Body = http::vector_body<std::byte>;

  void readHeader() {
    parser_ = std::make_unique<http::request_parser<Body>>();
    parser_->body_limit(options_.longestBody);
    stream_.expires_after(options_.longestSilence);
    http::async_read_header(
        stream_, buffer_, *parser_,
        beast::bind_front_handler(&HttpConnection::onHeader, shared_from_this()));
  }

  void onHeader(const beast::error_code& error, std::size_t) {
    sequence_ = ++shared_.sequence;
    if (error) {
      onReadError(error);
    } else if (!parser_->is_done() &&
               beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
      invite();
    } else {
      readBody();
    }
  }

  void invite() {
    invitation_ = {http::status::continue_, parser_->get().version()};
    stream_.expires_after(options_.longestSilence);
    http::async_write(stream_, invitation_,
                      [self = shared_from_this()](const beast::error_code& error, std::size_t) {
                        if (!error) {
                          self->readBody();
                        }
                      });
  }

  /// Piece by piece, so that a slow body is fine as long as it moves.
  void readBody() {
    if (parser_->is_done()) {
      answer();
      return;
    }
    // As much as the buffer has room for comes at a time; by itself it would be 512 bytes.
    buffer_.reserve(kBodyPiece);
    stream_.expires_after(options_.longestSilence);
    http::async_read_some(stream_, buffer_, *parser_,
                          [self = shared_from_this()](const beast::error_code& error, std::size_t) {
                            if (error) {
                              self->onReadError(error);
                            } else {
                              self->readBody();
                            }
                          });
  }

  void onReadError(const beast::error_code& error) {
    if (error == http::error::body_limit) {
      refuse({.status = 413, .body = "the body is too long\n"});
    } else if (error == http::error::header_limit) {
      refuse({.status = 431, .body = "the header is too long\n"});
    } else if (error.category() == http::make_error_code(http::error::end_of_stream).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      refuse({.status = 400, .body = "not a sound HTTP request: " + error.message() + "\n"});
    }
    // Otherwise the client left or was silent for too long.
  }

  void answer() {
    auto message = parser_->release();
    HttpRequest request = {.method = message.method_string(),
                           .target = message.target(),
                           .body = std::move(message.body()),
                           .fields = fieldsOf(message),
                           .sequence = sequence_};
    const bool headerOnly = message.method() == http::verb::head;
    if (shared_.unanswered.add()) {
      call(std::move(request), replyFor(message.version(), message.keep_alive(), headerOnly));
    }
  }

  /// May be used on any thread. The connection goes along to its own threads, and what the server
  /// is told comes last: behind that it may end.
  HttpReply replyFor(unsigned version, bool keepAlive, bool headerOnly) {
    return HttpReply(
        [self = shared_from_this(), version, keepAlive, headerOnly](HttpResponse response) mutable {
          UnansweredRequests& unanswered = self->shared_.unanswered;
          const auto executor = self->stream_.get_executor();
          asio::post(executor,
                     [self = std::move(self), response = std::move(response), version, keepAlive,
                      headerOnly] { self->send(response, version, keepAlive, headerOnly); });
          unanswered.remove();
        });
  }

  void call(HttpRequest&& request, HttpReply reply) {
    const std::string line = request.method + " " + request.target;
    try {
      shared_.handler(std::move(request), std::move(reply));
    } catch (const std::exception& error) {
      spdlog::error("{}: {}", line, error.what());
    }
  }

  void refuse(const HttpResponse& response) { send(response, 11, false, false); }

  void send(const HttpResponse& response, unsigned version, bool keepAlive, bool headerOnly) {
    response_ = {};
    response_.version(version);
    response_.result(response.status);
    response_.set(http::field::server, "netcow");
    response_.set(http::field::content_type, response.contentType);
    if (!response.allow.empty()) {
      response_.set(http::field::allow, response.allow);
    }
    if (response.retryAfterSeconds) {
      response_.set(http::field::retry_after, std::to_string(*response.retryAfterSeconds));
    }
    for (const auto& [name, value] : response.fields) {
      response_.insert(name, value);
    }
    response_.keep_alive(keepAlive);
    response_.content_length(response.body.size());
    if (!headerOnly) {
      response_.body() = response.body;
    }
    stream_.expires_after(options_.longestSilence);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](const beast::error_code& error, std::size_t) {
                        self->onSent(error);
                      });
  }

  void onSent(const beast::error_code& error) {
    if (error) {
      return;
    }
    if (response_.keep_alive()) {
      readHeader();
      return;
    }
    beast::error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    discard();
  }

  void discard() {
    buffer_.clear();
    stream_.expires_after(options_.longestSilence);
    stream_.async_read_some(
        buffer_.prepare(std::size_t{64} << 10U),
        [self = shared_from_this()](const beast::error_code& error, std::size_t length) {
          self->discarded_ += length;
          if (!error && self->discarded_ < kMostDiscarded) {
            self->discard();
          }
        });
  }

  beast::tcp_stream stream_;
  const HttpServerOptions& options_;
  Shared& shared_;
  beast::flat_buffer buffer_;
  std::unique_ptr<http::request_parser<Body>> parser_;  // of the request that is being read
  http::response<http::empty_body> invitation_;
  http::response<http::string_body> response_;
  std::uint64_t sequence_ = 0;  // of the request that is being read
  std::size_t discarded_ = 0;
};

}  // namespace

struct HttpServer::Parts {
  Parts(HttpServerOptions options, HttpHandler handler)
      : shared{.options = std::move(options), .handler = std::move(handler)},
        threads("http", kThreads),
        accepting(threads.context(), shared.options.address, [this](AcceptLoop::Socket socket) {
          std::make_shared<HttpConnection>(std::move(socket), shared)->start();
        }) {}
  // Whatever handlers use must still be there when the last answer was given.
  ~Parts() {
    shared.unanswered.end();
    threads.stop();
  }

  Shared shared;
  IoThreads threads;
  AcceptLoop accepting;
};

HttpServer::HttpServer(HttpServerOptions options, HttpHandler handler)
    : parts_(std::make_unique<Parts>(std::move(options), std::move(handler))) {}

HttpServer::~HttpServer() = default;

void HttpServer::start() {
  parts_->accepting.start();
}

ListenAddress HttpServer::address() const {
  return parts_->accepting.address();
}

}  // namespace netcow
