// SPDX-License-Identifier: Apache-2.0
#include "server/checksums/file_state.h"

#include <sys/stat.h>

namespace netcow {

FileState fileStateFrom(const struct stat& status) {
  return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
          status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

}  // namespace netcow
