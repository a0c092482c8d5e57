// SPDX-License-Identifier: Apache-2.0
#include "server/http/form.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace netcow {
namespace {

std::optional<char> decodeEscape(std::string_view digits) {
  unsigned value = 0;
  const auto [stop, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (digits.size() != 2 || error != std::errc{} || stop != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return static_cast<char>(value);
}

/// What comes before `separator`, which is taken off `text` together with it.
std::string_view takeUntil(std::string_view& text, char separator) {
  const std::string_view part = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(text.size(), part.size() + 1));
  return part;
}

}  // namespace

std::optional<std::string> decodePercent(std::string_view text, bool plusIsBlank) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const auto byte = decodeEscape(text.substr(i + 1, 2));
      if (!byte) {
        return std::nullopt;
      }
      decoded += *byte;
      i += 2;
    } else {
      decoded += plusIsBlank && text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

std::string toLowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

std::optional<Form> Form::parse(std::string_view text) {
  Form form;
  while (!text.empty()) {
    std::string_view value = takeUntil(text, '&');
    if (value.empty()) {
      continue;  // "a=1&&b=2" and a trailing '&' do no harm
    }
    const auto name = decodePercent(takeUntil(value, '='), true);
    auto decoded = decodePercent(value, true);
    if (!name || name->empty() || !decoded ||
        !form.fields_.emplace(toLowerCase(*name), std::move(*decoded)).second) {
      return std::nullopt;
    }
  }
  return form;
}

const std::string* Form::find(const std::string& name) const {
  const auto field = fields_.find(name);
  return field != fields_.end() ? &field->second : nullptr;
}

std::optional<std::uint64_t> parseNumber(std::string_view text) {
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

}  // namespace netcow
