// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "upload/http_answer.h"
#include "upload/http_call.h"
#include "upload/send_budget.h"

namespace netcow {

/// Runs HTTP calls side by side on one thread, over connections that are kept alive. Updates share
/// a budget: each that waits gets a portion in its turn.
/// Not thread-safe but for wake().
class UploadClient {
 public:
  /// Keeps up to `connections` connections alive.
  UploadClient(std::size_t connections, SendBudget budget);
  /// Ends what is under way.
  ~UploadClient();
  UploadClient(const UploadClient&) = delete;
  UploadClient& operator=(const UploadClient&) = delete;

  /// What a call was made for.
  enum class Purpose { update, merge, status };
  struct Finished {
    Purpose purpose = Purpose::update;
    ClusterUpdate update;
    std::optional<KeyedDigest> body;  ///< of an update: what was sent, if all of it was
    HttpAnswer answer;
  };

  /// Sends `call` with the next run().
  void start(Purpose purpose, std::unique_ptr<HttpCall> call);
  [[nodiscard]] std::size_t underWay() const { return calls_.size(); }

  /// Moves bytes, without waiting, and hands out the calls that have ended.
  std::vector<Finished> run();
  /// When an update may go on that waits for its turn; nothing if none does.
  [[nodiscard]] std::optional<Clock::Time> nextTurn() const;
  /// Waits until there is something for run() to do, wake() was called, or `longest` is over.
  void wait(std::chrono::milliseconds longest);
  /// Ends wait(), the present or else the next one. Thread-safe.
  void wake();
  /// Ends every call at once; nothing more is heard of them. Returns the clusters of updates.
  std::vector<std::uint64_t> abandonAll();

  /// Bytes of cluster bodies sent since the last time this was asked.
  std::uint64_t takeBytesSent();
  /// Bytes sent of the bodies that are under way.
  [[nodiscard]] std::uint64_t bytesInFlight() const;

 private:
  struct Running {
    Purpose purpose;
    std::unique_ptr<HttpCall> call;
  };

  Finished finish(CURL* handle, CURLcode result);
  void takeTurns();

  SendBudget budget_;
  CURLM* multi_ = nullptr;
  std::map<CURL*, Running> calls_;
  std::deque<CURL*> turns_;  // updates that wait for a portion of the budget, in their order
  std::uint64_t bytesSent_ = 0;
};

}  // namespace netcow
