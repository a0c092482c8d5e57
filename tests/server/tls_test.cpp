// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include <fstream>

#include "base/errors.h"
#include "server/http/http_server.h"
#include "server/raw_client.h"
#include "server/test_certificate.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::RawClient;
using testing::HasSubstr;
using testing::StartsWith;

/// A client that trusts everybody and remembers whom it met.
class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, int newestVersion = TLS1_3_VERSION)
      : tcp_(port), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_.get(), newestVersion);
    SSL_CTX_set_security_level(context_.get(), 0);  // so that only the server refuses old versions
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), tcp_.descriptor());
    connected_ = SSL_connect(ssl_.get()) == 1;
  }

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] std::string version() const { return SSL_get_version(ssl_.get()); }
  [[nodiscard]] long serial() const {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        SSL_get1_peer_certificate(ssl_.get()), X509_free);
    return ASN1_INTEGER_get(X509_get0_serialNumber(certificate.get()));
  }
  void send(const std::string& text) {
    ASSERT_EQ(SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())),
              static_cast<int>(text.size()));
  }
  /// Until the answer holds `end`, or the connection ends.
  std::string receiveUntil(const std::string& end) {
    std::string text;
    char buffer[4096];
    while (text.find(end) == std::string::npos) {
      const int length = SSL_read(ssl_.get(), buffer, sizeof buffer);
      if (length <= 0) {
        break;
      }
      text.append(buffer, static_cast<std::size_t>(length));
    }
    return text;
  }
  /// True when the server ended in order, with TLS's own farewell.
  bool wasEnded() {
    char byte = 0;
    return SSL_read(ssl_.get(), &byte, 1) == 0 &&
           SSL_get_shutdown(ssl_.get()) == SSL_RECEIVED_SHUTDOWN;
  }

 private:
  RawClient tcp_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
  bool connected_ = false;
};

class TlsTest : public testing::Test {
 protected:
  TlsTest() { test::makeCertificate(files_.certificate, files_.key, 1); }
  void start() {
    HttpServerOptions options;
    options.addresses = {{"127.0.0.1", 0}};
    options.tls = files_;
    server_ = std::make_unique<HttpServer>(
        options, answeringAtOnce([](const HttpRequest& request) -> HttpResponse {
          return {.body = request.target + " " + std::to_string(request.body.size())};
        }));
    server_->start();
  }
  [[nodiscard]] std::uint16_t port() const { return server_->addresses().front().port; }
  static std::string refusalOf(const TlsFiles& files) {
    try {
      loadTls(files);
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  }

  test::TemporaryDirectory directory_;
  const TlsFiles files_ = {directory_.path() / "cert.pem", directory_.path() / "key.pem"};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(TlsTest, SpeaksHttpOverTlsWithKeepAlive) {
  start();
  TlsClient client(port());
  ASSERT_TRUE(client.connected());
  client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.receiveUntil("/a 0"), StartsWith("HTTP/1.1 200"));
  client.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" +
              std::string(1'000'000, 'x'));
  EXPECT_THAT(client.receiveUntil("/b 1000000"), StartsWith("HTTP/1.1 200"));
  client.send("GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.receiveUntil("/c 0"), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(client.wasEnded());
}

TEST_F(TlsTest, SpeaksNoVersionBelow12) {
  start();
  EXPECT_FALSE(TlsClient(port(), TLS1_1_VERSION).connected());
  EXPECT_EQ(TlsClient(port(), TLS1_2_VERSION).version(), "TLSv1.2");
  EXPECT_EQ(TlsClient(port()).version(), "TLSv1.3");
}

TEST_F(TlsTest, DropsWhoDoesNotSpeakTls) {
  start();
  RawClient plain(port());
  plain.send(std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  const auto answer = plain.receiveUntilClosed();  // an alert at most
  EXPECT_LT(answer.size(), 100U);
  EXPECT_TRUE(TlsClient(port()).connected());
}

TEST_F(TlsTest, NewClientsGetTheNewCertificateAndOldOnesGoOn) {
  start();
  TlsClient before(port());
  EXPECT_EQ(before.serial(), 1);
  test::makeCertificate(files_.certificate, files_.key, 2);
  server_->replaceTls(files_);
  EXPECT_EQ(TlsClient(port()).serial(), 2);
  before.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(before.receiveUntil("/a 0"), StartsWith("HTTP/1.1 200"));
}

TEST_F(TlsTest, WrongFilesAreToldAndChangeNothing) {
  start();
  const std::string other = directory_.path() / "other";
  test::makeCertificate(other + ".cert", other + ".key", 3);
  const std::string garbage = directory_.path() / "garbage";
  std::ofstream(garbage) << "no PEM\n";
  EXPECT_THAT(refusalOf({files_.certificate, other + ".key"}), HasSubstr("mismatch"));
  EXPECT_THAT(refusalOf({files_.certificate, "/nowhere"}),
              HasSubstr("the private key /nowhere: No such file or directory"));
  EXPECT_THAT(refusalOf({"/nowhere", files_.key}), HasSubstr("the certificate /nowhere"));
  EXPECT_THAT(refusalOf({garbage, files_.key}), HasSubstr("the certificate " + garbage));
  EXPECT_THAT(refusalOf({files_.certificate, garbage}), HasSubstr("the private key " + garbage));
  EXPECT_THROW(server_->replaceTls({garbage, garbage}), UserError);
  EXPECT_EQ(TlsClient(port()).serial(), 1);
}

}  // namespace
}  // namespace netcow
