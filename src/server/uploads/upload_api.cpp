// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload_api.h"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/logging.h"
#include "format/session_files.h"
#include "server/http/form.h"
#include "server/uploads/refusal.h"

namespace netcow {
namespace {

[[noreturn]] void refuse(const std::string& line) {
  throw Refusal(Refusal::Kind::badRequest, line);
}

std::string_view bodyText(const HttpRequest& request) {
  return {reinterpret_cast<const char*>(request.body.data()), request.body.size()};
}

std::string_view queryOf(const HttpRequest& request) {
  const std::size_t mark = request.target.find('?');
  return mark == std::string::npos ? std::string_view()
                                   : std::string_view(request.target).substr(mark + 1);
}

/// A request and all that its answer takes.
struct Call {
  HttpRequest request;
  std::string owner;
  HttpReply reply;
};

/// Where parameters are missing or wrong, says which.
class Parameters {
 public:
  explicit Parameters(std::string_view text) {
    auto form = Form::parse(text);
    if (!form) {
      refuse("the parameters are not a sound urlencoded form");
    }
    form_ = std::move(*form);
  }

  [[nodiscard]] const std::string& text(const std::string& name) const {
    const std::string* value = form_.find(toLowerCase(name));
    if (value == nullptr || value->empty()) {
      refuse("the parameter " + name + " is missing");
    }
    return *value;
  }

  /// Whoever writes a uuid in capitals means the same one.
  [[nodiscard]] std::string uuid() const { return toLowerCase(text("uuid")); }

  [[nodiscard]] std::uint64_t number(
      const std::string& name, std::uint64_t least = 0,
      std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) const {
    const auto value = parseNumber(text(name));
    if (!value || *value < least || *value > most) {
      refuse("the parameter " + name + " must be a number from " + std::to_string(least) + " to " +
             std::to_string(most));
    }
    return *value;
  }

