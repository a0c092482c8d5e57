// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace netcow {

/// Turns %XX into bytes and, in forms, '+' into a blank. Nothing if a '%' is not followed by two
/// hexadecimal digits.
std::optional<std::string> decodePercent(std::string_view text, bool plusIsBlank);

/// `text` with A-Z as a-z; every other byte stays.
std::string toLowerCase(std::string_view text);

/// The fields of an application/x-www-form-urlencoded text: a body or what follows '?' in a path.
/// Names are matched without regard to case.
class Form {
 public:
  /// Nothing if the text is not well-formed: a bad escape, a field without a name, or one that is
  /// there twice.
  static std::optional<Form> parse(std::string_view text);

  /// `name` in lower case; null if there is no such field.
  [[nodiscard]] const std::string* find(const std::string& name) const;
  /// All of them, their names in lower case.
  [[nodiscard]] const std::map<std::string, std::string>& fields() const { return fields_; }

 private:
  std::map<std::string, std::string> fields_;
};

/// A decimal number without sign or blanks; nothing for any other text or one beyond 64 bits.
std::optional<std::uint64_t> parseNumber(std::string_view text);

}  // namespace netcow
