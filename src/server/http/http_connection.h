// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "base/logging.h"
#include "server/http/form.h"
#include "server/http/http_clients.h"

namespace netcow {

/// One client of an HttpServer. Everything runs on the strand of its socket; pending operations,
/// and the answer that is owed, keep it alive.
///
///   (handshake ->) silence -> header -> (100 Continue ->) body -> handler -> answer -> silence ...
///                                                    -> farewell: discard what still comes, end
///
/// Every arrow has a time limit, which is set anew before each wait; a client that passes one is
/// dropped. A request that is refused on the way is answered and the connection ended, after what
/// the client still sends was read: closing with unread bytes would reset the connection, and the
/// client might never see the answer.
///
/// `Transport` is the stream with what differs between TCP and TLS: stream(), prepare(done) before
/// the first byte, and farewell(done) after the last. Compiled in two files only, for it takes half
/// a minute.
template <class Transport>
class HttpConnection : public std::enable_shared_from_this<HttpConnection<Transport>> {
  using Error = boost::beast::error_code;
  using Body = boost::beast::http::vector_body<std::byte>;
  using Clock = std::chrono::steady_clock;

 public:
  template <class... Arguments>
  HttpConnection(HttpClientSocket client, HttpShared& shared, Arguments&&... arguments)
      : transport_(std::move(client.socket), std::forward<Arguments>(arguments)...),
        address_(std::move(client.address)),
        shared_(shared),
        options_(shared.options),
        place_(std::move(client.place)) {}

  void start() {
    Error ignored;
    tcp().socket().set_option(boost::asio::ip::tcp::no_delay(true), ignored);
    boost::asio::dispatch(tcp().get_executor(), [self = this->shared_from_this()] {
      self->waitAtMost(self->options_.longestHeader);
      self->transport_.prepare([self](const Error& error) {
        if (!error) {
          self->awaitRequest();
        }
      });
    });
  }

 private:
  auto& tcp() { return boost::beast::get_lowest_layer(transport_.stream()); }
  void waitAtMost(std::chrono::milliseconds limit) { tcp().expires_after(limit); }

  /// Between two requests a client may be silent, and holds no memory for what it might send.
  void awaitRequest() {
    parser_ = nullptr;
    if (buffer_.size() > 0) {
      readHeader();
      return;
    }
    buffer_.shrink_to_fit();
    constexpr std::size_t kFirstRead = 512;
    waitAtMost(options_.longestSilence);
    transport_.stream().async_read_some(
        buffer_.prepare(kFirstRead),
        [self = this->shared_from_this()](const Error& error, std::size_t length) {
          if (!error) {
            self->buffer_.commit(length);
            self->readHeader();
          }
        });
  }

  void readHeader() {
    began_ = Clock::now();
    exchange_ = {.client = address_};
    parser_ = std::make_unique<boost::beast::http::request_parser<Body>>();
    parser_->body_limit(options_.longestBody);
    waitAtMost(options_.longestHeader);
    boost::beast::http::async_read_header(
        transport_.stream(), buffer_, *parser_,
        [self = this->shared_from_this()](const Error& error, std::size_t) {
          self->onHeader(error);
        });
  }

  void onHeader(const Error& error) {
    sequence_ = ++shared_.sequence;
    exchange_.method = std::string(parser_->get().method_string());
    exchange_.target = std::string(parser_->get().target());
    if (error) {
      onReadError(error);
    } else if (place_->verdict() != ClientLimits::Verdict::serve) {
      refuse({.status = 503, .body = "too many connections\n", .retryAfterSeconds = 5});
    } else if (!parser_->is_done() && !reserveBody()) {
      refuse({.status = 503, .body = "too much is being sent at once\n", .retryAfterSeconds = 1});
    } else if (!parser_->is_done() &&
               boost::beast::iequals(parser_->get()[boost::beast::http::field::expect],
                                     "100-continue")) {
      invite();
    } else {
      readBody();
    }
  }

  /// Its share of memory is held until the request is answered: a handler keeps the body as long as
  /// it waits for the disk.
  bool reserveBody() {
    memory_ = shared_.bodies.take(parser_->content_length().value_or(options_.longestBody));
    if (memory_ && !parser_->content_length()) {
      // Growing piece by piece would take up to three times as much on the way.
      parser_->get().body().reserve(options_.longestBody);
    }
    return static_cast<bool>(memory_);
  }

  void invite() {
    invitation_ = {boost::beast::http::status::continue_, parser_->get().version()};
    waitAtMost(options_.longestSilence);
    boost::beast::http::async_write(
        transport_.stream(), invitation_,
        [self = this->shared_from_this()](const Error& error, std::size_t) {
          if (!error) {
            self->readBody();
          }
        });
  }

  /// Piece by piece, for each of which the pace is looked at.
  void readBody() {
    if (parser_->is_done()) {
      answer();
      return;
    }
    // As much as the buffer has room for comes at a time; by itself it would be 512 bytes.
    constexpr std::size_t kBodyPiece = std::size_t{64} << 10U;
    buffer_.reserve(kBodyPiece);
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began_);
    const auto patience = options_.bodyPace.patience(elapsed, parser_->get().body().size());
    waitAtMost(std::min(patience, options_.longestSilence));
    boost::beast::http::async_read_some(
        transport_.stream(), buffer_, *parser_,
        [self = this->shared_from_this()](const Error& error, std::size_t) {
          if (error) {
            self->onReadError(error);
          } else {
            self->readBody();
          }
        });
  }