 private:
  Form form_;
};

HttpResponse create(UploadService& service, const Call& call) {
  const Parameters form(bodyText(call.request));
  const auto revision = form.number("revision", 1, std::numeric_limits<std::uint16_t>::max());
  if (form.number("bitfieldSize") != kBitfieldSize) {
    refuse("the parameter bitfieldSize must be 40");
  }
  const ImageName base = {form.text("imageName"), static_cast<std::uint16_t>(revision)};
  return {.body = service.create(base, call.owner), .contentType = "text/plain"};
}

HttpResponse merge(UploadService& service, const Call& call) {
  const Parameters form(bodyText(call.request));
  service.merge(form.uuid(), {form.number("originalFileSize"), form.number("newFileSize")});
  return {.body = "Merge started"};
}

HttpResponse cancel(UploadService& service, const Call& call) {
  const std::string_view form = bodyText(call.request);
  service.cancel(Parameters(form.empty() ? queryOf(call.request) : form).uuid());
  return {.body = "Merge cancelled"};
}

HttpResponse remove(UploadService& service, const Call& call) {
  service.remove(Parameters(queryOf(call.request)).uuid());
  return {.body = "Session deleted"};
}

HttpResponse status(UploadService& service, const Call& call) {
  const UploadRecord record = service.status(Parameters(queryOf(call.request)).uuid());
  if (record.state == UploadState::deleted || record.state == UploadState::expired) {
    throw Refusal(Refusal::Kind::notFound, "Session not found");
  }
  nlohmann::ordered_json answer = {
      {"state", stateName(record.state)},
      {"imageName", record.base.name},
      {"originalImageVersion", record.base.revision},
      {"newImageVersion", record.state == UploadState::done ? record.newRevision : -1},
      {"mergedClusters", record.mergedClusters},
      {"totalClusters", record.totalClusters},
      {"owner", record.owner},
      {"updates", record.updates},
      {"bytes", record.bytesReceived},
      {"created", record.createdAt},
      {"lastActivity", record.lastActivity},
      {"mergeSeconds", static_cast<double>(record.mergeMilliseconds) / 1000},
  };
  if (!record.message.empty()) {
    answer["message"] = record.message;
  }
  // A name need not be UTF-8; then it is shown with replacement characters.
  return {.body = answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          .contentType = "application/json"};
}

HttpResponse topModifiedBlocks(UploadService& service, const Call& call) {
  const Parameters query(queryOf(call.request));
  auto answer = nlohmann::ordered_json::array();
  for (const auto& entry : service.mostUpdated(query.uuid(), query.number("amount"))) {
    answer.push_back({{"clusterNumber", entry.cluster}, {"modifications", entry.updates}});
  }
  return {.body = answer.dump(), .contentType = "application/json"};
}

HttpResponse responseTo(const Refusal& refusal) {
  // A client comes back by itself; making room takes a person.
  constexpr unsigned kMoment = 1;
  constexpr unsigned kWhile = 30;
  switch (refusal.kind()) {
    case Refusal::Kind::badRequest:
      return {.status = 400, .body = refusal.what()};
    case Refusal::Kind::notFound:
      return {.status = 404, .body = refusal.what()};
    case Refusal::Kind::conflict:
      return {.status = 409, .body = refusal.what()};
    case Refusal::Kind::busy:
      return {.status = 503, .body = refusal.what(), .retryAfterSeconds = kMoment};
    case Refusal::Kind::noSpace:
      return {.status = 507, .body = refusal.what(), .retryAfterSeconds = kWhile};
  }
  return {.status = 500};
}

/// What answer() returns, or what it throws.
template <class Answer>
HttpResponse responseOf(Answer answer) {
  try {
    return answer();
  } catch (const Refusal& refusal) {
    return responseTo(refusal);
  } catch (const std::exception& error) {
    spdlog::error("uploads: {}", hideUuids(error.what()));
    return {.status = 500, .body = error.what()};
  }
}

template <HttpResponse (*kAnswer)(UploadService&, const Call&)>
void atOnce(UploadService& service, Call& call) {
  call.reply(responseOf([&] { return kAnswer(service, call); }));
}

void update(UploadService& service, Call& call) {
  // Either the call fails now, or what it began answers later.
  const auto reply = std::make_shared<HttpReply>(std::move(call.reply));
  const HttpResponse now = responseOf([&]() -> HttpResponse {
    const Parameters query(queryOf(call.request));
    service.update(query.uuid(), query.number("clusterIndex"), call.request.sequence,
                   call.request.body, [reply](const std::error_code& error) {
                     (*reply)(responseOf([&]() -> HttpResponse {
                       if (error) {
                         failStoring(error, "its session");
                       }
                       return {};
                     }));
                   });
    return {.status = 0};
  });
  if (now.status != 0) {
    (*reply)(now);
  }
}

struct Route {
  std::string_view path;
  std::string_view method;
  void (*answer)(UploadService&, Call&);
};

constexpr std::array<Route, 7> kRoutes = {{
    {"/v1/file/create", "POST", atOnce<create>},
    {"/v1/file/update", "POST", update},
    {"/v1/file/merge", "POST", atOnce<merge>},
    {"/v1/file/cancel", "POST", atOnce<cancel>},
    {"/v1/file/session", "DELETE", atOnce<remove>},
    {"/v1/file/status", "GET", atOnce<status>},
    {"/v1/file/gettopmodifiedblocks", "GET", atOnce<topModifiedBlocks>},
}};

}  // namespace

void UploadApi::handle(const std::string& path, HttpRequest&& request, std::string owner,
                       HttpReply reply) {
  const auto route = std::ranges::find(kRoutes, path, &Route::path);
  if (route == kRoutes.end()) {
    reply({.status = 404, .body = "no such call"});
    return;
  }
  if (request.method != route->method) {
    reply({.status = 405,
           .body = "this call takes " + std::string(route->method),
           .allow = std::string(route->method)});
    return;
  }
  service_.workers().post([&service = service_, answer = route->answer,
                           call = Call{std::move(request), std::move(owner),
                                       std::move(reply)}]() mutable { answer(service, call); });
}

}  // namespace netcow
