// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace netcow::test {

/// Frees a test process that dies while it serves a mount and has files of it open for writing.
/// The kernel then waits for the flush of those files, for ever and not to be killed, because it
/// closes the connection that should answer only after them. A child process watches for the death
/// of this one, and takes the mount away.
class ExitGuard {
 public:
  explicit ExitGuard(const std::string& mountpoint) {
    const pid_t watched = ::getpid();
    const std::string state = "/proc/" + std::to_string(watched) + "/stat";
    child_ = ::fork();
    if (child_ == 0) {
      watch(state.c_str(), mountpoint.c_str());
    }
  }
  ~ExitGuard() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  ExitGuard(const ExitGuard&) = delete;
  ExitGuard& operator=(const ExitGuard&) = delete;

 private:
  // What follows runs in a child of a process with many threads: system calls only.

  [[noreturn]] static void watch(const char* state, const char* mountpoint) {
    ::close_range(3, ~0U, 0);  // among them connections of other mounts
    while (isAlive(state)) {
      ::usleep(100'000);
    }
    ::umount2(mountpoint, MNT_FORCE | MNT_DETACH);
    ::_exit(0);
  }

  /// Whether the first thread of a process lives and is not on its way out.
  static bool isAlive(const char* state) {
    char text[512] = {};
    const int fd = ::open(state, O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? -1 : ::read(fd, text, sizeof text - 1);
    ::close(fd);
    const char* const name = got < 0 ? nullptr : std::strrchr(text, ')');
    if (name == nullptr || name[2] == 'Z') {
      return false;
    }
    const char* flags = name + 1;
    for (int field = 0; field < 7; ++field) {  // state ppid pgrp session tty tpgid flags
      flags = std::strchr(flags, ' ') + 1;
    }
    constexpr unsigned long kExiting = 4;  // PF_EXITING
    return (std::strtoul(flags, nullptr, 10) & kExiting) == 0;
  }

  pid_t child_ = -1;
};

}  // namespace netcow::test
