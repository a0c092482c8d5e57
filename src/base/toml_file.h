// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netcow {

/// A TOML file that was read whole, and messages about it that name the line.
class TomlFile {
 public:
  /// Throws UserError when the file cannot be read or is not TOML. `advice`
  /// is the end of that line: what to do when it is the wrong file.
  TomlFile(const std::string& path, const std::string& advice);
  /// Of a text, which messages call `path`.
  static TomlFile parse(const std::string& path, std::string_view text);

  [[nodiscard]] const toml::table& table() const { return table_; }

  /// Throws the UserError "PATH:LINE: PROBLEM".
  [[noreturn]] void refuse(std::uint32_t line, const std::string& problem) const;

 private:
  explicit TomlFile(std::string path) : path_(std::move(path)) {}
  void read(std::string_view text);

  std::string path_;
  toml::table table_;
};

/// A string, or a list of them; nothing for any other node.
std::optional<std::vector<std::string>> stringsOf(const toml::node& node);

}  // namespace netcow
