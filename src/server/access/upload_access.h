// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/mutex.h"
#include "server/access/access_tokens.h"
#include "server/http/http_message.h"

namespace netcow {

/// What decides who may use an upload.
struct UploadIdentity {
  std::string imageName;
  std::string owner;  ///< name of a token, or an address: made while there were no tokens
};

/// Decides before a call of the upload API runs whether whoever makes it may. Every image and every
/// upload that a request names anywhere counts, so that none can be hidden behind another.
///
/// Without tokens everybody may everything. With them a call needs one: to begin an upload, the
/// image must be among its patterns; to use one, it must have begun it (or the upload is from a
/// time without tokens, and the image among its patterns). Tokens with `admin` may everything.
///
/// Thread-safe.
class UploadAccess {
 public:
  /// Tells of an upload; nothing if there is none with that uuid.
  using FindUpload = std::function<std::optional<UploadIdentity>(const std::string& uuid)>;

  /// `tokens`: null for none at all.
  UploadAccess(std::shared_ptr<const AccessTokens> tokens, FindUpload findUpload);

  /// From now on others count.
  void replaceTokens(std::shared_ptr<const AccessTokens> tokens);

  /// Who makes the request: the name of its token, else its address. Empty for none that is known.
  [[nodiscard]] std::string callerOf(const HttpRequest& request) const;

  /// The caller's name for a request that may go on; the answer for one that may not.
  [[nodiscard]] std::variant<std::string, HttpResponse> check(const HttpRequest& request) const;

 private:
  [[nodiscard]] std::shared_ptr<const AccessTokens> tokens() const;
  [[nodiscard]] std::optional<HttpResponse> checkParameters(const AccessToken& caller,
                                                            std::string_view form) const;

  const FindUpload findUpload_;
  mutable Mutex mutex_;
  std::shared_ptr<const AccessTokens> tokens_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