  void onReadError(const Error& error) {
    namespace http = boost::beast::http;
    if (error == http::error::body_limit) {
      refuse({.status = 413, .body = "the body is too long\n"});
    } else if (error == http::error::header_limit) {
      refuse({.status = 431, .body = "the header is too long\n"});
    } else if (error.category() == http::make_error_code(http::error::end_of_stream).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      refuse({.status = 400, .body = "not a sound HTTP request: " + error.message() + "\n"});
    }
    // Otherwise the client left or was too slow.
  }

  void answer() {
    auto message = parser_->release();
    exchange_.bytesReceived = message.body().size();
    HttpRequest request = {.method = exchange_.method,
                           .target = exchange_.target,
                           .body = std::move(message.body()),
                           .fields = {},
                           .client = address_,
                           .sequence = sequence_};
    for (const auto& field : message) {
      request.fields.emplace_back(toLowerCase(field.name_string()), field.value());
    }
    const bool headerOnly = message.method() == boost::beast::http::verb::head;
    if (shared_.unanswered.add()) {
      call(std::move(request), replyFor(message.version(), message.keep_alive(), headerOnly));
    }
  }

  /// May be used on any thread. The connection goes along to its own threads, and what the server
  /// is told comes last: behind that it may end.
  HttpReply replyFor(unsigned version, bool keepAlive, bool headerOnly) {
    return HttpReply([self = this->shared_from_this(), version, keepAlive,
                      headerOnly](HttpResponse response) mutable {
      UnansweredRequests& unanswered = self->shared_.unanswered;
      unanswered.sending();
      {
        // Gone before the server may end: a strand must not outlive its threads.
        const auto executor = self->tcp().get_executor();
        boost::asio::post(executor, [self = std::move(self), response = std::move(response),
                                     version, keepAlive, headerOnly] {
          self->delivery_.emplace(self->shared_.unanswered);
          self->send(response, version, keepAlive, headerOnly);
        });
      }
      unanswered.removed();
    });
  }

  void call(HttpRequest&& request, HttpReply reply) {
    try {
      shared_.handler(std::move(request), std::move(reply));
    } catch (const std::exception& error) {
      spdlog::error("{} {}: {}", exchange_.method, exchange_.target, error.what());
    }
  }

  void refuse(const HttpResponse& response) { send(response, 11, false, false); }

  void send(const HttpResponse& response, unsigned version, bool keepAlive, bool headerOnly) {
    namespace http = boost::beast::http;
    parser_ = nullptr;  // with what there is of the body of a request that is refused
    memory_ = {};
    exchange_.status = response.status;
    exchange_.caller = response.caller;
    exchange_.bytesSent = headerOnly ? 0 : response.body.size();
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
    waitAtMost(options_.longestSilence);
    http::async_write(transport_.stream(), response_,
                      [self = this->shared_from_this()](const Error& error, std::size_t) {
                        self->onSent(error);
                      });
  }

  void onSent(const Error& error) {
    delivery_.reset();
    if (options_.onAnswered) {
      exchange_.took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began_);
      options_.onAnswered(exchange_);
    }
    if (error) {
      return;
    }
    const bool goesOn = response_.keep_alive();
    response_ = {};
    if (goesOn) {
      awaitRequest();
      return;
    }
    waitAtMost(options_.longestHeader);
    transport_.farewell([self = this->shared_from_this()] {
      Error ignored;
      self->tcp().socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
      self->discard();
    });
  }

  /// Below TLS: nobody looks at it any more.
  void discard() {
    constexpr std::size_t kMostDiscarded = std::size_t{16} << 20U;
    buffer_.clear();
    waitAtMost(options_.longestHeader);
    tcp().async_read_some(
        buffer_.prepare(std::size_t{64} << 10U),
        [self = this->shared_from_this()](const Error& error, std::size_t length) {
          self->discarded_ += length;
          if (!error && self->discarded_ < kMostDiscarded) {
            self->discard();
          }
        });
  }

  /// That an answer is on its way, until it is destroyed.
  class Delivery {
   public:
    explicit Delivery(UnansweredRequests& unanswered) : unanswered_(unanswered) {}
    ~Delivery() { unanswered_.delivered(); }
    Delivery(const Delivery&) = delete;
    Delivery& operator=(const Delivery&) = delete;

   private:
    UnansweredRequests& unanswered_;
  };

  Transport transport_;
  const std::string address_;
  HttpShared& shared_;
  const HttpServerOptions& options_;
  const std::unique_ptr<ClientLimits::Place> place_;
  boost::beast::flat_buffer buffer_;
  // Of the request that is being read or answered.
  std::unique_ptr<boost::beast::http::request_parser<Body>> parser_;
  BodyMemory::Share memory_;
  std::uint64_t sequence_ = 0;
  Clock::time_point began_;
  HttpExchange exchange_;
  boost::beast::http::response<boost::beast::http::empty_body> invitation_;
  boost::beast::http::response<boost::beast::http::string_body> response_;
  std::optional<Delivery> delivery_;
  std::size_t discarded_ = 0;
};

}  // namespace netcow
