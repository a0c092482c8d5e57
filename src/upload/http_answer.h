// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netcow {

/// What came of one HTTP request.
struct HttpAnswer {
  long status = 0;                                 ///< 0: no whole answer came
  std::string body;                                ///< at most kLargestAnswer bytes of it
  std::optional<std::chrono::seconds> retryAfter;  ///< the pause the server asked for, if any
  std::string error;                               ///< why no answer came; if status is 0
  bool unreadable = false;  ///< nothing was wrong out there: the session could not be read
  bool untrusted = false;   ///< the server could not prove that it is the one that is meant
  std::string redirect;     ///< where a 3xx sends to; it is not followed
};

inline constexpr std::size_t kLargestAnswer = std::size_t{64} * 1024;

/// How to go on after an answer.
enum class Verdict {
  accepted,  ///< any 2xx
  pause,     ///< ask again after the pause the server asked for; no failure
  again,     ///< a failure that may pass: no answer, 5xx, 408, 425, 429
  unknown,   ///< 404: the server does not know the session
  refused,   ///< asking again would end alike: 3xx, every other 4xx, a server not to be trusted
};
Verdict judge(const HttpAnswer& answer);

/// The answer as a part of a message, on one line: "HTTP 503 (too busy)", or why none came.
std::string describe(const HttpAnswer& answer);

/// What a person can do about an answer that is no success, as the end of a message: begins with
/// "; ", or is empty where there is nothing to say.
std::string adviceFor(const HttpAnswer& answer);

/// The value of a Retry-After header: whole seconds above 0, of which at most 120 count. Nothing
/// for a date or anything else.
std::optional<std::chrono::seconds> parseRetryAfter(std::string_view value);

/// How far the server is with a merge, as a status answer tells; all 0 if it does not.
struct ServerProgress {
  std::uint64_t mergedClusters = 0;
  std::uint64_t totalClusters = 0;
};
ServerProgress parseServerProgress(const HttpAnswer& answer);

/// The state a status answer tells, e.g. "Merging"; empty if it tells none.
std::string parseServerState(const HttpAnswer& answer);

}  // namespace netcow
