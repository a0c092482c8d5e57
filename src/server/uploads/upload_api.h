// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "server/http/http_message.h"
#include "server/uploads/upload_service.h"

namespace netcow {

/// The upload API (docs/formats/upload-api.md): HTTP in front of an UploadService. Thread-safe.
class UploadApi {
 public:
  /// `service` must outlive the API.
  explicit UploadApi(UploadService& service) : service_(service) {}

  /// Answers a request for a path that begins with "/v1/file/" (as canonicalPath() tells it), from
  /// one of the service's workers: returns at once. `owner`: who asks, for people.
  void handle(const std::string& path, HttpRequest&& request, std::string owner, HttpReply reply);

 private:
  UploadService& service_;
};

}  // namespace netcow
