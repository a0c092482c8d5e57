// SPDX-License-Identifier: Apache-2.0
#include "server/http/http_connection.h"

namespace netcow {
namespace {

class PlainTransport {
 public:
  explicit PlainTransport(boost::asio::ip::tcp::socket socket) : stream_(std::move(socket)) {}

  boost::beast::tcp_stream& stream() { return stream_; }
  template <class Done>
  void prepare(Done done) {
    done({});
  }
  template <class Done>
  void farewell(Done done) {
    done();
  }

 private:
  boost::beast::tcp_stream stream_;
};

}  // namespace

void servePlainClient(HttpClientSocket client, HttpShared& shared) {
  std::make_shared<HttpConnection<PlainTransport>>(std::move(client), shared)->start();
}

}  // namespace netcow
