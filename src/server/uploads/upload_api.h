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

  /// Answers a request for a path that begins with "/v1/file/" (as canonicalPath() tells it).
  /// Throws only what is no fault of the client.
  HttpResponse handle(const std::string& path, const HttpRequest& request);

 private:
  UploadService& service_;
};

}  // namespace netcow
