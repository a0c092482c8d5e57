// SPDX-License-Identifier: Apache-2.0
#include "mount/worker_loop.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <exception>
#include <utility>

#include "base/errors.h"

namespace netcow {
namespace {

void setNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    throwErrno("cannot make the FUSE device non-blocking");
  }
}

void watch(int epoll, int fd, std::uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
    throwErrno("cannot watch the FUSE device");
  }
}

/// So many requests are a batch at most.
constexpr int kLargestBatch = 16;

}  // namespace

/// One worker's. Requests that come alone are no batch: the first one opens one only if the last
/// time the device was drained there was more than one.
class WorkerLoop::Batch {
 public:
  explicit Batch(Image& image) : image_(image) {}
  ~Batch() { end(); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  void beforeRequest() {
    if (open_ == kLargestBatch) {
      end();
    }
    if (open_ == 0 && (drained_ > 0 || expectsMany_)) {
      image_.beginBatch();
      open_ = 1;
    } else if (open_ > 0) {
      ++open_;
    }
    ++drained_;
  }
  void noMoreRequests() {
    end();
    expectsMany_ = drained_ > 1;
    drained_ = 0;
  }

 private:
  void end() {
    if (std::exchange(open_, 0) > 0) {
      image_.endBatch();
    }
  }

  Image& image_;
  int open_ = 0;     // requests in it
  int drained_ = 0;  // since there was none
  bool expectsMany_ = false;
};

WorkerLoop::WorkerLoop(fuse_session* session, RequestMemory& memory, Image& image)
    : session_(session), memory_(memory), image_(image), stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (!stop_) {
    throwErrno("cannot make an eventfd");
  }
  setNonBlocking(fuse_session_fd(session_));
}

WorkerLoop::~WorkerLoop() {
  stop();
}

void WorkerLoop::start(unsigned workers) {
  for (unsigned i = 0; i < workers; ++i) {
    workers_.emplace_back([this] { work(); });
  }
}

void WorkerLoop::requestEnd() {
  const MutexLock lock(mutex_);
  endRequested_ = true;
  ended_.notifyAll();
}

bool WorkerLoop::waitForEnd() {
  MutexLock lock(mutex_);
  while (!endRequested_ && !gone_) {
    ended_.wait(lock);
  }
  return gone_;
}

void WorkerLoop::stop() {
  if (workers_.empty()) {
    return;  // stopped before: the session may be gone
  }
  fuse_session_exit(session_);
  ::eventfd_write(stop_.get(), 1);
  for (std::thread& worker : workers_) {
    worker.join();
  }
  workers_.clear();
}

void WorkerLoop::work() {
  try {
    const UniqueFd epoll = makeEpoll();
    serve(epoll.get());
  } catch (const std::exception& error) {
    spdlog::error("a thread of the mount ends: {}", error.what());
  }
  // Whatever ended this worker, without it requests would wait for ever.
  const MutexLock lock(mutex_);
  gone_ = true;
  ended_.notifyAll();
}

UniqueFd WorkerLoop::makeEpoll() const {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) {
    throwErrno("cannot make an epoll");
  }
  watch(epoll.get(), fuse_session_fd(session_), EPOLLIN | EPOLLEXCLUSIVE);
  watch(epoll.get(), stop_.get(), EPOLLIN);
  return epoll;
}

void WorkerLoop::serve(int epoll) {
  Batch batch(image_);
  while (drain(batch)) {
    epoll_event event = {};
    if (::epoll_wait(epoll, &event, 1, -1) < 0 && errno != EINTR) {
      throwErrno("cannot wait for requests of the kernel");
    }
  }
}

bool WorkerLoop::drain(Batch& batch) {
  PooledMemory memory;
  while (fuse_session_exited(session_) == 0) {
    if (memory == nullptr) {
      memory = memory_.received().takeKept();
    }
    fuse_buf buffer = {};
    buffer.mem = memory.get();
    const int received = fuse_session_receive_buf(session_, &buffer);
    if (memory == nullptr && buffer.mem != nullptr) {
      memory = memory_.received().adopt(buffer.mem);
    }
    if (received == -EINTR) {
      continue;
    }
    if (received == -EAGAIN) {
      batch.noMoreRequests();
      return true;
    }
    if (received <= 0) {
      if (received < 0) {
        spdlog::error("cannot receive requests of the kernel: {}", std::strerror(-received));
      }
      return false;  // 0: unmounted
    }
    batch.beforeRequest();
    LentBuffer lent(std::move(memory));
    fuse_session_process_buf(session_, &buffer);
    memory = lent.takeBack();
  }
  return false;
}

}  // namespace netcow
