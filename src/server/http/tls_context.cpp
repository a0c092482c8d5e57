// SPDX-License-Identifier: Apache-2.0
#include "server/http/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>
#include <cstdio>

#include "base/errors.h"
#include "base/whole_io.h"

namespace netcow {
namespace {

namespace ssl = boost::asio::ssl;

[[noreturn]] void refuse(const std::string& what, const std::string& why) {
  throw UserError("cannot use " + what + ": " + why +
                  "; give PEM files that belong together with --tls-cert and --tls-key");
}

std::string lastReason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason != nullptr ? reason : "it is not what was expected";
}

void requireReadable(const std::string& what, const std::string& path) {
  try {
    readTextFile(path);
  } catch (const std::system_error& error) {
    refuse(what + path, error.code().message());
  }
}

}  // namespace

std::shared_ptr<ssl::context> loadTls(const TlsFiles& files) {
  if (files.certificate.empty()) {
    return nullptr;
  }
  requireReadable("the certificate ", files.certificate);
  requireReadable("the private key ", files.key);
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* const native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  // Nobody is there to type a pass phrase.
  SSL_CTX_set_default_passwd_cb(native, [](char*, int, int, void*) { return 0; });
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(native, files.certificate.c_str()) != 1) {
    refuse("the certificate " + files.certificate, lastReason());
  }
  if (SSL_CTX_use_PrivateKey_file(native, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(native) != 1) {
    refuse("the private key " + files.key + " with the certificate " + files.certificate,
           lastReason());
  }
  return context;
}

}  // namespace netcow
