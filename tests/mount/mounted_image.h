// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/unique_fd.h"
#include "exit_guard.h"
#include "gated_source.h"
#include "image/image.h"
#include "mount/mount.h"
#include "support/file_access.h"
#include "support/temporary_directory.h"

namespace netcow::test {

/// A mount in this process, served by a thread of its own.
class MountedImage {
 public:
  struct Settings {
    std::uint64_t baseSize = 8 * kClusterSize;
    bool writable = true;
    unsigned workers = 2;
  };

  explicit MountedImage(Settings settings) : source_(settings.baseSize) {
    if (settings.writable) {
      NewSession fresh;
      fresh.imageName = "test";
      fresh.baseSize = settings.baseSize;
      session_ = Session::create(folder_ / "session", fresh);
    }
    image_ = std::make_unique<Image>(source_, session_.get());
    std::filesystem::create_directory(mountpoint());
    MountOptions options;
    options.mountpoint = mountpoint();
    options.statusText = [] { return "Image:    test\nRevision: 1\n"; };
    options.workers = settings.workers;
    mount_ = std::make_unique<Mount>(*image_, options);
    guard_ = std::make_unique<ExitGuard>(mountpoint());
    server_ = std::thread([this] { mount_->run([this] { source_.stop(); }); });
  }
  ~MountedImage() { stop(); }
  MountedImage(const MountedImage&) = delete;
  MountedImage& operator=(const MountedImage&) = delete;

  /// Ends the mount as SIGTERM does, and returns when it has ended.
  void stop() {
    if (server_.joinable()) {
      mount_->requestStop();
      server_.join();
    }
  }
  /// Waits until the mount has ended by itself.
  void waitForEnd() { server_.join(); }

  [[nodiscard]] std::string mountpoint() const { return folder_ / "mnt"; }
  [[nodiscard]] std::string img() const { return mountpoint() + "/img"; }
  [[nodiscard]] UniqueFd open(int flags) const {
    return UniqueFd(::open(img().c_str(), flags | O_CLOEXEC));
  }
  GatedSource& source() { return source_; }
  Session& session() { return *session_; }
  Image& image() { return *image_; }

 private:
  TemporaryDirectory folder_;
  GatedSource source_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Image> image_;
  std::unique_ptr<Mount> mount_;
  std::unique_ptr<ExitGuard> guard_;
  std::thread server_;
};

/// Writes through the kernel's asynchronous interface.
class AsynchronousWriter {
 public:
  AsynchronousWriter() { ::syscall(SYS_io_setup, 1, &context_); }
  ~AsynchronousWriter() { ::syscall(SYS_io_destroy, context_); }
  AsynchronousWriter(const AsynchronousWriter&) = delete;
  AsynchronousWriter& operator=(const AsynchronousWriter&) = delete;

  /// Waits for the end. Returns what a write would, or a negative errno.
  [[nodiscard]] long write(int fd, const AlignedBytes& bytes, std::uint64_t offset) {
    iocb block = {};
    block.aio_fildes = static_cast<std::uint32_t>(fd);
    block.aio_lio_opcode = IOCB_CMD_PWRITE;
    block.aio_buf = reinterpret_cast<std::uintptr_t>(bytes.data());
    block.aio_nbytes = bytes.size();
    block.aio_offset = static_cast<std::int64_t>(offset);
    iocb* blocks[] = {&block};
    io_event event = {};
    event.res = -EINVAL;
    if (::syscall(SYS_io_submit, context_, 1, blocks) == 1) {
      ::syscall(SYS_io_getevents, context_, 1, 1, &event, nullptr);
    }
    return static_cast<long>(event.res);
  }

 private:
  aio_context_t context_ = 0;
};

}  // namespace netcow::test
