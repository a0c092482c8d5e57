// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <span>

struct evp_mac_ctx_st;

namespace netcow {

/// A secret that makes hashes of its own, and such a hash.
using HashKey = std::array<std::byte, 16>;
using KeyedDigest = std::array<std::byte, 16>;

/// Tells contents apart, at several GB a second: GMAC (NIST SP 800-38D), with OpenSSL.
///
/// For a key that was drawn at random, any two different contents of up to 2 MiB that do not depend
/// on it have the same digest with a probability below 2^-110. Who knows the key can make contents
/// that collide: it is for files that only their owner reads, and proves nothing to anybody.
/// SHA-256 would need no secret, but takes as long as sending over a fast network.
///
/// Not thread-safe.
class KeyedHash {
 public:
  /// Throws std::runtime_error if OpenSSL has no GMAC, and std::bad_alloc.
  explicit KeyedHash(const HashKey& key);
  ~KeyedHash();
  KeyedHash(const KeyedHash&) = delete;
  KeyedHash& operator=(const KeyedHash&) = delete;

  void add(std::span<const std::byte> bytes);
  /// The digest of everything added since the start or the last restart(); needs a restart() then.
  [[nodiscard]] KeyedDigest finish();
  void restart();

 private:
  const HashKey key_;
  evp_mac_ctx_st* context_;
};

/// Throws std::runtime_error if there are no random numbers.
HashKey randomHashKey();

}  // namespace netcow
