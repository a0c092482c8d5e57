// SPDX-License-Identifier: Apache-2.0
#include "cli/signal_thread.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>

#include "base/errors.h"

namespace netcow {

SignalThread::SignalThread(std::vector<int> signals, std::function<void(int)> handle)
    : handle_(std::move(handle)) {
  ::sigemptyset(&set_);
  for (const int signal : signals) {
    ::sigaddset(&set_, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  stopEvent_.reset(::eventfd(0, EFD_CLOEXEC));
  signalFd_.reset(::signalfd(-1, &set_, SFD_CLOEXEC));
  if (!stopEvent_ || !signalFd_) {
    throwErrno("cannot wait for signals");
  }
  thread_ = std::thread([this] { run(); });
}

SignalThread::~SignalThread() {
  const std::uint64_t one = 1;
  static_cast<void>(::write(stopEvent_.get(), &one, sizeof one));
  thread_.join();
}

void SignalThread::run() {
  for (;;) {
    pollfd waits[2] = {{signalFd_.get(), POLLIN, 0}, {stopEvent_.get(), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0) {
      continue;
    }
    if ((waits[1].revents & POLLIN) != 0) {
      return;
    }
    signalfd_siginfo info{};
    if (::read(signalFd_.get(), &info, sizeof info) == sizeof info) {
      handle_(static_cast<int>(info.ssi_signo));
    }
  }
}

}  // namespace netcow
