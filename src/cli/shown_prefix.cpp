// SPDX-License-Identifier: Apache-2.0
#include "cli/shown_prefix.h"

#include "base/errors.h"
#include "upload/upload_prefix.h"

namespace netcow {

std::string shownPrefix(const std::string& prefix) {
  if (prefix.find('@') == std::string::npos) {
    return prefix;
  }
  try {
    return UploadPrefix(prefix).shown();
  } catch (const UserError&) {
    return "an address that cannot be used";
  }
}

}  // namespace netcow
