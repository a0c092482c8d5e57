// SPDX-License-Identifier: Apache-2.0
#include "server/checksums/checksum_maker.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <span>
#include <utility>

#include "base/byte_order.h"
#include "base/errors.h"
#include "base/logging.h"
#include "format/checksum_list.h"
#include "format/dnbd3_messages.h"

namespace netcow {
namespace {

constexpr std::size_t kPiece = std::size_t{256} << 10U;
static_assert(dnbd3::kCrcSpan % kPiece == 0);

/// Lets this thread run when nobody else wants to.
void yieldToOthers() {
  constexpr int kThisThread = 0;
  constexpr int kLowest = 19;
  // As linux/ioprio.h has them, which not every compiler takes.
  constexpr int kIoOfOneThread = 1;  // IOPRIO_WHO_PROCESS
  constexpr int kIdle = 3 << 13;     // IOPRIO_CLASS_IDLE
  ::syscall(SYS_ioprio_set, kIoOfOneThread, kThisThread, kIdle);
  ::setpriority(PRIO_PROCESS, kThisThread, kLowest);
}

/// The list as it is stored: its own checksum, then `checksums`.
std::vector<std::byte> encodeList(const std::vector<std::uint32_t>& checksums) {
  std::vector<LittleEndian<std::uint32_t>> numbers(1);
  numbers.insert(numbers.end(), checksums.begin(), checksums.end());
  Crc32 own;
  own.add(std::as_bytes(std::span(numbers).subspan(1)));
  numbers.front() = own.value();
  const auto bytes = std::as_bytes(std::span(numbers));
  return {bytes.begin(), bytes.end()};
}

/// Whether there is data in a range; where the file system cannot tell, there is.
bool hasData(int fd, std::uint64_t offset, std::uint64_t length) {
  const off_t data = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0) {
    return errno != ENXIO;
  }
  return static_cast<std::uint64_t>(data) < offset + length;
}

}  // namespace

ChecksumMaker::~ChecksumMaker() {
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
  }
  waiting_.notifyAll();
}

void ChecksumMaker::start() {
  thread_ = std::jthread([this] { run(); });
}

void ChecksumMaker::run() {
  yieldToOthers();
  do {
    makeAll();
  } while (waitForNextLook());
}

void ChecksumMaker::look() {
  {
    const MutexLock lock(mutex_);
    lookWanted_ = true;
  }
  waiting_.notifyAll();
}

std::size_t ChecksumMaker::makeAll() {
  std::size_t made = 0;
  std::map<std::string, Settled> still;
  for (const auto& [image, size] : catalog_.list()) {
    try {
      made += makeIfDue(image) ? 1 : 0;
    } catch (const std::exception& error) {
      spdlog::warn("no list of checksums was made of {}: {}", image.fileName(), error.what());
    }
    if (const auto settled = settled_.extract(image.fileName())) {
      still.emplace(settled.key(), std::move(settled.mapped()));
    }
    if (!waitFor({})) {
      break;
    }
  }
  settled_ = std::move(still);
  return made;
}

bool ChecksumMaker::makeIfDue(const ImageName& name) {
  const auto image = catalog_.open(name.name, name.revision);
  const auto state = image ? stateOf(*image) : std::nullopt;
  if (!state) {
    return false;
  }
  const auto settled = settled_.find(name.fileName());
  if (settled != settled_.end() && settled->second.image != *state) {
    lists_.removeThoseOf(name, settled->second.lists);
    settled_.erase(settled);
  } else if (settled != settled_.end() && lists_.has(*image)) {
    return false;
  }
  if (!lists_.read(*image).empty()) {
    settled_[name.fileName()] = {*state, lists_.states(name)};
    return false;
  }
  return isAtRest(*image) && make(*image, *state);
}

std::optional<FileState> ChecksumMaker::stateOf(const ServedImage& image) {
  struct stat status = {};
  if (::fstat(image.fd(), &status) != 0 || status.st_nlink == 0) {
    return std::nullopt;
  }
  return fileStateFrom(status);
}

bool ChecksumMaker::isAtRest(const ServedImage& image) const {
  struct stat status = {};
  if (::fstat(image.fd(), &status) != 0) {
    return false;
  }
  // Who copies an image may give it any time; the kernel's own time of the last change is true.
  const std::int64_t changed = std::max<std::int64_t>(status.st_ctim.tv_sec, 0);
  return clock_.unixSeconds() - changed >= options_.rest.count();
}

bool ChecksumMaker::make(const ServedImage& image, const FileState& state) {
  const auto list = compute(image);
  if (!list || stateOf(image) != state) {
    return false;
  }
  lists_.publish(image, *list);
  settled_[image.image().fileName()] = {state, lists_.states(image.image())};
  spdlog::info("made the list of checksums of {}", image.image().fileName());
  return true;
}

/// Nothing when the server ends meanwhile. Throws std::system_error.
std::optional<std::vector<std::byte>> ChecksumMaker::compute(const ServedImage& image) {
  std::vector<std::uint32_t> checksums;
  std::vector<std::byte> buffer(kPiece);
  for (std::uint64_t span = 0; span < image.servedSize(); span += dnbd3::kCrcSpan) {
    const std::uint64_t end = std::min(span + dnbd3::kCrcSpan, image.servedSize());
    Crc32 checksum;
    for (std::uint64_t at = span; at < end; at += kPiece) {
      const auto piece = std::span(buffer).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, end - at)));
      readPiece(image, piece, at);
      checksum.add(piece);
      if (!waitFor({})) {
        return std::nullopt;
      }
    }
    checksums.push_back(checksum.value());
  }
  return encodeList(checksums);
}

void ChecksumMaker::readPiece(const ServedImage& image, std::span<std::byte> piece,
                              std::uint64_t offset) {
  if (!hasData(image.fd(), offset, piece.size())) {
    std::ranges::fill(piece, std::byte{0});
    return;
  }
  const auto began = std::chrono::steady_clock::now();
  const bool wasCached = image.isCached(offset, piece.size());
  if (const auto error = image.read(piece, offset)) {
    throw std::system_error(error, "cannot read it at " + std::to_string(offset));
  }
  if (!wasCached) {
    ::posix_fadvise(image.fd(), static_cast<off_t>(offset), static_cast<off_t>(piece.size()),
                    POSIX_FADV_DONTNEED);
  }
  const std::chrono::duration<double> due(static_cast<double>(piece.size()) /
                                          static_cast<double>(options_.bytesPerSecond));
  waitFor(std::chrono::duration_cast<std::chrono::nanoseconds>(due) -
          (std::chrono::steady_clock::now() - began));
}

/// False: the server ends.
bool ChecksumMaker::waitFor(std::chrono::nanoseconds duration) {
  const auto end = std::chrono::steady_clock::now() + duration;
  MutexLock lock(mutex_);
  for (auto now = std::chrono::steady_clock::now(); !stopped_ && now < end;
       now = std::chrono::steady_clock::now()) {
    waiting_.waitFor(lock, end - now);
  }
  return !stopped_;
}

/// False: the server ends.
bool ChecksumMaker::waitForNextLook() {
  if (!waitFor(options_.lookAtMostEvery)) {
    return false;
  }
  const auto end = std::chrono::steady_clock::now() + options_.lookEvery - options_.lookAtMostEvery;
  MutexLock lock(mutex_);
  for (auto now = std::chrono::steady_clock::now(); !stopped_ && !lookWanted_ && now < end;
       now = std::chrono::steady_clock::now()) {
    waiting_.waitFor(lock, end - now);
  }
  lookWanted_ = false;
  return !stopped_;
}

}  // namespace netcow
