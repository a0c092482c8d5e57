// SPDX-License-Identifier: Apache-2.0
//
// What changes the image: writes, fallocate, changes of size.
//
// The kernel's page cache. For a cached write the kernel changes its pages itself. A direct write
// goes past them: the kernel drops them before it, but not those that come back while it is under
// way. Around fallocate (kernel 6.x): before it asks for zeros it writes back what programs changed
// through memory maps in that range; if the answer is success it drops the pages of the range,
// takes the new size over and forgets the other attributes; if it is an error it does nothing,
// though a part may be zeros already. A change of size is answered with the new attributes, and
// the kernel drops all pages. So ours to invalidate are direct writes and fallocates that failed.
// Opening with O_TRUNC is a change of size like any other, because ATOMIC_O_TRUNC is not asked for:
// with it the kernel would hold no lock, and pages that it writes back late would make the image
// grow again.
//
// The kernel holds its lock of the inode while it waits for fallocate or a change of size, so there
// is never more than one of them; reads go on beside it. They run on a thread of their own, because
// their time follows the range (a terabyte that is not local: a second), or is that of a
// checkpoint.
//
// A killed process is not let go before its change has ended: once the kernel thinks it over,
// another may write the same bytes, and what still waits for its block would overwrite them.
#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "mount/handle.h"
#include "mount/image_file.h"

namespace netcow {

struct ImageFile::Change : PendingRequest {
  using PendingRequest::PendingRequest;

  void end(std::error_code error) {
    if (std::optional<Reply> reply = claim()) {
      if (error) {
        reply->error(toErrno(error));
      } else {
        acknowledge(*reply);
      }
    }
  }
  virtual void acknowledge(Reply& reply) { reply.done(); }

  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool durable = false;  ///< must be flushed before it is answered

 protected:
  ~Change() = default;  // owned as what it is
};

struct ImageFile::Write final : Change {
  Write(Reply reply, PendingCount& count, RequestMemory::KeptBytes payload)
      : Change(std::move(reply), count), kept(std::move(payload)) {}
  void acknowledge(Reply& reply) override { reply.written(kept.bytes.size()); }

  const RequestMemory::KeptBytes kept;
};

struct ImageFile::Allocation final : Change {
  using Change::Change;
};

void ImageFile::write(Reply reply, std::span<const std::byte> bytes, std::uint64_t offset,
                      const fuse_file_info& info) {
  if (refusing_) {
    return reply.error(ENOTCONN);
  }
  const auto& file = *fromHandle<OpenFile>(info.fh);
  auto request = std::make_shared<Write>(std::move(reply), pending_, memory_.keepPayload(bytes));
  request->offset = offset;
  request->length = bytes.size();
  // A write past the cache must be durable by the open's flags or by its own (RWF_DSYNC), which
  // come with it; for one through the cache the kernel sends the fsync that they mean.
  request->durable = (file.direct || (info.flags & O_DIRECT) != 0) && (info.flags & O_DSYNC) != 0;
  image_.write(request->kept.bytes, offset,
               [this, request, direct = file.direct](std::error_code error) {
                 noteChange();
                 failedWrites_ += error ? 1 : 0;
                 if (!direct || !openFiles_.mustInvalidate()) {
                   return flushThenAnswer(request, error);
                 }
                 // One that failed may have changed a part, so its pages are dropped too.
                 invalidateThen({request->offset, request->length,
                                 [this, request, error] { flushThenAnswer(request, error); }});
               });
}

void ImageFile::allocate(Reply reply, int mode, std::uint64_t offset, std::uint64_t length,
                         const fuse_file_info& info) {
  if (refusing_) {
    return reply.error(ENOTCONN);
  }
  const auto& file = *fromHandle<OpenFile>(info.fh);
  if (!file.writer) {
    return reply.error(EBADF);
  }
  const bool keepSize = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  const int what = mode & ~FALLOC_FL_KEEP_SIZE;
  const bool punch = what == FALLOC_FL_PUNCH_HOLE && keepSize;
  const bool zero = punch || what == FALLOC_FL_ZERO_RANGE;
  if (!zero && what != 0) {
    return reply.error(EOPNOTSUPP);
  }
  auto request = std::make_shared<Allocation>(std::move(reply), pending_);
  request->offset = offset;
  request->length = length;
  request->durable = file.durable;  // the kernel sends no fsync for these
  const auto ended = [this, request](std::error_code error) {
    noteChange();
    if (error) {
      // A part may be zeros already, and the image longer: drops the attributes too.
      return invalidateThen(
          {request->offset, request->length, [request, error] { request->end(error); }});
    }
    flushThenAnswer(request, error);
  };
  runSlowly([this, request, zero, keepSize, ended] {
    if (zero) {
      image_.zero(request->offset, request->length, keepSize, ended);
    } else {
      ended(image_.reserve(request->offset, request->length, keepSize));
    }
  });
}

void ImageFile::flushThenAnswer(const std::shared_ptr<Change>& change, std::error_code error) {
  if (error || !change->durable) {
    return change->end(error);
  }
  flushThen([change](std::error_code flushError) { change->end(flushError); });
}

void ImageFile::resize(std::uint64_t size, Completion done) {
  runSlowly([this, size, done = std::move(done)]() mutable {
    const std::error_code error = image_.resize(size);
    if (!error) {
      noteChange();
    }
    done(error);
  });
}

}  // namespace netcow
