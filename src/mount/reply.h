// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "mount/fuse_api.h"

namespace netcow {

/// The duty to answer one request of the kernel. Answering uses it up; one that goes out of scope
/// unanswered (an exception, a dropped completion) answers EIO, so no request is ever forgotten
/// and none is answered twice. Not thread-safe; may move between threads.
class Reply {
 public:
  explicit Reply(fuse_req_t request) : request_(request) {}
  Reply(Reply&& other) noexcept : request_(std::exchange(other.request_, nullptr)) {}
  Reply& operator=(Reply&&) = delete;
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  ~Reply();

  /// `error` is an errno value; 0 says that it is done.
  void error(int error);
  void done() { error(0); }
  void attributes(const struct stat& attributes, double timeoutSeconds);
  void entry(const fuse_entry_param& entry);
  void data(std::span<const std::byte> bytes);
  void written(std::size_t bytes);
  void position(std::uint64_t offset);
  void fileSystem(const struct statvfs& numbers);

  /// Answers an open. False when the opener was interrupted: the kernel then sends no release.
  [[nodiscard]] bool opened(const fuse_file_info& info);
  /// The same for a file whose reads and writes bypass the page cache and may run in parallel.
  [[nodiscard]] bool openedForParallelDirectIo(const fuse_file_info& info);

  /// Gives the duty away; the caller answers through libfuse itself.
  [[nodiscard]] fuse_req_t release() { return std::exchange(request_, nullptr); }
  [[nodiscard]] fuse_req_t request() const { return request_; }

 private:
  fuse_req_t request_;
};

}  // namespace netcow
