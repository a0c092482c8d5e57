// SPDX-License-Identifier: Apache-2.0
#include "cli/background.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace netcow {
namespace {

constexpr int kEndSignals[] = {SIGINT, SIGTERM, SIGQUIT};

pid_t startedChild = 0;  // for the signal handler, which can be given nothing

/// Who ends the command while it waits means the mount.
void passOn(int signal) {
  ::kill(startedChild, signal);
}

/// In the parent: ends the process when the child is ready (a byte arrives) or gone.
[[noreturn]] void waitForChild(int pipe, pid_t child, const sigset_t& oldMask) {
  startedChild = child;
  struct sigaction action{};
  action.sa_handler = passOn;
  for (const int signal : kEndSignals) {
    ::sigaction(signal, &action, nullptr);
  }
  ::sigprocmask(SIG_SETMASK, &oldMask, nullptr);
  char byte = 0;
  ssize_t got = 0;
  do {
    got = ::read(pipe, &byte, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 1) {
    ::_exit(static_cast<int>(ExitStatus::done));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : static_cast<int>(ExitStatus::failed));
}

}  // namespace

Background::Background(bool wanted) {
  if (!wanted) {
    return;
  }
  int ends[2] = {};
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throwErrno("cannot go to the background");
  }
  const UniqueFd readEnd(ends[0]);
  readyPipe_.reset(ends[1]);
  // Until the parent can pass them on, signals wait.
  sigset_t endSignals;
  sigset_t oldMask;
  ::sigemptyset(&endSignals);
  for (const int signal : kEndSignals) {
    ::sigaddset(&endSignals, signal);
  }
  ::sigprocmask(SIG_BLOCK, &endSignals, &oldMask);
  const pid_t child = ::fork();
  if (child < 0) {
    throwErrno("cannot go to the background");
  }
  if (child > 0) {
    readyPipe_.reset();
    waitForChild(readEnd.get(), child, oldMask);
  }
  ::sigprocmask(SIG_SETMASK, &oldMask, nullptr);
  ::setsid();
}

void Background::ready() {
  if (!readyPipe_) {
    return;
  }
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (nothing) {
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      ::dup2(nothing.get(), standard);
    }
  }
  // The folder it was started in can be unmounted; all paths are absolute by now.
  static_cast<void>(::chdir("/"));
  if (::write(readyPipe_.get(), "r", 1) != 1) {
    throw UserError("the command that started it was killed; nothing stays mounted");
  }
  readyPipe_.reset();
}

}  // namespace netcow
