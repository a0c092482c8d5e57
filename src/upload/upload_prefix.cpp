// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_prefix.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <memory>

#include "base/errors.h"
#include "format/session_files.h"

namespace netcow {
namespace {

using CurlUrl = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string textOf(const CurlUrl& url) {
  char* text = nullptr;
  if (curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) {
    return {};
  }
  std::string result = text;
  curl_free(text);
  while (result.ends_with('/')) {
    result.pop_back();
  }
  return result;
}

bool hasPart(const CurlUrl& url, CURLUPart part) {
  char* text = nullptr;
  const bool found = curl_url_get(url.get(), part, &text, 0) == CURLUE_OK;
  curl_free(text);
  return found;
}

/// A text that could not be understood as an address, without what may be a user's name and
/// password: a message may end up in a log. A password may hold any character, so everything up
/// to the last @ goes, but for a scheme.
std::string withoutUser(const std::string& given) {
  const std::size_t at = given.rfind('@');
  if (at == std::string::npos) {
    return given;
  }
  const std::size_t colon = given.find("://");
  const auto isSchemeCharacter = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '+' || c == '-' || c == '.';
  };
  const bool hasScheme =
      colon != std::string::npos && colon < at &&
      std::all_of(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(colon),
                  isSchemeCharacter);
  return (hasScheme ? given.substr(0, colon + 3) : "") + "***" + given.substr(at);
}

[[noreturn]] void refuse(const std::string& given, const std::string& why) {
  throw UserError("the upload server '" + withoutUser(given) + "' " + why +
                      "; give -C an address such as http://host:5000",
                  ExitStatus::usage);
}

}  // namespace

UploadPrefix::UploadPrefix(const std::string& given) {
  const bool hasScheme = given.find("://") != std::string::npos;
  const std::string whole = hasScheme ? given : "http://" + given;
  const CurlUrl url(curl_url(), &curl_url_cleanup);
  if (const CURLUcode error = curl_url_set(url.get(), CURLUPART_URL, whole.c_str(), 0)) {
    if (error == CURLUE_UNSUPPORTED_SCHEME) {
      refuse(given, "is neither http nor https");
    }
    refuse(given, std::string("is not an address (") + curl_url_strerror(error) + ")");
  }
  const std::string scheme = whole.substr(0, whole.find("://"));
  if (curl_strequal(scheme.c_str(), "http") == 0 && curl_strequal(scheme.c_str(), "https") == 0) {
    refuse(given, "is neither http nor https");
  }
  if (hasPart(url, CURLUPART_QUERY) || hasPart(url, CURLUPART_FRAGMENT)) {
    refuse(given, "has a ? or # part, which an upload prefix cannot have");
  }
  base_ = textOf(url);
  curl_url_set(url.get(), CURLUPART_USER, nullptr, 0);
  curl_url_set(url.get(), CURLUPART_PASSWORD, nullptr, 0);
  shown_ = textOf(url);
}

std::string UploadPrefix::url(std::string_view call) const {
  return base_ + "/v1/file/" + std::string(call);
}

bool isUploadUuid(std::string_view uuid) {
  return !uuid.empty() && uuid.size() <= kUploadUuidLength &&
         std::all_of(uuid.begin(), uuid.end(), [](char c) { return c > ' ' && c <= '~'; });
}

void checkUploadUuid(const std::string& uuid) {
  if (uuid.size() > kUploadUuidLength) {
    throw UserError("the upload uuid '" + uuid + "' has " + std::to_string(uuid.size()) +
                        " characters, 36 is the most; give --upload-uuid as the server named it",
                    ExitStatus::usage);
  }
  if (!isUploadUuid(uuid)) {
    throw UserError("the upload uuid '" + uuid +
                        "' is empty or holds blanks; give --upload-uuid as the server named it",
                    ExitStatus::usage);
  }
}

}  // namespace netcow
