// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "format/image_name.h"
#include "session/session.h"
#include "upload/http_call.h"
#include "upload/upload_access.h"
#include "upload/upload_prefix.h"

// The calls of the upload API (docs/formats/upload-api.md), ready to be sent.
namespace netcow {

/// Makes an upload for `image` on the server and returns its uuid. The revision is the one
/// SELECT_IMAGE answered, never 0. Blocks until the server answered or two minutes are over.
/// Throws UserError when there is no server, it refuses, or its answer is no uuid.
std::string createUpload(const UploadPrefix& prefix, const Credentials& credentials,
                         const ImageName& image);

/// Tells the server that an upload is not wanted any more; not every server knows this call, and
/// answers 404 then. Blocks like createUpload().
HttpAnswer discardUpload(const UploadPrefix& prefix, const Credentials& credentials,
                         const std::string& uuid);

/// The three calls about one existing upload. Not thread-safe; `session` of makeUpdate() must
/// outlive the call made.
class UploadRequests {
 public:
  UploadRequests(UploadPrefix prefix, UploadAccess access, const std::string& uuid);

  /// Given up when it is slower than 1000 bytes a second for `giveUpAfter`. `hashKey`: see
  /// UploadBody.
  [[nodiscard]] std::unique_ptr<HttpCall> makeUpdate(const Session& session,
                                                     const ClusterUpdate& update,
                                                     const HashKey* hashKey,
                                                     std::chrono::seconds giveUpAfter);
  /// Sizes in bytes, as the session tells them.
  [[nodiscard]] std::unique_ptr<HttpCall> makeMerge(std::uint64_t validRemoteSize,
                                                    std::uint64_t imageSize);
  [[nodiscard]] std::unique_ptr<HttpCall> makeStatus();

  [[nodiscard]] const UploadPrefix& prefix() const { return prefix_; }

 private:
  const UploadPrefix prefix_;
  UploadAccess access_;
  const std::string uuid_;  // escaped
};

}  // namespace netcow
