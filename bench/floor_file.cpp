// SPDX-License-Identifier: Apache-2.0
// The floor under every writable image: what a file costs that is served through FUSE, passes each
// request to a local file, and keeps no books. Measured beside netcow by scripts/bench.sh.
//
//   floor_file BACKING FOLDER     shows the file BACKING as FOLDER/img; ends when it is unmounted
//
// Written as plainly as libfuse allows, with what is known to be fast: its own loop of many
// threads, direct and parallel access for who opens with O_DIRECT, the page cache for all others,
// pread and pwrite straight between the file and the request's buffer.
#define FUSE_USE_VERSION 314
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace {

constexpr fuse_ino_t kFolder = FUSE_ROOT_ID;
constexpr fuse_ino_t kFile = 2;
constexpr double kForever = 86'400;  // seconds; nobody else changes the file
constexpr unsigned kLargestWrite = 1U << 20U;
constexpr unsigned kBackground = 128;

/// The one file, which is what libfuse hands to every callback.
struct Floor {
  int backing = -1;
};

int backingOf(fuse_req_t request) {
  return static_cast<const Floor*>(fuse_req_userdata(request))->backing;
}

void initialise(void*, fuse_conn_info* connection) {
  connection->want |= connection->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO);
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                                             FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC);
  connection->max_write = kLargestWrite;
  connection->max_background = kBackground;
}

/// 0, or an errno code.
int attributesOf(fuse_req_t request, fuse_ino_t inode, struct stat& attributes) {
  attributes = {};
  if (inode == kFolder) {
    attributes.st_mode = S_IFDIR | 0770U;
    attributes.st_nlink = 2;
  } else if (::fstat(backingOf(request), &attributes) != 0) {
    return errno;
  } else {
    attributes.st_mode = S_IFREG | 0660U;
  }
  attributes.st_ino = inode;
  return 0;
}

void getAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  struct stat attributes;
  if (const int error = attributesOf(request, inode, attributes)) {
    fuse_reply_err(request, error);
  } else {
    fuse_reply_attr(request, &attributes, kForever);
  }
}

void setAttributes(fuse_req_t request, fuse_ino_t inode, struct stat* wanted, int which,
                   fuse_file_info* info) {
  if ((which & FUSE_SET_ATTR_SIZE) != 0 && ::ftruncate(backingOf(request), wanted->st_size) != 0) {
    fuse_reply_err(request, errno);
  } else {
    getAttributes(request, inode, info);
  }
}

void lookup(fuse_req_t request, fuse_ino_t, const char* name) {
  fuse_entry_param entry = {};
  int error = std::strcmp(name, "img") == 0 ? 0 : ENOENT;
  if (error == 0) {
    error = attributesOf(request, kFile, entry.attr);
  }
  if (error != 0) {
    fuse_reply_err(request, error);
    return;
  }
  entry.ino = kFile;
  entry.attr_timeout = kForever;
  entry.entry_timeout = kForever;
  fuse_reply_entry(request, &entry);
}

void openFile(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  // The kernel's own answer, since libfuse 3.14 has no name for the second flag.
  fuse_open_out answer = {};
  answer.open_flags = (info->flags & O_DIRECT) != 0 ? FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES
                                                    : FOPEN_KEEP_CACHE;
  fuse_reply_buf(request, reinterpret_cast<const char*>(&answer), sizeof answer);
}

void readFile(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info*) {
  thread_local const auto buffer = std::make_unique_for_overwrite<char[]>(kLargestWrite);
  const ssize_t got = ::pread(backingOf(request), buffer.get(), size, offset);
  if (got < 0) {
    fuse_reply_err(request, errno);
  } else {
    fuse_reply_buf(request, buffer.get(), static_cast<size_t>(got));
  }
}

void writeFile(fuse_req_t request, fuse_ino_t, const char* data, size_t size, off_t offset,
               fuse_file_info*) {
  const ssize_t put = ::pwrite(backingOf(request), data, size, offset);
  if (put < 0) {
    fuse_reply_err(request, errno);
  } else {
    fuse_reply_write(request, static_cast<size_t>(put));
  }
}

void syncFile(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
  fuse_reply_err(request, ::fdatasync(backingOf(request)) == 0 ? 0 : errno);
}

void allocateFile(fuse_req_t request, fuse_ino_t, int mode, off_t offset, off_t length,
                  fuse_file_info*) {
  fuse_reply_err(request, ::fallocate(backingOf(request), mode, offset, length) == 0 ? 0 : errno);
}

void statFileSystem(fuse_req_t request, fuse_ino_t) {
  struct statvfs numbers = {};
  if (::fstatvfs(backingOf(request), &numbers) != 0) {
    fuse_reply_err(request, errno);
    return;
  }
  numbers.f_bsize = 4096;  // without it a loop device discards in pieces of 512
  fuse_reply_statfs(request, &numbers);
}

fuse_lowlevel_ops makeOperations() {
  fuse_lowlevel_ops operations = {};
  operations.init = initialise;
  operations.lookup = lookup;
  operations.getattr = getAttributes;
  operations.setattr = setAttributes;
  operations.open = openFile;
  operations.read = readFile;
  operations.write = writeFile;
  operations.fsync = syncFile;
  operations.fallocate = allocateFile;
  operations.statfs = statFileSystem;
  return operations;
}

int fail(const char* what) {
  std::fprintf(stderr, "floor_file: %s\n", what);
  return EXIT_FAILURE;
}

/// Answers requests until the folder is unmounted.
int serve(Floor& floor, char* program, const char* folder) {
  char option[] = "-ofsname=floor";
  char* words[] = {program, option, nullptr};
  fuse_args arguments = FUSE_ARGS_INIT(2, words);
  const fuse_lowlevel_ops operations = makeOperations();
  fuse_session* const session =
      fuse_session_new(&arguments, &operations, sizeof operations, &floor);
  fuse_opt_free_args(&arguments);
  if (session == nullptr || fuse_session_mount(session, folder) != 0) {
    return fail("cannot mount");
  }
  fuse_set_signal_handlers(session);
  fuse_loop_config* const config = fuse_loop_cfg_create();
  const int result = fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  fuse_remove_signal_handlers(session);
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  return result < 0 ? fail("the loop failed") : EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    return fail("usage: floor_file BACKING FOLDER");
  }
  Floor floor;
  floor.backing = ::open(argv[1], O_RDWR | O_CLOEXEC);
  if (floor.backing < 0) {
    return fail("cannot open the backing file");
  }
  return serve(floor, argv[0], argv[2]);
}
