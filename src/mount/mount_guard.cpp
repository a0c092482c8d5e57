// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_guard.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

namespace netcow {
namespace {

/// The type of the file system of connections, as in fs/fuse/control.c of Linux.
constexpr decltype(std::declval<struct statfs>().f_type) kConnections = 0x65735543;

/// The folder of all connections, also where nobody has mounted it.
UniqueFd openConnections() {
  constexpr const char* kUsualPlace = "/sys/fs/fuse/connections";
  UniqueFd folder(::open(kUsualPlace, O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct statfs status = {};
  if (folder && ::fstatfs(folder.get(), &status) == 0 && status.f_type == kConnections) {
    return folder;
  }
  const UniqueFd context(::fsopen("fusectl", FSOPEN_CLOEXEC));  // EPERM unless we are root
  if (!context || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return {};
  }
  return UniqueFd(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
}

/// What ends the connection of a file system when it is written to. It stays that of this one: when
/// the connection has gone, and another got its number, it has no effect.
UniqueFd openAbort(dev_t device) {
  const UniqueFd connections = openConnections();
  const std::string file = std::to_string(minor(device)) + "/abort";
  return UniqueFd(connections ? ::openat(connections.get(), file.c_str(), O_WRONLY | O_CLOEXEC)
                              : -1);
}

/// Lets go of all that belongs to the parent but the socket to it, whose new number is returned.
int keepOnly(int socket) {
  constexpr int kKept = 0;
  ::dup2(socket, kKept);
  ::close_range(kKept + 1, ~0U, 0);
  ::setsid();
  if (::chdir("/") != 0) {
    ::_exit(1);
  }
  return kKept;
}

/// The guard's whole life.
[[noreturn]] void guard(pid_t parent, int socket) {
  // By thread, not by process: that a process has ended is told when its last thread has.
  sigset_t signals;
  sigfillset(&signals);
  ::sigprocmask(SIG_SETMASK, &signals, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGUSR1);
  ::prctl(PR_SET_NAME, "netcow-guard");
  socket = keepOnly(socket);
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  const UniqueFd death(::signalfd(-1, &signals, SFD_CLOEXEC));
  dev_t device = 0;
  if (::getppid() != parent || ::read(socket, &device, sizeof device) != sizeof device) {
    ::_exit(0);  // it ended before there was a mount
  }
  const UniqueFd abort = openAbort(device);
  std::array<pollfd, 2> events = {{{socket, 0, 0}, {death.get(), POLLIN, 0}}};
  while (abort && ::poll(events.data(), events.size(), -1) <= 0) {
  }
  if (abort && ::write(abort.get(), "1", 1) < 0) {
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace

MountGuard::MountGuard() {
  std::array<int, 2> ends = {};
  const pid_t parent = ::getpid();
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    spdlog::warn("no guard for the mount: {}", std::strerror(errno));
    return;
  }
  const UniqueFd theirs(ends[0]);
  socket_.reset(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    guard(parent, theirs.get());
  }
  if (child < 0) {
    spdlog::warn("no guard for the mount: {}", std::strerror(errno));
    socket_.reset();
  }
}

void MountGuard::watch(dev_t device) {
  if (socket_ && ::send(socket_.get(), &device, sizeof device, MSG_NOSIGNAL) < 0) {
    spdlog::debug("the guard of the mount has gone: {}", std::strerror(errno));
  }
}

}  // namespace netcow
