// SPDX-License-Identifier: Apache-2.0
//
// SEEK_DATA and SEEK_HOLE. The image knows its holes, but not what programs changed through memory
// maps and the kernel has not written back yet, and the kernel does not write it back before it
// asks. So while such a map may exist, a hole is told of only after its pages were written back.
// Nobody else has to wait for that: answers come at once.
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "mount/image_file.h"

namespace netcow {
namespace {

/// An answer, and the hole that it relies on.
struct Found {
  std::error_code error;
  std::uint64_t position = 0;
  std::uint64_t holeBegin = 0;
  std::uint64_t holeEnd = 0;  ///< not behind holeBegin: there is none
};

Found findData(Image& image, std::uint64_t offset) {
  Found found;
  found.error = image.findData(offset, found.position);
  found.holeBegin = offset;
  found.holeEnd = found.error ? image.size() : found.position;
  return found;
}

Found findHole(Image& image, std::uint64_t offset) {
  Found found;
  found.error = image.findHole(offset, found.position);
  if (!found.error) {
    const Found next = findData(image, found.position);
    found.holeBegin = next.holeBegin;
    found.holeEnd = next.holeEnd;
  }
  return found;
}

}  // namespace

struct ImageFile::Seek {
  Reply reply;
  std::uint64_t offset;
  int whence;
  std::uint64_t checkedUntil;  ///< in holes that end here nothing is left to write back
};

void ImageFile::seek(Reply reply, std::uint64_t offset, int whence) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) {
    return reply.error(EINVAL);
  }
  continueSeek({std::move(reply), offset, whence, 0});
}

void ImageFile::continueSeek(Seek seek) {
  const Found found =
      seek.whence == SEEK_DATA ? findData(image_, seek.offset) : findHole(image_, seek.offset);
  const bool unsure = found.holeBegin < found.holeEnd && found.holeEnd > seek.checkedUntil;
  if (unsure && openFiles_.mayBeMapped()) {
    seek.checkedUntil = found.holeEnd;
    return invalidateThen(
        {found.holeBegin, found.holeEnd - found.holeBegin,
         [this, next = std::move(seek)]() mutable { continueSeek(std::move(next)); }});
  }
  if (found.error) {
    return seek.reply.error(toErrno(found.error));
  }
  seek.reply.position(found.position);
}

}  // namespace netcow
