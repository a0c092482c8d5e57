// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/unique_fd.h"
#include "gated_source.h"
#include "image/image.h"
#include "mount/mount.h"
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
    server_ = std::thread([this] { mount_->run([this] { source_.stop(); }); });
    // The kernel learns with the first close that there is nothing to flush. Without that, a test
    // that is killed would for ever wait for itself to answer the flush of its open files.
    open(O_RDONLY).reset();
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
  std::thread server_;
};

/// Memory that O_DIRECT accepts.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size, char fill = '\0')
      : memory_(static_cast<char*>(std::aligned_alloc(4096, roundUp(size, 4096))), &std::free),
        size_(size) {
    std::fill(data(), data() + size, fill);
  }
  [[nodiscard]] char* data() const { return memory_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::string text() const { return {data(), size_}; }

 private:
  std::unique_ptr<char, decltype(&std::free)> memory_;
  std::size_t size_;
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

inline std::string patternText(std::uint64_t offset, std::size_t length) {
  std::string text(length, '\0');
  for (std::size_t i = 0; i < length; ++i) {
    text[i] = static_cast<char>(patternByte(offset + i));
  }
  return text;
}

}  // namespace netcow::test
