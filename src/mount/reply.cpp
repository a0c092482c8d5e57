// SPDX-License-Identifier: Apache-2.0
#include "mount/reply.h"

#include <linux/fuse.h>

#include <cerrno>

namespace netcow {

// What the fuse_reply functions return is of use to an open only: any other answer that cannot be
// delivered is to somebody who has gone.

Reply::~Reply() {
  if (request_ != nullptr) {
    error(EIO);
  }
}

void Reply::error(int error) {
  fuse_reply_err(release(), error);
}

void Reply::attributes(const struct stat& attributes, double timeoutSeconds) {
  fuse_reply_attr(release(), &attributes, timeoutSeconds);
}

void Reply::entry(const fuse_entry_param& entry) {
  fuse_reply_entry(release(), &entry);
}

void Reply::data(std::span<const std::byte> bytes) {
  fuse_reply_buf(release(), reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void Reply::written(std::size_t bytes) {
  fuse_reply_write(release(), bytes);
}

void Reply::position(std::uint64_t offset) {
  fuse_reply_lseek(release(), static_cast<off_t>(offset));
}

void Reply::fileSystem(const struct statvfs& numbers) {
  fuse_reply_statfs(release(), &numbers);
}

bool Reply::opened(const fuse_file_info& info) {
  return fuse_reply_open(release(), &info) == 0;
}

bool Reply::openedForParallelDirectIo(const fuse_file_info& info) {
  // libfuse 3.14 has no name for the flag, but passes any bytes on: this is the kernel's own
  // answer to FUSE_OPEN. A kernel that does not know the flag (before 6.2) ignores it.
  fuse_open_out answer = {};
  answer.fh = info.fh;
  answer.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
  answer.open_flags |= info.noflush != 0 ? FOPEN_NOFLUSH : 0U;
  answer.open_flags |= info.keep_cache != 0 ? FOPEN_KEEP_CACHE : 0U;
  return fuse_reply_buf(release(), reinterpret_cast<const char*>(&answer), sizeof answer) == 0;
}

}  // namespace netcow
