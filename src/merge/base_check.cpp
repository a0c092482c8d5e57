// SPDX-License-Identifier: Apache-2.0
//
// The blocks that are not local come from the base: another base makes garbage of the image, and
// nobody may notice for long. Size and name are looked at always. Checksums would have the whole
// base read, which takes longer than a merge that shares: so a fixed number of them is compared,
// unless all are asked for. A file system writes to its beginning whenever it is mounted for
// writing, so the sample catches images that were used, not only other images.
#include "merge/base_check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <vector>

#include "base/errors.h"
#include "base/unique_fd.h"
#include "base/whole_io.h"
#include "format/checksum_list.h"
#include "format/dnbd3_messages.h"
#include "format/image_name.h"
#include "merge/file_copy.h"
#include "source/checksum_file.h"

namespace netcow {
namespace {

constexpr std::uint64_t kSampledSpans = 16;

/// A server rounds an image's size up to whole blocks, so a session over it knows the rounded one.
bool hasSize(std::uint64_t fileSize, std::uint64_t baseSize) {
  return fileSize == baseSize || roundUp(fileSize, kBlockSize) == baseSize;
}

std::uint64_t sizeOfBase(const std::string& base) {
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(base, error);
  if (error) {
    throw UserError("cannot use " + base + " as the base: " + error.message() +
                    "; name the image the session was made from with --base");
  }
  return size;
}

void checkSize(const std::string& base, std::uint64_t size, const Origin& origin) {
  if (!hasSize(size, origin.baseSize)) {
    throw UserError(base + " has " + std::to_string(size) +
                    " bytes, but the session was made from " + origin.imageName + " revision " +
                    std::to_string(origin.revision) + " of " + std::to_string(origin.baseSize) +
                    " bytes; name that one with --base");
  }
}

void checkName(const std::string& base, const Origin& origin) {
  const std::filesystem::path path(base);
  const auto name = parseImageFileName(path.filename().string());
  // A file may have been mounted under another name and number than its own.
  std::error_code ignored;
  const auto real = std::filesystem::canonical(path, ignored);
  const bool wasMounted = origin.source == "file://" + real.string();
  if (!name || origin.imageName.empty() || wasMounted) {
    return;
  }
  const bool sameName = name->name == std::filesystem::path(origin.imageName).filename().string();
  const bool sameRevision = origin.revision == 0 || name->revision == origin.revision;
  if (!sameName || !sameRevision) {
    throw UserError(base + " is called " + name->name + " revision " +
                    std::to_string(name->revision) + ", but the session was made from " +
                    origin.imageName + " revision " + std::to_string(origin.revision) +
                    "; name that one with --base, or give the file another name if it is the one");
  }
}

/// A base and the list of checksums beside it.
class ListedBase {
 public:
  ListedBase(const std::string& path, const std::atomic<bool>& cancel)
      : path_(path), cancel_(cancel), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat status = {};
    if (!fd_ || ::fstat(fd_.get(), &status) != 0) {
      throwErrno("cannot open the base image " + path);
    }
    size_ = roundUp(static_cast<std::uint64_t>(status.st_size), kBlockSize);
  }

  /// Nothing if there is no list.
  [[nodiscard]] std::optional<ChecksumList> readList() const {
    return readChecksumFile(path_, size_,
                            "check that this is the right image, then put its list there or give "
                            "--verify none");
  }

  void check(const ChecksumList& list, std::uint64_t span) {
    const FileRange range{span * dnbd3::kCrcSpan, std::min((span + 1) * dnbd3::kCrcSpan, size_)};
    if (checksumOf(range) != list.checksum(span)) {
      throw UserError(path_ + " is not what its list of checksums says: bytes " +
                      std::to_string(range.begin) + " to " + std::to_string(range.end - 1) +
                      " differ; name the image the session was made from with --base, or, if the "
                      "list is out of date, give --verify none");
    }
  }

 private:
  [[nodiscard]] std::uint32_t checksumOf(const FileRange& range) {
    Crc32 crc;
    for (std::uint64_t at = range.begin; at < range.end; at += buffer_.size()) {
      throwIfCancelled(cancel_);
      const auto part =
          std::span(buffer_).first(std::min<std::uint64_t>(buffer_.size(), range.end - at));
      if (const auto error = preadOrZeros(fd_.get(), part, at)) {
        throwErrno(toErrno(error), "cannot read " + path_);
      }
      crc.add(part);
    }
    return crc.value();
  }

  const std::string path_;
  const std::atomic<bool>& cancel_;
  const UniqueFd fd_;
  std::uint64_t size_ = 0;  ///< bytes, whole blocks, as its checksums count them
  std::vector<std::byte> buffer_ = std::vector<std::byte>(std::size_t{1} << 20U);
};

}  // namespace

void checkBaseFits(const std::string& base, const Session& session,
                   const std::optional<Origin>& origin) {
  const std::uint64_t size = sizeOfBase(base);
  if (origin && origin->baseSize != 0) {
    checkSize(base, size, *origin);
  } else if (roundUp(size, kBlockSize) < session.validRemoteSize()) {
    throw UserError(base +
                    " is smaller than what the session shows of its base; name the image it was "
                    "made from with --base");
  }
  if (origin) {
    checkName(base, *origin);
  }
}

BaseVerification verifyBase(const std::string& base, VerifyBase how,
                            const std::atomic<bool>& cancel) {
  BaseVerification result;
  if (how == VerifyBase::none) {
    return result;
  }
  ListedBase listed(base, cancel);
  const auto list = listed.readList();
  if (!list) {
    return result;
  }
  result.hasList = true;
  result.all = list->spans();
  result.checked = how == VerifyBase::all ? result.all : std::min(result.all, kSampledSpans);
  for (std::uint64_t i = 0; i < result.checked; ++i) {
    // Spread over the whole, the first and the last among them.
    listed.check(*list, result.checked == 1 ? 0 : i * (result.all - 1) / (result.checked - 1));
  }
  return result;
}

}  // namespace netcow
