// SPDX-License-Identifier: Apache-2.0
#include "server/access/upload_access.h"

#include <algorithm>
#include <utility>

#include "server/http/form.h"
#include "server/http/request_path.h"

namespace netcow {
namespace {

const AccessToken* tokenOf(const AccessTokens& tokens, const HttpRequest& request) {
  const std::string* field = request.field("authorization");
  const auto secret = field != nullptr ? bearerSecret(*field) : std::nullopt;
  return secret ? tokens.find(*secret) : nullptr;
}

HttpResponse challenge(const HttpRequest& request) {
  const bool wrong = request.field("authorization") != nullptr;
  return {.status = 401,
          .body = wrong ? "this server does not know that token; ask its administrator for one\n"
                        : "this server wants a token (Authorization: Bearer TOKEN)\n",
          .fields = {{"WWW-Authenticate", wrong ? "Bearer realm=\"netcow\", error=\"invalid_token\""
                                                : "Bearer realm=\"netcow\""}}};
}

HttpResponse forbid(const std::string& line) {
  return {.status = 403, .body = line + "\n"};
}

bool madeWithoutTokens(const UploadIdentity& upload) {
  // An address holds a '.' or a ':', which no name of a token does.
  return upload.owner.empty() || upload.owner.find_first_of(".:") != std::string::npos;
}

bool isUpdate(const HttpRequest& request) {
  return canonicalPath(request.target) == "/v1/file/update";
}

}  // namespace

UploadAccess::UploadAccess(std::shared_ptr<const AccessTokens> tokens, FindUpload findUpload)
    : findUpload_(std::move(findUpload)), tokens_(std::move(tokens)) {}

void UploadAccess::replaceTokens(std::shared_ptr<const AccessTokens> tokens) {
  const MutexLock lock(mutex_);
  tokens_ = std::move(tokens);
}

std::shared_ptr<const AccessTokens> UploadAccess::tokens() const {
  const MutexLock lock(mutex_);
  return tokens_;
}

std::string UploadAccess::callerOf(const HttpRequest& request) const {
  const auto known = tokens();
  if (!known) {
    return request.client;
  }
  const AccessToken* token = tokenOf(*known, request);
  return token != nullptr ? token->name : std::string();
}

std::variant<std::string, HttpResponse> UploadAccess::check(const HttpRequest& request) const {
  const auto known = tokens();
  if (!known) {
    return request.client;
  }
  const AccessToken* caller = tokenOf(*known, request);
  if (caller == nullptr) {
    return challenge(request);
  }
  if (auto refusal = checkParameters(*caller, queryOf(request.target))) {
    return *refusal;
  }
  // The body of an update is a cluster; every other one is a form, whatever its type says.
  if (!isUpdate(request)) {
    const std::string_view body(reinterpret_cast<const char*>(request.body.data()),
                                request.body.size());
    if (auto refusal = checkParameters(*caller, body)) {
      return *refusal;
    }
  }
  return caller->name;
}

std::optional<HttpResponse> UploadAccess::checkParameters(const AccessToken& caller,
                                                          std::string_view text) const {
  const auto form = Form::parse(text);
  if (!form) {
    return std::nullopt;  // the API takes no parameter from it either
  }
  const std::string* image = form->find("imagename");
  if (image != nullptr && !caller.mayChange(*image)) {
    return forbid("the token " + caller.name + " may not change the image " + *image);
  }
  const std::string* uuid = form->find("uuid");
  const auto upload = uuid != nullptr ? findUpload_(toLowerCase(*uuid)) : std::nullopt;
  if (!upload || caller.admin) {
    return std::nullopt;
  }
  if (!madeWithoutTokens(*upload) && upload->owner != caller.name) {
    return forbid("the upload belongs to another token than " + caller.name);
  }
  if (!caller.mayChange(upload->imageName)) {
    return forbid("the token " + caller.name + " may not change the image " + upload->imageName);
  }
  return std::nullopt;
}

}  // namespace netcow
