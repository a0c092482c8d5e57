// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "mount/fuse_options.h"
#include "mount/image_file.h"

namespace netcow {

/// What a mount shows: a folder with the image as `img` and a text about it as `status`.
///
/// libfuse calls it through operations(), with this object as the session's user data. Every
/// callback answers exactly once, and none lets an exception cross into libfuse. Thread-safe.
class Filesystem {
 public:
  static constexpr fuse_ino_t kRootInode = FUSE_ROOT_ID;
  static constexpr fuse_ino_t kImageInode = 2;
  static constexpr fuse_ino_t kStatusInode = 3;

  /// All must outlive this. `statusText` is called on workers, perhaps several at a time; it must
  /// not wait for the network.
  Filesystem(Image& image, RequestMemory& memory, const ConnectionLimits& limits,
             std::function<std::string()> statusText);

  /// The callbacks, for fuse_session_new.
  static const fuse_lowlevel_ops& operations();

  [[nodiscard]] ImageFile& image() { return image_; }

  // One for each kind of request; operations() leads here.
  void initialise(fuse_conn_info& connection) const;
  void lookup(Reply reply, fuse_ino_t parent, const char* name);
  void getAttributes(Reply reply, fuse_ino_t inode);
  void setAttributes(Reply reply, fuse_ino_t inode, const struct stat& wanted, int which);
  void open(Reply reply, fuse_ino_t inode, const fuse_file_info& info);
  void release(Reply reply, fuse_ino_t inode, const fuse_file_info& info);
  void read(Reply reply, fuse_ino_t inode, std::size_t bytes, std::uint64_t offset,
            const fuse_file_info& info);
  void write(Reply reply, fuse_ino_t inode, std::span<const std::byte> bytes, std::uint64_t offset,
             const fuse_file_info& info);
  void flush(Reply reply, fuse_ino_t inode, const fuse_file_info& info);
  void fsync(Reply reply, fuse_ino_t inode);
  void allocate(Reply reply, fuse_ino_t inode, int mode, std::uint64_t offset, std::uint64_t length,
                const fuse_file_info& info);
  void seek(Reply reply, fuse_ino_t inode, std::uint64_t offset, int whence,
            const fuse_file_info& info);
  static void readFolder(Reply reply, fuse_ino_t inode, std::size_t bytes, std::uint64_t offset);
  void statFileSystem(Reply reply);

 private:
  void openStatus(Reply reply, const fuse_file_info& info);
  /// Nothing for a number that no file has.
  [[nodiscard]] std::optional<struct stat> attributesOf(fuse_ino_t inode) const;

  ImageFile image_;
  const ConnectionLimits limits_;
  const std::function<std::string()> statusText_;
};

}  // namespace netcow
