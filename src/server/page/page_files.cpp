// SPDX-License-Identifier: Apache-2.0
#include "server/page/page_files.h"

#include <algorithm>
#include <string_view>

#include "server/page/embedded_files.h"

namespace netcow {
namespace {

const char* contentTypeOf(std::string_view name) {
  if (name.ends_with(".html")) {
    return "text/html; charset=utf-8";
  }
  if (name.ends_with(".css")) {
    return "text/css; charset=utf-8";
  }
  if (name.ends_with(".js")) {
    return "text/javascript; charset=utf-8";
  }
  return "image/svg+xml";
}

}  // namespace

std::optional<HttpResponse> pageFile(const std::string& path) {
  constexpr std::string_view kFolder = "/page/";
  std::string_view name = "index.html";
  if (path != "/") {
    if (!path.starts_with(kFolder)) {
      return std::nullopt;
    }
    name = std::string_view(path).substr(kFolder.size());
  }
  const auto files = embeddedPageFiles();
  const auto file = std::ranges::find(files, name, &EmbeddedFile::name);
  if (file == files.end()) {
    return std::nullopt;
  }
  HttpResponse response = {.body = std::string(file->content),
                           .contentType = contentTypeOf(file->name),
                           .fields = browserSafetyFields()};
  // Asked for again each time, so that a page never runs with the files of another version.
  response.fields.emplace_back("Cache-Control", "no-cache");
  return response;
}

HttpFields browserSafetyFields() {
  return {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
       "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
       "require-trusted-types-for 'script'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
  };
}

}  // namespace netcow
