// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

// So that only those who speak TLS compile it.
namespace boost::asio::ssl {
class context;
}

namespace netcow {

/// Files of PEM: a certificate with its chain, and its private key. Both empty = no TLS.
struct TlsFiles {
  std::string certificate;
  std::string key;
};

/// What a server needs to speak TLS 1.2 or 1.3. Throws UserError, which says which file is wrong
/// and why. Null for no TLS.
std::shared_ptr<boost::asio::ssl::context> loadTls(const TlsFiles& files);

}  // namespace netcow
