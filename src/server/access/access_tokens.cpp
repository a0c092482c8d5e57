// SPDX-License-Identifier: Apache-2.0
#include "server/access/access_tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

#include "server/http/form.h"

namespace netcow {

SecretDigest digestOf(std::string_view secret) {
  SecretDigest digest;
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), digest.data());
  return digest;
}

bool AccessToken::mayChange(std::string_view imageName) const {
  return admin || std::ranges::any_of(images, [&](const std::string& pattern) {
           return matchesPattern(pattern, imageName);
         });
}

// One row of a table: after each part of the pattern, which lengths of the name it fits.
bool matchesPattern(std::string_view pattern, std::string_view name) {
  std::vector<char> fits(name.size() + 1, 0);
  fits[0] = 1;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool star = pattern[i] == '*';
    const bool any = star && pattern.substr(i).starts_with("**");
    i += any ? 1 : 0;
    char before = 0;  // fits[n - 1] without this part of the pattern
    for (std::size_t n = 0; n <= name.size(); ++n) {
      const char here = fits[n];
      if (star) {
        const bool longer = n > 0 && fits[n - 1] != 0 && (any || name[n - 1] != '/');
        fits[n] = here != 0 || longer ? 1 : 0;
      } else {
        const bool same =
            n > 0 && (pattern[i] == '?' ? name[n - 1] != '/' : pattern[i] == name[n - 1]);
        fits[n] = before != 0 && same ? 1 : 0;
      }
      before = here;
    }
  }
  return fits.back() != 0;
}

const AccessToken* AccessTokens::find(std::string_view secret) const {
  const SecretDigest digest = digestOf(secret);
  const AccessToken* found = nullptr;
  for (const AccessToken& token : tokens_) {  // all of them, whichever it is
    if (CRYPTO_memcmp(token.digest.data(), digest.data(), digest.size()) == 0) {
      found = &token;
    }
  }
  return found;
}

std::optional<std::string_view> bearerSecret(std::string_view field) {
  constexpr std::string_view kScheme = "bearer ";
  if (toLowerCase(field.substr(0, kScheme.size())) != kScheme) {
    return std::nullopt;
  }
  field.remove_prefix(kScheme.size());
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  return field.substr(0, field.find_last_not_of(' ') + 1);
}

}  // namespace netcow
