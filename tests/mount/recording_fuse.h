// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "mount/fuse_api.h"

// A libfuse that only writes down what it is told: recording_fuse.cpp defines the functions that
// callbacks call, and the linker prefers them to the real ones.

/// libfuse's opaque type: here, a request that records its answers. Thread-safe.
struct fuse_req {
  struct Answer {
    enum Kind {
      error,
      attributes,
      entry,
      data,
      written,
      opened,
      position,
      fileSystem
    } kind = error;
    int code = 0;              ///< of error
    std::string bytes;         ///< of data
    std::size_t count = 0;     ///< of written
    struct stat stat = {};     ///< of attributes and entry
    fuse_ino_t inode = 0;      ///< of entry
    double timeout = 0;        ///< of attributes and entry
    fuse_file_info info = {};  ///< of opened
    off_t offset = 0;          ///< of position
    struct statvfs numbers = {};
    std::thread::id thread;  ///< who answered
  };

  explicit fuse_req(void* callbackData) : userData(callbackData) {}

  void record(Answer answer);
  /// Waits for the answer; fails the test if there is none or more than one.
  Answer answer();
  [[nodiscard]] std::size_t answers() const;
  /// What libfuse does when the kernel says that the caller got a signal.
  void interrupt();

  void* const userData;
  fuse_ctx context = {};
  int openResult = 0;              ///< what answering an open returns
  bool interruptedEarly = false;   ///< before a function for it is registered
  bool registering = false;        ///< libfuse holds the request's lock
  bool answeredUnderLock = false;  ///< which frees the request too early in the real one
  fuse_interrupt_func_t interruptFunction = nullptr;
  void* interruptData = nullptr;

 private:
  mutable netcow::Mutex mutex_;
  netcow::ConditionVariable answered_;
  std::vector<Answer> answers_ NETCOW_GUARDED_BY(mutex_);
};

namespace netcow::test {

struct Invalidated {
  fuse_ino_t inode;
  off_t offset;
  off_t length;
  std::thread::id thread;
};
/// Ranges that the kernel was told to forget since the last call.
std::vector<Invalidated> takeInvalidated();

}  // namespace netcow::test
