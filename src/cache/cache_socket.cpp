// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>

#include "base/errors.h"

namespace netcow {
namespace {

constexpr int kBacklog = 16;

/// Valid as long as `folder` is open.
sockaddr_un addressIn(const UniqueFd& folder) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/socket", folder.get());
  return address;
}

UniqueFd openFolderOf(const std::string& folder) {
  return UniqueFd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

UniqueFd makeSocket() {
  return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

}  // namespace

UniqueFd listenInCache(const std::string& folder) {
  const UniqueFd folderFd = openFolderOf(folder);
  UniqueFd fd = makeSocket();
  const sockaddr_un address = addressIn(folderFd);
  ::unlink((folder + "/socket").c_str());
  // The mode counts before anybody can connect: they can from listen() on.
  if (!folderFd || !fd ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(address.sun_path, 0600) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    throwErrno("cannot listen at " + folder + "/socket");
  }
  return fd;
}

UniqueFd connectToCache(const std::string& folder) {
  const UniqueFd folderFd = openFolderOf(folder);
  UniqueFd fd = makeSocket();
  const sockaddr_un address = addressIn(folderFd);
  if (!folderFd || !fd ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return {};
  }
  return fd;
}

}  // namespace netcow
