// SPDX-License-Identifier: Apache-2.0
#include "base/keyed_hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <new>
#include <stdexcept>
#include <string>

namespace netcow {
namespace {

constexpr std::size_t kNonceSize = 12;  // bytes; the one for which GMAC needs no hash of its own

void check(int result) {
  if (result != 1) {
    throw std::runtime_error("OpenSSL cannot compute GMAC");
  }
}

evp_mac_ctx_st* makeContext() {
  EVP_MAC* const mac = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_GMAC, nullptr);
  check(mac != nullptr ? 1 : 0);
  evp_mac_ctx_st* const context = EVP_MAC_CTX_new(mac);  // keeps `mac` alive
  EVP_MAC_free(mac);
  if (context == nullptr) {
    throw std::bad_alloc();
  }
  return context;
}

const unsigned char* bytesOf(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

KeyedHash::KeyedHash(const HashKey& key) : key_(key), context_(makeContext()) {
  try {
    restart();
  } catch (...) {
    EVP_MAC_CTX_free(context_);
    throw;
  }
}

KeyedHash::~KeyedHash() {
  EVP_MAC_CTX_free(context_);
}

void KeyedHash::add(std::span<const std::byte> bytes) {
  if (!bytes.empty()) {
    check(EVP_MAC_update(context_, bytesOf(bytes), bytes.size()));
  }
}

KeyedDigest KeyedHash::finish() {
  KeyedDigest digest;
  std::size_t size = 0;
  check(EVP_MAC_final(context_, reinterpret_cast<unsigned char*>(digest.data()), &size,
                      digest.size()));
  check(size == digest.size() ? 1 : 0);
  return digest;
}

void KeyedHash::restart() {
  // Always the same nonce: digests are compared with each other and with nothing else, and the mask
  // that it makes is then the same in all of them.
  std::array<unsigned char, kNonceSize> nonce = {};
  std::string cipher = "AES-128-GCM";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, nonce.data(), nonce.size()),
      OSSL_PARAM_construct_end()};
  check(EVP_MAC_init(context_, bytesOf(key_), key_.size(), parameters));
}

HashKey randomHashKey() {
  HashKey key;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size())) != 1) {
    throw std::runtime_error("OpenSSL has no random numbers");
  }
  return key;
}

}  // namespace netcow
