// SPDX-License-Identifier: Apache-2.0
#include "source/checksum_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "base/errors.h"
#include "base/unique_fd.h"
#include "base/whole_io.h"

namespace netcow {

std::optional<ChecksumList> readChecksumFile(const std::string& path, std::uint64_t imageSize,
                                             const std::string& advice) {
  const std::string name = path + ".crc";
  const auto refusal = [&](const std::string& why) {
    return UserError(name + " is not the list of checksums of " + path + ": " + why + "; " +
                     advice);
  };
  const UniqueFd fd(::open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd && errno == ENOENT) {
    return std::nullopt;
  }
  struct stat status = {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    throwErrno("cannot open " + name);
  }
  std::vector<std::byte> bytes(ChecksumList::bytesFor(imageSize));
  if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) != bytes.size()) {
    throw refusal("it has another length than an image of this size needs");
  }
  if (const auto error = preadOrZeros(fd.get(), bytes, 0)) {
    throwErrno(toErrno(error), "cannot read " + name);
  }
  auto list = ChecksumList::parse(bytes);
  if (!list) {
    throw refusal("its own checksum is wrong");
  }
  return list;
}

}  // namespace netcow
