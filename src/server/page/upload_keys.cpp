// SPDX-License-Identifier: Apache-2.0
#include "server/page/upload_keys.h"

#include <boost/uuid/uuid_generators.hpp>
#include <boost/uuid/uuid_io.hpp>

namespace netcow {

std::string UploadKeys::keyOf(const std::string& uuid) {
  const MutexLock lock(mutex_);
  std::string& key = keys_[uuid];
  if (key.empty()) {
    key = to_string(boost::uuids::random_generator_pure()());
    uuids_[key] = uuid;
  }
  return key;
}

std::optional<std::string> UploadKeys::uuidOf(const std::string& key) const {
  const MutexLock lock(mutex_);
  const auto found = uuids_.find(key);
  return found != uuids_.end() ? std::optional(found->second) : std::nullopt;
}

}  // namespace netcow
