// SPDX-License-Identifier: Apache-2.0
#include "base/errors.h"

#include <cerrno>

namespace netcow {

int toErrno(const std::error_code& error) {
  if (!error) {
    return 0;
  }
  const bool isErrno =
      error.category() == std::generic_category() || error.category() == std::system_category();
  return isErrno ? error.value() : EIO;
}

void throwErrno(int error, const std::string& context) {
  throw std::system_error(error, std::generic_category(), context);
}

void throwErrno(const std::string& context) {
  throwErrno(errno, context);
}

}  // namespace netcow
