// SPDX-License-Identifier: Apache-2.0
#include "source/source_url.h"

#include <algorithm>
#include <charconv>

#include "base/errors.h"

namespace netcow {
namespace {

constexpr std::string_view kDnbd3 = "dnbd3://";
constexpr std::string_view kFile = "file://";
constexpr std::string_view kRevision = "revision=";

[[noreturn]] void refuse(std::string_view url, const std::string& why) {
  throw UserError("bad source '" + std::string(url) + "': " + why, ExitStatus::usage);
}

/// Replaces %XX by the byte it means.
std::string decode(std::string_view url, std::string_view text) {
  std::string result;
  while (!text.empty()) {
    std::size_t taken = 1;
    auto byte = static_cast<unsigned char>(text.front());
    if (byte == '%') {
      taken = 3;
      const std::string_view digits = text.substr(1, 2);
      const char* const end = digits.data() + digits.size();
      const auto [stop, error] = std::from_chars(digits.data(), end, byte, 16);
      if (digits.size() != 2 || error != std::errc{} || stop != end || byte == 0) {
        refuse(url, "'%' must be followed by two hexadecimal digits; a plain '%' is %25");
      }
    }
    result.push_back(static_cast<char>(byte));
    text.remove_prefix(taken);
  }
  return result;
}

std::uint16_t parseRevision(std::string_view url, std::string_view query) {
  if (!query.starts_with(kRevision)) {
    refuse(url, "only 'revision=N' may follow the '?'");
  }
  const std::string_view text = query.substr(kRevision.size());
  const char* const end = text.data() + text.size();
  std::uint16_t revision = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, revision);
  if (error != std::errc{} || stop != end) {
    refuse(url, "the revision must be a number from 1 to 65535, or 0 for the latest");
  }
  return revision;
}

Dnbd3Url parseDnbd3(std::string_view url) {
  const std::string_view rest = url.substr(kDnbd3.size());
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) {
    refuse(url, "the name of the image is missing; write dnbd3://host/name");
  }
  Dnbd3Url result;
  result.host = parseHost(rest.substr(0, slash));
  const std::string_view tail = rest.substr(slash + 1);
  const std::size_t question = tail.find('?');
  result.image.name = decode(url, tail.substr(0, question));
  if (question != std::string_view::npos) {
    result.image.revision = parseRevision(url, tail.substr(question + 1));
  }
  if (!isValidImageName(result.image.name)) {
    refuse(url, "'" + result.image.name + "' cannot be the name of an image");
  }
  return result;
}

FileUrl parseFile(std::string_view url) {
  const std::string_view path = url.substr(kFile.size());
  if (path.empty() || path.front() != '/') {
    refuse(url, "the path must be absolute; write file:///path");
  }
  return {.path = decode(url, path)};
}

}  // namespace

SourceUrl parseSourceUrl(std::string_view url) {
  if (url.starts_with(kDnbd3)) {
    return parseDnbd3(url);
  }
  if (url.starts_with(kFile)) {
    return parseFile(url);
  }
  refuse(url, "it must begin with dnbd3:// or file://");
}

}  // namespace netcow
