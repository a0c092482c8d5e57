// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "server/http/http_connection.h"

namespace netcow {
namespace {

namespace ssl = boost::asio::ssl;

class TlsTransport {
 public:
  TlsTransport(boost::asio::ip::tcp::socket socket, std::shared_ptr<ssl::context> context)
      : context_(std::move(context)), stream_(std::move(socket), *context_) {}

  auto& stream() { return stream_; }
  template <class Done>
  void prepare(Done done) {
    stream_.async_handshake(ssl::stream_base::server, std::move(done));
  }
  template <class Done>
  void farewell(Done done) {
    // However it goes: a client that just leaves is none of our concern.
    stream_.async_shutdown([done](const boost::beast::error_code&) { done(); });
  }

 private:
  const std::shared_ptr<ssl::context> context_;  // that of the time when the client came
  boost::beast::ssl_stream<boost::beast::tcp_stream> stream_;
};

}  // namespace

void serveTlsClient(HttpClientSocket client, HttpShared& shared,
                    std::shared_ptr<ssl::context> tls) {
  std::make_shared<HttpConnection<TlsTransport>>(std::move(client), shared, std::move(tls))
      ->start();
}

}  // namespace netcow
