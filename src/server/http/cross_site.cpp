// SPDX-License-Identifier: Apache-2.0
#include "server/http/cross_site.h"

#include <string>
#include <string_view>

#include "server/http/form.h"

namespace netcow {
namespace {

/// "host:port" of an origin; empty for "null" and whatever else is none.
std::string hostOf(std::string_view origin) {
  const std::size_t scheme = origin.find("://");
  return scheme == std::string_view::npos ? std::string() : toLowerCase(origin.substr(scheme + 3));
}

}  // namespace

bool isFromAnotherSite(const HttpRequest& request) {
  // Browsers send it to addresses they call trustworthy (https, this machine), and then it says
  // more than Origin: a proxy in front may have changed Host.
  if (const std::string* site = request.field("sec-fetch-site")) {
    return *site != "same-origin" && *site != "none";
  }
  if (const std::string* origin = request.field("origin")) {
    const std::string* host = request.field("host");
    return host == nullptr || hostOf(*origin).empty() || hostOf(*origin) != toLowerCase(*host);
  }
  return false;
}

}  // namespace netcow
