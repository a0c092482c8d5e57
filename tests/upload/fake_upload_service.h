// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "support/scripted_http_server.h"

namespace netcow::test {

/// The server side of the upload API as the client sees it: knows one upload, keeps the newest
/// body of each cluster it took, counts everything, and says "Copying" for ever like the reference
/// server. A script may give any other answer. Thread-safe.
class FakeUploadService {
 public:
  static constexpr const char* kUuid = "0b0ea1c4-8d3f-4f2e-9d1e-7f5e0c6f1a2b";

  /// Changes what a call is answered with; `reply` comes as the well-behaved server would give
  /// it. Called with the head of the request.
  using Script = std::function<void(const HttpRequest& request, HttpReply& reply)>;

  explicit FakeUploadService(Script script = {});

  [[nodiscard]] std::string url() const { return server_.url(); }
  [[nodiscard]] ScriptedHttpServer& server() { return server_; }
  void setScript(Script script);
  /// What a status call tells; "Copying" at first.
  void setState(const std::string& state);

  /// The newest body taken of each cluster.
  [[nodiscard]] std::map<std::uint64_t, std::string> bodies() const;
  /// Requests of one call ("update"...), whether they were taken or not, in order of arrival.
  [[nodiscard]] std::vector<HttpRequest> asked(const std::string& call) const;
  /// Requests of one call that were taken whole, in that order.
  [[nodiscard]] std::vector<HttpRequest> taken(const std::string& call) const;
  /// Calls in the order of their arrival, such as "merge", "status", "merge".
  [[nodiscard]] std::vector<std::string> calls() const;

  /// Waits, up to ten seconds, until `condition` is true; false if it never was.
  bool waitFor(const std::function<bool()>& condition) const;

 private:
  HttpReply answer(const HttpRequest& request);
  void take(const std::string& call, const HttpRequest& request);

  mutable Mutex mutex_;
  Script script_ NETCOW_GUARDED_BY(mutex_);
  std::string state_ NETCOW_GUARDED_BY(mutex_) = "Copying";
  std::map<std::uint64_t, std::string> bodies_ NETCOW_GUARDED_BY(mutex_);
  std::vector<HttpRequest> asked_ NETCOW_GUARDED_BY(mutex_);
  std::vector<HttpRequest> taken_ NETCOW_GUARDED_BY(mutex_);
  ScriptedHttpServer server_;  // last: its threads use the rest
};

/// The last part of a path: "merge" of "/cow/v1/file/merge".
std::string callOf(const HttpRequest& request);

/// A script's way to hold answers back until the test lets them go. Answers may outlive it.
class Gate {
 public:
  [[nodiscard]] std::function<bool()> untilOpen() {
    ++waiting_;
    return [open = open_] { return open->load(); };
  }
  void open() { *open_ = true; }
  [[nodiscard]] int waiting() const { return waiting_; }

 private:
  std::shared_ptr<std::atomic<bool>> open_ = std::make_shared<std::atomic<bool>>(false);
  std::atomic<int> waiting_ = 0;
};

}  // namespace netcow::test
