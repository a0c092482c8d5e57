// SPDX-License-Identifier: Apache-2.0
// Whatever an HTTP client sends in its target, its form, its token or (an administrator) in the
// file of tokens: it is understood or refused, never both, and nobody gets past the tokens. The
// first byte says which of them the rest is.
#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/errors.h"
#include "fuzz/fuzz_input.h"
#include "server/access/upload_access.h"
#include "server/http/access_log.h"
#include "server/http/form.h"
#include "server/http/request_path.h"

namespace netcow {
namespace {

using test::demand;

constexpr const char* kMine = "00000000-0000-0000-0000-00000000000a";
constexpr const char* kOthers = "00000000-0000-0000-0000-00000000000b";

void tryTarget(const std::string& target) {
  const auto path = canonicalPath(target);
  if (path) {
    demand(!path->empty(), "a path is never empty");
    demand(path->find("//") == std::string::npos, "no '/' is repeated");
    demand(toLowerCase(*path) == *path, "a path is in lower case");
  }
  const std::string line = accessLogLine({.target = target}, "");
  demand(line.find('\n') == std::string::npos, "a request is one line of the log");
}

void tryForm(std::string_view text) {
  const auto form = Form::parse(text);
  if (!form) {
    return;
  }
  for (const auto& [name, value] : form->fields()) {
    demand(form->find(name) == &value, "each field is found by its name");
    static_cast<void>(parseNumber(value));
  }
}

/// A stranger and an owner of another upload send that; `text` is target and body, cut at a
/// newline.
void tryAccess(std::string_view text) {
  const UploadAccess access(std::make_shared<const AccessTokens>(AccessTokens::parse(
                                "t", "[me]\ntoken = \"0123456789abcdef\"\nimages = [\"mine*\"]\n")),
                            [](const std::string& uuid) -> std::optional<UploadIdentity> {
                              if (uuid != kMine && uuid != kOthers) {
                                return std::nullopt;
                              }
                              return UploadIdentity{"mine", uuid == kMine ? "me" : "you"};
                            });
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view body = text.substr(std::min(end + 1, text.size()));
  HttpRequest request = {.method = "POST", .target = std::string(text.substr(0, end)), .body = {}};
  request.body.assign(std::as_bytes(std::span(body)).begin(), std::as_bytes(std::span(body)).end());
  demand(std::holds_alternative<HttpResponse>(access.check(request)), "a stranger is refused");
  request.fields = {{"authorization", "Bearer 0123456789abcdef"}};
  if (!std::holds_alternative<std::string>(access.check(request))) {
    return;
  }
  // Allowed: then no form that the API could read names what is not theirs.
  const bool update = canonicalPath(request.target) == "/v1/file/update";
  for (const std::string_view form : {queryOf(request.target), update ? "" : body}) {
    const auto fields = Form::parse(form);
    const std::string* uuid = fields ? fields->find("uuid") : nullptr;
    const std::string* image = fields ? fields->find("imagename") : nullptr;
    demand(uuid == nullptr || toLowerCase(*uuid) != kOthers, "the upload of another is refused");
    demand(image == nullptr || image->starts_with("mine"), "other images are refused");
  }
}

void tryTokenFile(std::string_view text) {
  try {
    const AccessTokens tokens = AccessTokens::parse("tokens.toml", text);
    demand(!tokens.all().empty(), "a sound file holds a token");
    for (const AccessToken& token : tokens.all()) {
      demand(token.admin || !token.images.empty(), "a token may change something");
    }
  } catch (const UserError& error) {
    demand(std::strncmp(error.what(), "tokens.toml", 11) == 0, "a refusal names the file");
  }
}

}  // namespace
}  // namespace netcow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 5) {
    case 0:
      netcow::tryTarget(text);
      break;
    case 1:
      netcow::tryForm(text);
      break;
    case 2:
      netcow::tryAccess(text);
      break;
    case 3:
      netcow::tryTokenFile(text);
      break;
    default:
      static_cast<void>(netcow::bearerSecret(text));
      static_cast<void>(
          netcow::matchesPattern(text.substr(0, text.size() / 2), text.substr(text.size() / 2)));
  }
  return 0;
}
