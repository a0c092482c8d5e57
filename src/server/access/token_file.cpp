// SPDX-License-Identifier: Apache-2.0
// The file of tokens: a table for each, named as the token is.
#include <sys/stat.h>

#include <algorithm>

#include "base/errors.h"
#include "base/logging.h"
#include "base/toml_file.h"
#include "server/access/access_tokens.h"

namespace netcow {
namespace {

// Shorter ones can be guessed by trying.
constexpr std::size_t kShortestSecret = 16;

/// What can travel in a field of a header as one word; clients send nothing else.
bool isSecretCharacter(char c) {
  return c > ' ' && c <= '~';
}

bool isNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

std::optional<SecretDigest> parseDigest(std::string_view text) {
  SecretDigest digest = {};
  const auto value = [](char c) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    return kDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
  };
  if (text.size() != 2 * digest.size()) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const std::size_t high = value(text[2 * i]);
    const std::size_t low = value(text[2 * i + 1]);
    if (high > 15 || low > 15) {
      return std::nullopt;
    }
    digest[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return digest;
}

/// Reads one table; `set` says what of it was there.
class TokenReader {
 public:
  TokenReader(const TomlFile& file, const toml::key& name) : file_(file), name_(name.str()) {
    if (name_.empty() || !std::ranges::all_of(name_, isNameCharacter)) {
      file_.refuse(name.source().begin.line, "the name of a token, \"" + name_ +
                                                 "\", may hold letters, digits, - and _ only");
    }
    token_.name = name_;
  }

  AccessToken read(const toml::table& table) {
    const std::uint32_t line = table.source().begin.line;
    for (const auto& [key, node] : table) {
      take(key, node);
    }
    if (!hasSecret_) {
      file_.refuse(line, "[" + name_ + "] needs token = \"...\" or token-sha256 = \"...\"");
    }
    if (!token_.admin && token_.images.empty()) {
      file_.refuse(line, "[" + name_ + "] needs images = [\"PATTERN\"], or admin = true");
    }
    return token_;
  }

 private:
  void take(const toml::key& key, const toml::node& node) {
    const std::string_view name = key.str();
    const auto refuse = [&](const std::string& must) {
      file_.refuse(key.source().begin.line,
                   "\"" + std::string(name) + "\" of [" + name_ + "] " + must);
    };
    if (name == "token" || name == "token-sha256") {
      const auto text = node.value_exact<std::string>();
      if (!text || hasSecret_) {
        refuse(hasSecret_ ? "comes after another secret; give one" : "must be a string");
      }
      if (name == "token" && text->size() < kShortestSecret) {
        refuse("must have at least " + std::to_string(kShortestSecret) + " characters");
      }
      if (name == "token" && !std::ranges::all_of(*text, isSecretCharacter)) {
        refuse(
            "holds a blank or a character that is not printable ASCII, which no client can send");
      }
      const auto digest = name == "token" ? digestOf(*text) : parseDigest(*text);
      if (!digest) {
        refuse("must have 64 hexadecimal digits");
      }
      token_.digest = *digest;
      hasSecret_ = true;
    } else if (name == "images") {
      auto images = stringsOf(node);
      if (!images) {
        refuse("must be a string or a list of strings");
      }
      token_.images = std::move(*images);
    } else if (name == "admin") {
      const auto admin = node.value_exact<bool>();
      if (!admin) {
        refuse("must be true or false");
      }
      token_.admin = *admin;
    } else {
      refuse("is unknown; known are token, token-sha256, images, admin");
    }
  }

  const TomlFile& file_;
  const std::string name_;
  AccessToken token_;
  bool hasSecret_ = false;
};

AccessTokens readTokens(const TomlFile& file, const std::string& path) {
  std::vector<AccessToken> tokens;
  for (const auto& [key, node] : file.table()) {
    if (!node.is_table()) {
      file.refuse(key.source().begin.line,
                  "\"" + std::string(key.str()) + "\" stands outside of any [NAME]");
    }
    tokens.push_back(TokenReader(file, key).read(*node.as_table()));
    const auto same = std::ranges::find(tokens, tokens.back().digest, &AccessToken::digest);
    if (same != tokens.end() - 1) {
      file.refuse(key.source().begin.line,
                  "[" + tokens.back().name + "] has the same secret as [" + same->name + "]");
    }
  }
  if (tokens.empty()) {
    throw UserError(path +
                    " holds no token: nobody could change anything; add one, or leave out "
                    "--token-file");
  }
  return AccessTokens(std::move(tokens));
}

}  // namespace

AccessTokens AccessTokens::fromFile(const std::string& path) {
  const TomlFile file(path, "name another with --token-file");
  struct stat status = {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    spdlog::warn("{} can be read by others on this machine; chmod 600 {}", path, path);
  }
  return readTokens(file, path);
}

AccessTokens AccessTokens::parse(const std::string& path, std::string_view text) {
  return readTokens(TomlFile::parse(path, text), path);
}

}  // namespace netcow
