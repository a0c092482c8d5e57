// SPDX-License-Identifier: Apache-2.0
#include "mount/filesystem.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "format/geometry.h"
#include "mount/handle.h"

namespace netcow {
namespace {

/// How long the kernel may rely on names and attributes. Names never change; the attributes of
/// `img` change only by requests that make the kernel forget them.
constexpr double kForever = 86'400;

struct Entry {
  const char* name;
  fuse_ino_t inode;
  mode_t type;
};
constexpr std::array<Entry, 4> kFolder = {{
    {".", Filesystem::kRootInode, S_IFDIR},
    {"..", Filesystem::kRootInode, S_IFDIR},
    {"img", Filesystem::kImageInode, S_IFREG},
    {"status", Filesystem::kStatusInode, S_IFREG},
}};
constexpr std::size_t kFirstFile = 2;

/// As stat(2) counts.
blkcnt_t blocksOf(std::uint64_t bytes) {
  return static_cast<blkcnt_t>(divideRoundingUp(bytes, 512));
}

/// The attributes of `status` live as long as its text.
double attributesLiveFor(fuse_ino_t inode) {
  return inode == Filesystem::kStatusInode ? 0 : kForever;
}

}  // namespace

Filesystem::Filesystem(Image& image, RequestMemory& memory, const ConnectionLimits& limits,
                       std::function<std::string()> statusText)
    : image_(image, memory, kImageInode), limits_(limits), statusText_(std::move(statusText)) {}

void Filesystem::initialise(fuse_conn_info& connection) const {
  // Wanting what the kernel cannot do makes libfuse give up.
  connection.want |=
      connection.capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS);
  // Nobody but the kernel's own requests changes the image, so its cache need not be doubted;
  // plain reads and writes of the device are faster than splice; and a write that is acknowledged
  // must have arrived here, not in a cache that a killed process takes along. O_TRUNC is better
  // left to the kernel (image_file_changes.cpp).
  constexpr unsigned kUnwanted = FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC |
                                 FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                                 FUSE_CAP_SPLICE_MOVE | FUSE_CAP_WRITEBACK_CACHE;
  connection.want &= ~kUnwanted;
  constexpr unsigned kLargest = RequestMemory::kLargestPayload;
  connection.max_write =
      std::clamp<unsigned>(limits_.maxWrite, kBlockSize, std::min(connection.max_write, kLargest));
  connection.max_background = limits_.maxBackground;
  if (limits_.maxReadahead) {
    connection.max_readahead = std::min(connection.max_readahead, *limits_.maxReadahead);
  }
  if (limits_.maxRead) {
    connection.max_read = *limits_.maxRead;  // must be what the mount option says
  }
}

std::optional<struct stat> Filesystem::attributesOf(fuse_ino_t inode) const {
  struct stat attributes = {};
  attributes.st_ino = inode;
  attributes.st_uid = ::getuid();
  attributes.st_gid = ::getgid();
  attributes.st_nlink = 1;
  attributes.st_blksize = kBlockSize;
  attributes.st_mtim = image_.lastChange();
  switch (inode) {
    case kRootInode:
      attributes.st_mode = S_IFDIR | (image_.writable() ? 0770U : 0550U);
      attributes.st_nlink = 2;
      break;
    case kImageInode:
      attributes.st_mode = S_IFREG | (image_.writable() ? 0660U : 0440U);
      attributes.st_size = static_cast<off_t>(image_.size());
      attributes.st_blocks = blocksOf(image_.usage().dataBytes);
      break;
    case kStatusInode:
      attributes.st_mode = S_IFREG | 0440U;
      attributes.st_size = static_cast<off_t>(statusText_().size());
      attributes.st_blocks = blocksOf(static_cast<std::uint64_t>(attributes.st_size));
      break;
    default:
      return std::nullopt;
  }
  attributes.st_atim = attributes.st_mtim;
  attributes.st_ctim = attributes.st_mtim;
  return attributes;
}

void Filesystem::lookup(Reply reply, fuse_ino_t parent, const char* name) {
  const auto* found =
      std::find_if(kFolder.begin() + kFirstFile, kFolder.end(),
                   [name](const Entry& entry) { return std::string_view(name) == entry.name; });
  if (parent != kRootInode || found == kFolder.end()) {
    return reply.error(ENOENT);
  }
  fuse_entry_param entry = {};
  entry.ino = found->inode;
  entry.attr = attributesOf(found->inode).value();
  entry.attr_timeout = attributesLiveFor(found->inode);
  entry.entry_timeout = kForever;
  reply.entry(entry);
}

void Filesystem::getAttributes(Reply reply, fuse_ino_t inode) {
  const std::optional<struct stat> attributes = attributesOf(inode);
  if (!attributes) {
    return reply.error(ENOENT);
  }
  reply.attributes(*attributes, attributesLiveFor(inode));
}

void Filesystem::setAttributes(Reply reply, fuse_ino_t inode, const struct stat& wanted,
                               int which) {
  if (inode != kImageInode || (which & FUSE_SET_ATTR_SIZE) == 0) {
    return reply.error(EACCES);
  }
  // Times and modes that come along with a size are left as they are.
  image_.resize(static_cast<std::uint64_t>(wanted.st_size),
                [this, reply = std::move(reply), inode](std::error_code error) mutable {
                  if (error) {
                    reply.error(toErrno(error));
                  } else {
                    getAttributes(std::move(reply), inode);
                  }
                });
}

