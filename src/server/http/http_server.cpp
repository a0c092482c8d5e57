// SPDX-License-Identifier: Apache-2.0
#include "server/http/http_server.h"

#include <deque>
#include <memory>
#include <utility>

#include "base/mutex.h"
#include "server/http/http_clients.h"
#include "server/net/accept_loop.h"
#include "server/net/io_threads.h"
#include "server/net/listening_sockets.h"

namespace netcow {
namespace {

constexpr int kThreads = 2;

/// Without a port, and an IPv4 address as such also where it came in over IPv6.
std::string addressOf(const AcceptLoop::Socket& socket) {
  boost::system::error_code error;
  auto address = socket.remote_endpoint(error).address();
  if (error) {
    return "unknown";  // it left again
  }
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
  }
  return address.to_string();
}

}  // namespace

struct HttpServer::Parts {
  Parts(HttpServerOptions options, HttpHandler handler)
      : shared(std::move(options), std::move(handler)),
        tls(loadTls(shared.options.tls)),
        threads("http", kThreads) {
    for (UniqueFd& socket : listenOn(shared.options.addresses)) {
      accepting.emplace_back(threads.context(), std::move(socket),
                             [this](AcceptLoop::Socket client) { serve(std::move(client)); });
    }
  }
  // Whatever handlers use must still be there when the last answer was given.
  ~Parts() {
    shared.unanswered.end(shared.options.patienceAtTheEnd);
    threads.stop();
  }

  void serve(AcceptLoop::Socket socket) {
    const std::string address = addressOf(socket);
    auto place = shared.limits.enter(address);
    const bool told = place->verdict() == ClientLimits::Verdict::serve ||
                      (place->verdict() == ClientLimits::Verdict::refuse && !currentTls());
    if (!told) {
      return;  // a handshake costs more than the client is worth now
    }
    HttpClientSocket client = {std::move(socket), address, std::move(place)};
    if (auto context = currentTls()) {
      serveTlsClient(std::move(client), shared, std::move(context));
    } else {
      servePlainClient(std::move(client), shared);
    }
  }

  std::shared_ptr<boost::asio::ssl::context> currentTls() {
    const MutexLock lock(mutex);
    return tls;
  }

  HttpShared shared;
  Mutex mutex;
  std::shared_ptr<boost::asio::ssl::context> tls NETCOW_GUARDED_BY(mutex);
  IoThreads threads;
  std::deque<AcceptLoop> accepting;
};

HttpServer::HttpServer(HttpServerOptions options, HttpHandler handler)
    : parts_(std::make_unique<Parts>(std::move(options), std::move(handler))) {}

HttpServer::~HttpServer() = default;

void HttpServer::start() {
  for (AcceptLoop& loop : parts_->accepting) {
    loop.start();
  }
}

void HttpServer::replaceTls(const TlsFiles& files) {
  auto context = loadTls(files);
  const MutexLock lock(parts_->mutex);
  if ((context == nullptr) == (parts_->tls == nullptr)) {
    parts_->tls = std::move(context);
  }
}

void HttpServer::replaceLimits(HttpLimits limits) {
  parts_->shared.limits.replace(limits);
}

std::vector<ListenAddress> HttpServer::addresses() const {
  std::vector<ListenAddress> addresses;
  for (const AcceptLoop& loop : parts_->accepting) {
    addresses.push_back(loop.address());
  }
  return addresses;
}

}  // namespace netcow
