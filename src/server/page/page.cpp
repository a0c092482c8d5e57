// SPDX-License-Identifier: Apache-2.0
#include "server/page/page.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "server/http/form.h"
#include "server/page/page_files.h"

// A button is a call of the upload API in which the key stands for the uuid (UploadKeys says why):
// the same checks, the same answers.
namespace netcow {
namespace {

constexpr std::string_view kOverviewPath = "/api/v1/overview";
constexpr std::string_view kButtonsPath = "/api/v1/uploads/";
// Pages of other sites cannot send it without the server's consent, which no answer gives.
constexpr std::string_view kButtonField = "x-netcow-page";

std::string_view queryOf(const HttpRequest& request) {
  const std::size_t mark = request.target.find('?');
  return mark == std::string::npos ? std::string_view()
                                   : std::string_view(request.target).substr(mark + 1);
}

HttpResponse refusal(unsigned status, const std::string& line) {
  return {.status = status, .body = line, .fields = browserSafetyFields()};
}

HttpResponse takesOnly(const std::string& methods) {
  HttpResponse response = refusal(405, "this takes " + methods);
  response.allow = methods;
  return response;
}

/// Nothing if the query is not sound.
std::optional<OverviewQuery> overviewQuery(const HttpRequest& request) {
  const auto form = Form::parse(queryOf(request));
  if (!form) {
    return std::nullopt;
  }
  OverviewQuery query;
  if (const std::string* filter = form->find("filter")) {
    query.filter = *filter;
  }
  if (const std::string* limit = form->find("limit")) {
    const auto number = parseNumber(*limit);
    if (!number) {
      return std::nullopt;
    }
    query.imageLimit = std::min<std::uint64_t>(*number, kMostImagesInOverview);
  }
  return query;
}

std::vector<std::byte> bytesOf(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

/// Turns the request of a button into the call that it stands for. False: there is no such button,
/// or its parameters are missing.
bool turnIntoCall(HttpRequest& request, const std::string& button, const std::string& uuid,
                  const Form& form) {
  if (button == "delete") {
    request.method = "DELETE";
    request.target = "/v1/file/session?uuid=" + uuid;
    request.body = {};
    return true;
  }
  if (button == "cancel") {
    request.target = "/v1/file/cancel";
    request.body = bytesOf("uuid=" + uuid);
    return true;
  }
  const std::string* visible = form.find("originalfilesize");
  const std::string* size = form.find("newfilesize");
  if (button != "merge" || visible == nullptr || size == nullptr || !parseNumber(*visible) ||
      !parseNumber(*size)) {
    return false;
  }
  request.target = "/v1/file/merge";
  request.body =
      bytesOf("uuid=" + uuid + "&originalFileSize=" + *visible + "&newFileSize=" + *size);
  return true;
}

}  // namespace

Page::Page(OverviewKeeper& overviews, const UploadKeys& keys, UploadCalls uploads)
    : overviews_(overviews), keys_(keys), uploads_(std::move(uploads)) {}

bool Page::takes(const std::string& path) {
  return path == "/" || path.starts_with("/page/") || path.starts_with("/api/");
}

void Page::handle(const std::string& path, HttpRequest&& request, HttpReply reply) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (path.starts_with(kButtonsPath)) {
    press(path.substr(kButtonsPath.size()), std::move(request), std::move(reply));
  } else if (path == kOverviewPath) {
    reads ? tellOverview(request, std::move(reply)) : reply(takesOnly("GET, HEAD"));
  } else if (auto file = pageFile(path)) {
    reply(reads ? std::move(*file) : takesOnly("GET, HEAD"));
  } else {
    reply(refusal(404, "no such page"));
  }
}

void Page::tellOverview(const HttpRequest& request, HttpReply reply) {
  auto query = overviewQuery(request);
  if (!query) {
    reply(refusal(400, "the query must be filter=TEXT and limit=NUMBER, or less"));
    return;
  }
  overviews_.get([query = std::move(*query),
                  reply = std::move(reply)](const OverviewKeeper::Shared& overview) mutable {
    HttpResponse response = {.body = overviewJson(*overview, query),
                             .contentType = "application/json",
                             .fields = browserSafetyFields()};
    response.fields.emplace_back("Cache-Control", "no-store");
    reply(std::move(response));
  });
}

void Page::press(const std::string& button, HttpRequest&& request, HttpReply reply) {
  if (request.method != "POST") {
    reply(takesOnly("POST"));
    return;
  }
  if (request.field(kButtonField) == nullptr) {
    reply(refusal(403, "buttons are for the server's own page; programs use /v1/file/"));
    return;
  }
  const std::string_view text(reinterpret_cast<const char*>(request.body.data()),
                              request.body.size());
  const auto form = Form::parse(text);
  const std::string* key = form ? form->find("key") : nullptr;
  if (key == nullptr) {
    reply(refusal(400, "the parameter key is missing"));
    return;
  }
  const auto uuid = keys_.uuidOf(*key);
  if (!uuid) {
    reply(refusal(404, "There is no such upload any more."));
    return;
  }
  if (!turnIntoCall(request, button, *uuid, *form)) {
    reply(refusal(400,
                  "buttons are merge (with originalFileSize and newFileSize), cancel and "
                  "delete"));
    return;
  }
  const std::string path = request.target.substr(0, request.target.find('?'));
  uploads_(path, std::move(request), replyOfButton(std::move(reply)));
}

/// Answers what the upload API says, and lets the page see what changed at once.
HttpReply Page::replyOfButton(HttpReply reply) {
  return HttpReply([this, reply = std::move(reply)](HttpResponse response) mutable {
    overviews_.forget();
    for (auto& field : browserSafetyFields()) {
      response.fields.push_back(std::move(field));
    }
    reply(std::move(response));
  });
}

}  // namespace netcow
