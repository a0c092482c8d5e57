// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "server/http/http_message.h"
#include "server/page/overview_keeper.h"
#include "server/page/upload_keys.h"

namespace netcow {

/// The web page: its files, the overview that it shows (GET /api/v1/overview), and what its buttons
/// do (POST /api/v1/uploads/merge, cancel, delete). docs/formats/server-json.md describes both.
/// Thread-safe.
class Page {
 public:
  /// Handles a request to the upload API, the first argument being its path.
  using UploadCalls = std::function<void(const std::string&, HttpRequest&&, HttpReply)>;

  /// What is given must outlive the page and every answer that it owes.
  Page(OverviewKeeper& overviews, const UploadKeys& keys, UploadCalls uploads);

  /// Whether a path (as canonicalPath() tells it) is the page's to answer.
  [[nodiscard]] static bool takes(const std::string& path);
  /// Answers a request for such a path.
  void handle(const std::string& path, HttpRequest&& request, HttpReply reply);

 private:
  void tellOverview(const HttpRequest& request, HttpReply reply);
  void press(const std::string& button, HttpRequest&& request, HttpReply reply);
  HttpReply replyOfButton(HttpReply reply);

  OverviewKeeper& overviews_;
  const UploadKeys& keys_;
  const UploadCalls uploads_;
};

}  // namespace netcow
