// SPDX-License-Identifier: Apache-2.0
#include "upload/http_answer.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <system_error>

namespace netcow {
namespace {

constexpr std::chrono::seconds kLongestPause{120};
constexpr std::size_t kShownBytes = 200;

std::string_view withoutBlanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// What a status answer tells; an empty object if nothing.
nlohmann::json statusObject(const HttpAnswer& answer) {
  if (judge(answer) == Verdict::accepted) {
    auto json = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
    if (json.is_object()) {
      return json;
    }
  }
  return nlohmann::json::object();
}

/// A server's text must not forge lines of a log or steer a terminal.
std::string printable(std::string_view text) {
  std::string shown(text.substr(0, kShownBytes));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }, ' ');
  return shown;
}

}  // namespace

Verdict judge(const HttpAnswer& answer) {
  if (answer.status >= 200 && answer.status < 300) {
    return Verdict::accepted;
  }
  if (answer.retryAfter) {
    return Verdict::pause;
  }
  if (answer.untrusted) {
    return Verdict::refused;
  }
  switch (answer.status) {
    case 404:
      return Verdict::unknown;
    case 408:  // Request Timeout
    case 425:  // Too Early
    case 429:  // Too Many Requests
      return Verdict::again;
    default:
      return answer.status >= 300 && answer.status < 500 ? Verdict::refused : Verdict::again;
  }
}

std::string describe(const HttpAnswer& answer) {
  if (answer.status == 0) {
    return answer.error;
  }
  const std::string text = printable(withoutBlanks(answer.body));
  return "HTTP " + std::to_string(answer.status) + (text.empty() ? "" : " (" + text + ")");
}

std::string adviceFor(const HttpAnswer& answer) {
  if (answer.untrusted) {
    return "; name the certificate of the authority that vouches for the server with --ca-file";
  }
  if (!answer.redirect.empty()) {
    return "; it sends to " + printable(answer.redirect) +
           ", which is not followed: give -C the right address";
  }
  switch (answer.status) {
    case 401:
      return "; it wants to know who asks: give a token that it knows with --token-file";
    case 403:
      return "; whoever asks may not do that: give the token of somebody who may with --token-file";
    case 413:
      return "; it, or a proxy before it, must take bodies of 2 MB (nginx: client_max_body_size)";
    default:
      return {};
  }
}

std::optional<std::chrono::seconds> parseRetryAfter(std::string_view value) {
  const std::string_view digits = withoutBlanks(value);
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  long seconds = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (result.ec == std::errc::result_out_of_range) {
    return kLongestPause;
  }
  if (seconds == 0) {
    return std::nullopt;
  }
  return std::min(std::chrono::seconds(seconds), kLongestPause);
}

std::string parseServerState(const HttpAnswer& answer) {
  const auto json = statusObject(answer);
  const auto state = json.find("state");
  return state != json.end() && state->is_string() ? state->get<std::string>() : std::string();
}

ServerProgress parseServerProgress(const HttpAnswer& answer) {
  const auto json = statusObject(answer);
  const auto number = [&json](const char* key) {
    const auto value = json.find(key);
    return value != json.end() && value->is_number_unsigned() ? value->get<std::uint64_t>() : 0;
  };
  const ServerProgress progress{number("mergedClusters"), number("totalClusters")};
  return progress.mergedClusters <= progress.totalClusters ? progress : ServerProgress{};
}

}  // namespace netcow
