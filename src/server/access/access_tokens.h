// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netcow {

/// SHA-256 of a secret.
using SecretDigest = std::array<unsigned char, 32>;

SecretDigest digestOf(std::string_view secret);

/// One who may change images.
struct AccessToken {
  std::string name;          ///< letters, digits, '-' and '_'
  SecretDigest digest = {};  ///< of the secret: itself it is not kept
  std::vector<std::string>
      images;          ///< patterns of names; '*' and '?' stand for any but '/', "**" for all
  bool admin = false;  ///< every image, and the uploads of others too

  [[nodiscard]] bool mayChange(std::string_view imageName) const;
};

/// Whether a name fits a pattern: '?' is any one character but '/', '*' any number of them, "**"
/// any number of any. Time is at most proportional to the product of both lengths.
bool matchesPattern(std::string_view pattern, std::string_view name);

/// The tokens of a server. Immutable.
class AccessTokens {
 public:
  explicit AccessTokens(std::vector<AccessToken> tokens) : tokens_(std::move(tokens)) {}

  /// Reads a token file (docs/server.md), and warns when others on this machine can read it. Throws
  /// UserError, which names the line.
  static AccessTokens fromFile(const std::string& path);
  /// The same of a text that messages call `path`.
  static AccessTokens parse(const std::string& path, std::string_view text);

  [[nodiscard]] const std::vector<AccessToken>& all() const { return tokens_; }

  /// Whose secret that is; null for nobody's. Takes the same time whatever is wrong with it.
  [[nodiscard]] const AccessToken* find(std::string_view secret) const;

 private:
  std::vector<AccessToken> tokens_;
};

/// The secret in a header field "Authorization: Bearer SECRET"; nothing if it is something else.
std::optional<std::string_view> bearerSecret(std::string_view field);

}  // namespace netcow
