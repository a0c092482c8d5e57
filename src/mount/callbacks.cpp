// SPDX-License-Identifier: Apache-2.0

// The one place where libfuse calls C++: it finds the object a request is for, gives every
// request a Reply that answers even when an exception comes, and keeps the exception here.

#include <spdlog/spdlog.h>

#include <exception>

#include "mount/filesystem.h"

namespace netcow {
namespace {

void logFailure() noexcept {
  try {
    throw;
  } catch (const std::exception& error) {
    spdlog::error("a request to the mount failed: {}", error.what());
  } catch (...) {
    spdlog::error("a request to the mount failed");
  }
}

template <class Work>
void answer(fuse_req_t request, Work work) noexcept {
  Reply reply(request);
  auto& filesystem = *static_cast<Filesystem*>(fuse_req_userdata(request));
  try {
    work(filesystem, std::move(reply));
  } catch (...) {
    logFailure();
  }
}

std::span<const std::byte> asBytes(const char* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

void onInit(void* self, fuse_conn_info* connection) noexcept {
  static_cast<const Filesystem*>(self)->initialise(*connection);
}

void onLookup(fuse_req_t request, fuse_ino_t parent, const char* name) noexcept {
  answer(request, [=](Filesystem& f, Reply r) { f.lookup(std::move(r), parent, name); });
}

void onGetattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) noexcept {
  answer(request, [=](Filesystem& f, Reply r) { f.getAttributes(std::move(r), inode); });
}

void onSetattr(fuse_req_t request, fuse_ino_t inode, struct stat* wanted, int which,
               fuse_file_info*) noexcept {
  answer(request,
         [=](Filesystem& f, Reply r) { f.setAttributes(std::move(r), inode, *wanted, which); });
}

void onOpen(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) noexcept {
  answer(request, [=](Filesystem& f, Reply r) { f.open(std::move(r), inode, *info); });
}

void onRelease(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) noexcept {
  answer(request, [=](Filesystem& f, Reply r) { f.release(std::move(r), inode, *info); });
}

void onRead(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
            fuse_file_info* info) noexcept {
  answer(request, [=](Filesystem& f, Reply r) {
    f.read(std::move(r), inode, size, static_cast<std::uint64_t>(offset), *info);
  });
}

void onWrite(fuse_req_t request, fuse_ino_t inode, const char* data, size_t size, off_t offset,
             fuse_file_info* info) noexcept {
  answer(request, [=](Filesystem& f, Reply r) {
    f.write(std::move(r), inode, asBytes(data, size), static_cast<std::uint64_t>(offset), *info);
  });
}

void onFlush(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) noexcept {
  answer(request, [=](Filesystem& f, Reply r) { f.flush(std::move(r), inode, *info); });
}

void onFsync(fuse_req_t request, fuse_ino_t inode, int, fuse_file_info*) noexcept {
  answer(request, [=](Filesystem& f, Reply r) { f.fsync(std::move(r), inode); });
}

void onFallocate(fuse_req_t request, fuse_ino_t inode, int mode, off_t offset, off_t length,
                 fuse_file_info* info) noexcept {
  answer(request, [=](Filesystem& f, Reply r) {
    f.allocate(std::move(r), inode, mode, static_cast<std::uint64_t>(offset),
               static_cast<std::uint64_t>(length), *info);
  });
}

void onLseek(fuse_req_t request, fuse_ino_t inode, off_t offset, int whence,
             fuse_file_info* info) noexcept {
  answer(request, [=](Filesystem& f, Reply r) {
    f.seek(std::move(r), inode, static_cast<std::uint64_t>(offset), whence, *info);
  });
}

void onReaddir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
               fuse_file_info*) noexcept {
  answer(request, [=](Filesystem&, Reply r) {
    Filesystem::readFolder(std::move(r), inode, size, static_cast<std::uint64_t>(offset));
  });
}

void onStatfs(fuse_req_t request, fuse_ino_t) noexcept {
  answer(request, [](Filesystem& f, Reply r) { f.statFileSystem(std::move(r)); });
}

/// For what would change the folder: it holds two files and never others.
template <class... Arguments>
void refuse(fuse_req_t request, Arguments...) noexcept {
  Reply(request).error(EPERM);
}

fuse_lowlevel_ops makeOperations() {
  fuse_lowlevel_ops operations = {};
  operations.init = onInit;
  operations.lookup = onLookup;
  operations.getattr = onGetattr;
  operations.setattr = onSetattr;
  operations.open = onOpen;
  operations.release = onRelease;
  operations.read = onRead;
  operations.write = onWrite;
  operations.flush = onFlush;
  operations.fsync = onFsync;
  operations.fallocate = onFallocate;
  operations.lseek = onLseek;
  operations.readdir = onReaddir;
  operations.statfs = onStatfs;
  operations.create = refuse;
  operations.mknod = refuse;
  operations.mkdir = refuse;
  operations.symlink = refuse;
  operations.link = refuse;
  operations.unlink = refuse;
  operations.rmdir = refuse;
  operations.rename = refuse;
  // libfuse answers all others with ENOSYS, which the kernel takes as: do without, and do not ask
  // again (extended attributes, locks; copy_file_range it then does itself, by reads and writes).
  return operations;
}

}  // namespace

const fuse_lowlevel_ops& Filesystem::operations() {
  static const fuse_lowlevel_ops kOperations = makeOperations();
  return kOperations;
}

}  // namespace netcow
