// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "base/errors.h"
#include "gated_source.h"
#include "mount/filesystem.h"
#include "recording_fuse.h"
#include "session/hooked_folder.h"
#include "support/temporary_directory.h"

namespace netcow::test {

using Answer = fuse_req::Answer;

inline constexpr std::uint64_t kBaseSize = 3 * kClusterSize + 100;
inline constexpr std::uint64_t kMaxSize = 100 * kClusterSize;

inline std::string pattern(std::uint64_t offset, std::size_t length) {
  std::string text(length, '\0');
  for (std::size_t i = 0; i < length; ++i) {
    text[i] = static_cast<char>(patternByte(offset + i));
  }
  return text;
}

/// Calls the callbacks as libfuse does, with a recording libfuse below.
class FilesystemTest : public testing::Test {
 protected:
  explicit FilesystemTest(bool writable = true) {
    if (writable) {
      NewSession settings;
      settings.imageName = "test";
      settings.baseSize = kBaseSize;
      settings.maxImageSize = kMaxSize;
      std::filesystem::create_directory(folder_ / "session");
      session_ =
          Session::create(openHookedFolder(folder_ / "session", hook_), settings, Clock::system());
    }
    image_ = std::make_unique<Image>(source_, session_.get());
    filesystem_ = std::make_unique<Filesystem>(*image_, memory_, ConnectionLimits{}, [this] {
      if (statusThrows_) {
        throw std::runtime_error("no status today");
      }
      return status_;
    });
    takeInvalidated();
  }
  ~FilesystemTest() override {
    source_.stop();
    filesystem_.reset();
  }

  std::unique_ptr<fuse_req> request() { return std::make_unique<fuse_req>(filesystem_.get()); }

  Answer lookup(const char* name) {
    const auto r = request();
    ops_.lookup(r.get(), FUSE_ROOT_ID, name);
    return r->answer();
  }
  Answer getattr(fuse_ino_t inode) {
    const auto r = request();
    ops_.getattr(r.get(), inode, nullptr);
    return r->answer();
  }
  Answer setattr(fuse_ino_t inode, int which, off_t size = 0) {
    const auto r = request();
    struct stat wanted = {};
    wanted.st_size = size;
    ops_.setattr(r.get(), inode, &wanted, which, nullptr);
    return r->answer();
  }
  Answer open(fuse_ino_t inode, int flags, int openResult = 0) {
    const auto r = request();
    r->openResult = openResult;
    fuse_file_info info = {};
    info.flags = flags;
    ops_.open(r.get(), inode, &info);
    return r->answer();
  }
  /// The handle of a new direct open.
  fuse_file_info openDirect(int flags = 0) {
    const Answer answer = open(kImage, O_RDWR | O_DIRECT | flags);
    EXPECT_EQ(answer.bytes.size(), sizeof(fuse_open_out));
    fuse_open_out out = {};
    std::memcpy(&out, answer.bytes.data(), std::min(answer.bytes.size(), sizeof out));
    fuse_file_info info = {};
    info.flags = O_RDWR | O_DIRECT | flags;
    info.fh = out.fh;
    return info;
  }
  /// Closes one descriptor of an open.
  Answer flush(fuse_file_info info) {
    const auto r = request();
    ops_.flush(r.get(), kImage, &info);
    return r->answer();
  }
  Answer allocate(int mode, off_t offset, off_t length, fuse_file_info info) {
    const auto r = request();
    ops_.fallocate(r.get(), kImage, mode, offset, length, &info);
    return r->answer();
  }
  Answer seek(off_t offset, int whence) {
    const auto r = request();
    fuse_file_info info = {};
    ops_.lseek(r.get(), kImage, offset, whence, &info);
    return r->answer();
  }
  fuse_file_info openCached() { return open(kImage, O_RDWR).info; }
  void release(fuse_ino_t inode, fuse_file_info info) {
    const auto r = request();
    ops_.release(r.get(), inode, &info);
    EXPECT_EQ(r->answer().code, 0);
  }

  std::unique_ptr<fuse_req> startRead(std::size_t size, off_t offset) {
    auto r = request();
    fuse_file_info info = {};
    ops_.read(r.get(), kImage, size, offset, &info);
    return r;
  }
  std::unique_ptr<fuse_req> startWrite(const std::string& bytes, off_t offset,
                                       fuse_file_info info) {
    auto r = request();
    ops_.write(r.get(), kImage, bytes.data(), bytes.size(), offset, &info);
    return r;
  }
  Answer read(std::size_t size, off_t offset) { return startRead(size, offset)->answer(); }
  Answer write(const std::string& bytes, off_t offset, fuse_file_info info) {
    return startWrite(bytes, offset, info)->answer();
  }

  static constexpr fuse_ino_t kImage = Filesystem::kImageInode;
  static constexpr fuse_ino_t kStatus = Filesystem::kStatusInode;
  const fuse_lowlevel_ops& ops_ = Filesystem::operations();
  TemporaryDirectory folder_;
  /// Decides which calls of the session's files fail.
  FileHook hook_ = [](const FileCall&) { return std::error_code{}; };
  GatedSource source_{kBaseSize};
  std::unique_ptr<Session> session_;
  std::unique_ptr<Image> image_;
  RequestMemory memory_;
  std::string status_ = "Image:    test\nRevision: 1\n";
  bool statusThrows_ = false;
  std::unique_ptr<Filesystem> filesystem_;
};

class ReadOnlyFilesystemTest : public FilesystemTest {
 protected:
  ReadOnlyFilesystemTest() : FilesystemTest(false) {}
};

}  // namespace netcow::test
