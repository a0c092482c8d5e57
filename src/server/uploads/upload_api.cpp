// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload_api.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

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

HttpResponse create(UploadService& service, const HttpRequest& request) {
  const Parameters form(bodyText(request));
  const auto revision = form.number("revision", 1, std::numeric_limits<std::uint16_t>::max());
  if (form.number("bitfieldSize") != kBitfieldSize) {
    refuse("the parameter bitfieldSize must be 40");
  }
  const ImageName base = {form.text("imageName"), static_cast<std::uint16_t>(revision)};
  return {.body = service.create(base), .contentType = "text/plain"};
}

HttpResponse update(UploadService& service, const HttpRequest& request) {
  const Parameters query(queryOf(request));
  service.update(query.uuid(), query.number("clusterIndex"), request.body);
  return {};
}

HttpResponse merge(UploadService& service, const HttpRequest& request) {
  const Parameters form(bodyText(request));
  service.merge(form.uuid(), {form.number("originalFileSize"), form.number("newFileSize")});
  return {.body = "Merge started"};
}

HttpResponse status(UploadService& service, const HttpRequest& request) {
  const UploadRecord record = service.status(Parameters(queryOf(request)).uuid());
  nlohmann::ordered_json answer = {
      {"state", stateName(record.state)},
      {"imageName", record.base.name},
      {"originalImageVersion", record.base.revision},
      {"newImageVersion", record.state == UploadState::done ? record.newRevision : -1},
      {"mergedClusters", record.mergedClusters},
      {"totalClusters", record.totalClusters},
  };
  if (!record.message.empty()) {
    answer["message"] = record.message;
  }
  // A name need not be UTF-8; then it is shown with replacement characters.
  return {.body = answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          .contentType = "application/json"};
}

HttpResponse topModifiedBlocks(UploadService& service, const HttpRequest& request) {
  const Parameters query(queryOf(request));
  auto answer = nlohmann::ordered_json::array();
  for (const auto& entry : service.mostUpdated(query.uuid(), query.number("amount"))) {
    answer.push_back({{"clusterNumber", entry.cluster}, {"modifications", entry.updates}});
  }
  return {.body = answer.dump(), .contentType = "application/json"};
}

struct Route {
  std::string_view path;
  std::string_view method;
  HttpResponse (*answer)(UploadService&, const HttpRequest&);
};

constexpr std::array<Route, 5> kRoutes = {{
    {"/v1/file/create", "POST", create},
    {"/v1/file/update", "POST", update},
    {"/v1/file/merge", "POST", merge},
    {"/v1/file/status", "GET", status},
    {"/v1/file/gettopmodifiedblocks", "GET", topModifiedBlocks},
}};

unsigned statusOf(Refusal::Kind kind) {
  switch (kind) {
    case Refusal::Kind::badRequest:
      return 400;
    case Refusal::Kind::notFound:
      return 404;
    case Refusal::Kind::conflict:
      return 409;
    case Refusal::Kind::noSpace:
      return 507;
  }
  return 500;
}

}  // namespace

HttpResponse UploadApi::handle(const std::string& path, const HttpRequest& request) {
  const auto route = std::ranges::find(kRoutes, path, &Route::path);
  if (route == kRoutes.end()) {
    return {.status = 404, .body = "no such call"};
  }
  if (request.method != route->method) {
    return {.status = 405,
            .body = "this call takes " + std::string(route->method),
            .allow = std::string(route->method)};
  }
  try {
    return route->answer(service_, request);
  } catch (const Refusal& refusal) {
    return {.status = statusOf(refusal.kind()), .body = refusal.what()};
  }
}

}  // namespace netcow