void Filesystem::open(Reply reply, fuse_ino_t inode, const fuse_file_info& info) {
  if (inode == kImageInode) {
    image_.open(std::move(reply), info);
  } else if (inode == kStatusInode) {
    openStatus(std::move(reply), info);
  } else {
    reply.error(ENOENT);
  }
}

/// Each open reads one text as it was at that moment; the handle owns it.
void Filesystem::openStatus(Reply reply, const fuse_file_info& info) {
  if ((info.flags & O_ACCMODE) != O_RDONLY || (info.flags & O_TRUNC) != 0) {
    return reply.error(EACCES);
  }
  auto text = std::make_unique<std::string>(statusText_());
  fuse_file_info answer = info;
  answer.fh = toHandle(text.get());
  answer.noflush = 1;
  answer.direct_io = 1;  // the text may be longer than the size that stat told
  if (reply.opened(answer)) {
    static_cast<void>(text.release());
  }
}

void Filesystem::release(Reply reply, fuse_ino_t inode, const fuse_file_info& info) {
  if (inode == kImageInode) {
    return image_.release(std::move(reply), info);
  }
  const std::unique_ptr<std::string> text(fromHandle<std::string>(info.fh));
  reply.done();
}

void Filesystem::read(Reply reply, fuse_ino_t inode, std::size_t bytes, std::uint64_t offset,
                      const fuse_file_info& info) {
  if (inode == kImageInode) {
    return image_.read(std::move(reply), bytes, offset);
  }
  const auto text = std::as_bytes(std::span(*fromHandle<const std::string>(info.fh)));
  const std::size_t begin = static_cast<std::size_t>(std::min<std::uint64_t>(offset, text.size()));
  reply.data(text.subspan(begin, std::min(bytes, text.size() - begin)));
}

void Filesystem::write(Reply reply, fuse_ino_t inode, std::span<const std::byte> bytes,
                       std::uint64_t offset, const fuse_file_info& info) {
  if (inode != kImageInode) {
    return reply.error(EACCES);
  }
  image_.write(std::move(reply), bytes, offset, info);
}

void Filesystem::fsync(Reply reply, fuse_ino_t inode) {
  if (inode != kImageInode) {
    return reply.done();
  }
  image_.fsync(std::move(reply));
}

void Filesystem::flush(Reply reply, fuse_ino_t inode, const fuse_file_info& info) {
  if (inode != kImageInode) {
    return reply.done();
  }
  image_.flush(std::move(reply), info);
}

void Filesystem::allocate(Reply reply, fuse_ino_t inode, int mode, std::uint64_t offset,
                          std::uint64_t length, const fuse_file_info& info) {
  if (inode != kImageInode) {
    return reply.error(EACCES);
  }
  image_.allocate(std::move(reply), mode, offset, length, info);
}

void Filesystem::seek(Reply reply, fuse_ino_t inode, std::uint64_t offset, int whence,
                      const fuse_file_info& info) {
  if (inode == kImageInode) {
    return image_.seek(std::move(reply), offset, whence);
  }
  const std::uint64_t end = fromHandle<std::string>(info.fh)->size();
  if (offset >= end) {
    return reply.error(ENXIO);
  }
  reply.position(whence == SEEK_DATA ? offset : end);  // a text has no holes
}

void Filesystem::readFolder(Reply reply, fuse_ino_t inode, std::size_t bytes,
                            std::uint64_t offset) {
  if (inode != kRootInode) {
    return reply.error(ENOTDIR);
  }
  std::vector<char> listing(std::min<std::size_t>(bytes, kBlockSize));
  std::size_t used = 0;
  for (std::size_t next = offset; next < kFolder.size(); ++next) {
    const Entry& entry = kFolder.at(next);
    struct stat attributes = {};
    attributes.st_ino = entry.inode;
    attributes.st_mode = entry.type;
    const std::size_t needs =
        fuse_add_direntry(reply.request(), listing.data() + used, listing.size() - used, entry.name,
                          &attributes, static_cast<off_t>(next + 1));
    if (needs > listing.size() - used) {
      break;
    }
    used += needs;
  }
  reply.data(std::as_bytes(std::span(listing)).first(used));
}

void Filesystem::statFileSystem(Reply reply) {
  struct statvfs numbers = {};
  numbers.f_bsize = kBlockSize;  // without it a loop device discards in pieces of 512
  numbers.f_frsize = kBlockSize;
  numbers.f_namemax = NAME_MAX;
  // Used is what the image takes, as du counts it; free is what may still be written.
  const Image::Usage usage = image_.usage();
  numbers.f_bfree = usage.freeBytes / kBlockSize;
  numbers.f_bavail = numbers.f_bfree;
  numbers.f_blocks = divideRoundingUp(usage.dataBytes, kBlockSize) + numbers.f_bfree;
  numbers.f_files = kFolder.size() - kFirstFile;
  reply.fileSystem(numbers);
}

}  // namespace netcow
