// SPDX-License-Identifier: Apache-2.0
#include "upload/fake_upload_service.h"

#include <algorithm>
#include <iterator>
#include <thread>
#include <utility>

namespace netcow::test {
namespace {

using namespace std::chrono_literals;

std::vector<HttpRequest> withCall(const std::vector<HttpRequest>& requests,
                                  const std::string& call) {
  std::vector<HttpRequest> result;
  std::copy_if(requests.begin(), requests.end(), std::back_inserter(result),
               [&](const HttpRequest& request) { return callOf(request) == call; });
  return result;
}

}  // namespace

std::string callOf(const HttpRequest& request) {
  return request.path.substr(request.path.rfind('/') + 1);
}

FakeUploadService::FakeUploadService(Script script)
    : script_(std::move(script)),
      server_([this](const HttpRequest& request) { return answer(request); }) {}

void FakeUploadService::setScript(Script script) {
  const MutexLock lock(mutex_);
  script_ = std::move(script);
}

void FakeUploadService::setState(const std::string& state) {
  const MutexLock lock(mutex_);
  state_ = state;
}

std::map<std::uint64_t, std::string> FakeUploadService::bodies() const {
  const MutexLock lock(mutex_);
  return bodies_;
}

std::vector<HttpRequest> FakeUploadService::asked(const std::string& call) const {
  const MutexLock lock(mutex_);
  return withCall(asked_, call);
}

std::vector<HttpRequest> FakeUploadService::taken(const std::string& call) const {
  const MutexLock lock(mutex_);
  return withCall(taken_, call);
}

std::vector<std::string> FakeUploadService::calls() const {
  const MutexLock lock(mutex_);
  std::vector<std::string> result;
  std::transform(asked_.begin(), asked_.end(), std::back_inserter(result), callOf);
  return result;
}

bool FakeUploadService::waitFor(const std::function<bool()>& condition) const {
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

HttpReply FakeUploadService::answer(const HttpRequest& request) {
  const std::string call = callOf(request);
  HttpReply reply;
  Script script;
  {
    const MutexLock lock(mutex_);
    asked_.push_back(request);
    script = script_;
    if (call == "create") {
      reply.body = kUuid;
    } else if (call == "status") {
      reply.body = R"({"state":")" + state_ + R"(","newImageVersion":-1})";
    } else if (call == "merge") {
      reply.body = "Merge started";
    }
  }
  const bool needsUuid = call == "update" || call == "status";
  if (needsUuid && request.value("uuid") != kUuid) {
    reply.status = 404;
    reply.body = "Session not found";
  }
  if (script) {
    script(request, reply);
  }
  if (reply.status >= 200 && reply.status < 300) {
    reply.taken = [this, call](const HttpRequest& whole) { take(call, whole); };
  }
  return reply;
}

void FakeUploadService::take(const std::string& call, const HttpRequest& request) {
  const MutexLock lock(mutex_);
  taken_.push_back(request);
  if (call == "update") {
    bodies_[std::stoull(request.value("clusterindex"))] = request.body;
  }
}

}  // namespace netcow::test
