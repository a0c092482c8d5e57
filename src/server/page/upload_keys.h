// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/mutex.h"

namespace netcow {

/// What uploads are called on the page. Their uuids stay out of it: whoever knows one may send
/// clusters to the upload. A key is random and good until the server ends, so that a page from
/// before a restart cannot press a button of another upload. Thread-safe.
class UploadKeys {
 public:
  /// The key of an upload, always the same one.
  std::string keyOf(const std::string& uuid);
  /// The upload that has this key; nothing for one that was never given out.
  [[nodiscard]] std::optional<std::string> uuidOf(const std::string& key) const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, std::string> keys_ NETCOW_GUARDED_BY(mutex_);   // by uuid
  std::map<std::string, std::string> uuids_ NETCOW_GUARDED_BY(mutex_);  // by key
};

}  // namespace netcow
