// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "server/http/http_message.h"

namespace netcow {

/// The file of the page that a path (as canonicalPath() tells it) names: "/" is index.html,
/// "/page/NAME" one of the others in assets/. Nothing for any other path.
std::optional<HttpResponse> pageFile(const std::string& path);

/// What the header of every answer to a browser says, so that it runs nothing but the page's own
/// files, shows the page in no frame, asks no other host, and hands nothing to pages of others.
HttpFields browserSafetyFields();

}  // namespace netcow
