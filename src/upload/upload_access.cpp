// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_access.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "base/errors.h"
#include "base/logging.h"
#include "base/unique_fd.h"
#include "base/whole_io.h"

namespace netcow {
namespace {

/// What servers take in one line of a header.
constexpr std::size_t kLongestToken = 8000;

[[noreturn]] void refuse(const std::string& option, const std::string& path,
                         const std::string& why) {
  throw UserError("the file " + path + " given to " + option + " " + why);
}

/// At most a little more than a token may be long, so that no wrong file is read whole.
std::string readBeginning(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    refuse("--token-file", path, "cannot be read: " + errnoCode(errno).message());
  }
  if (!S_ISREG(status.st_mode)) {
    refuse("--token-file", path, "is no file; name one that holds the token and nothing else");
  }
  std::array<char, kLongestToken + 256> text{};
  if (const auto error = preadOrZeros(fd.get(), std::as_writable_bytes(std::span(text)), 0)) {
    refuse("--token-file", path, "cannot be read: " + error.message());
  }
  const auto length =
      std::min<std::uint64_t>(text.size(), static_cast<std::uint64_t>(status.st_size));
  return {text.data(), static_cast<std::size_t>(length)};
}

void checkReadable(const std::string& caFile) {
  const UniqueFd fd(::open(caFile.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    refuse("--ca-file", caFile, "cannot be read: " + errnoCode(errno).message());
  }
  if (!S_ISREG(status.st_mode) || status.st_size == 0) {
    refuse("--ca-file", caFile, "holds no certificate; name one with certificates (PEM)");
  }
}

}  // namespace

std::string parseToken(const std::string& text, const std::string& path) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string::npos) {
    refuse("--token-file", path, "is empty; it must hold the token and nothing else");
  }
  std::string token = text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
  if (token.size() > kLongestToken) {
    refuse("--token-file", path,
           "is too long for a token; it must hold the token and nothing else");
  }
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c <= '~'; })) {
    refuse("--token-file", path,
           "holds what a token cannot: several words or lines, or characters that are not "
           "printable ASCII; it must hold the token and nothing else");
  }
  return token;
}

UploadAccess::UploadAccess(const std::string& tokenFile, const std::string& caFile)
    : tokenFile_(tokenFile) {
  if (!tokenFile.empty()) {
    seen_ = stampOf(tokenFile);
    credentials_.token = parseToken(readBeginning(tokenFile), tokenFile);
  }
  if (!caFile.empty()) {
    checkReadable(caFile);
    credentials_.caFile = caFile;
  }
}

const Credentials& UploadAccess::current() {
  if (tokenFile_.empty()) {
    return credentials_;
  }
  const Stamp stamp = stampOf(tokenFile_);
  if (stamp == seen_) {
    return credentials_;
  }
  seen_ = stamp;  // before it is read: a change meanwhile is seen the next time
  try {
    credentials_.token = parseToken(readBeginning(tokenFile_), tokenFile_);
    spdlog::info("read the token in {} again", tokenFile_);
  } catch (const UserError& error) {
    spdlog::warn("{}; the last token that was read stays in use", error.what());
  }
  return credentials_;
}

UploadAccess::Stamp UploadAccess::stampOf(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return {};
  }
  return {status.st_dev, status.st_ino, status.st_size,
          std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

}  // namespace netcow
