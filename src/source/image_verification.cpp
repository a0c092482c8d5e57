// SPDX-License-Identifier: Apache-2.0
//
// A buffer goes round: free, being read, arrived, summed up, free again; or once more through
// reading when its span differed. The threads take whatever can be done next, summing up before
// reading, so that buffers come back soon. A source that reads in the calling thread (a file) has
// as many reads at once as there are threads, one that does not (a server) as there are buffers.
#include "source/image_verification.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "format/dnbd3_messages.h"
#include "format/geometry.h"

namespace netcow {
namespace {

/// Small enough that the bytes read so far tell how it goes, also over a slow line.
constexpr std::uint64_t kPiece = std::uint64_t{1} << 20U;
/// One sums up more than 1 GB/s, which two may share.
constexpr std::size_t kThreads = 2;

}  // namespace

ImageVerification::ImageVerification(Source& source, const ChecksumList& list)
    : source_(source), list_(list), size_(source.size()) {
  const std::uint64_t spans = divideRoundingUp(size_, dnbd3::kCrcSpan);
  const std::uint64_t longest = roundUp(std::min(size_, dnbd3::kCrcSpan), kBlockSize);
  const MutexLock lock(mutex_);
  report_.spans = spans;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(spans, kMostInFlight); ++i) {
    buffers_.push_back(std::make_unique<Buffer>());
    buffers_.back()->bytes = std::make_unique_for_overwrite<std::byte[]>(longest);
    free_.push_back(buffers_.back().get());
  }
}

ImageVerification::~ImageVerification() = default;

std::uint64_t ImageVerification::lengthOf(std::uint64_t span) const {
  return std::min(dnbd3::kCrcSpan, size_ - span * dnbd3::kCrcSpan);
}

VerificationReport ImageVerification::run(std::chrono::milliseconds interval,
                                          const Watcher& watch) {
  std::vector<std::jthread> threads;
  MutexLock lock(mutex_);
  working_ = kThreads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] { work(); });
  }
  bool ended = false;
  while (!ended) {
    const auto end = std::chrono::steady_clock::now() + interval;
    while (working_ != 0 && std::chrono::steady_clock::now() < end) {
      changed_.waitFor(lock, end - std::chrono::steady_clock::now());
    }
    ended = working_ == 0;  // what is told last is the end
    const Progress now = progress();
    lock.unlock();
    watch(now);
    lock.lock();
  }
  for (auto* list : {&report_.bad, &report_.unreadable, &report_.onlyOnce}) {
    std::sort(list->begin(), list->end());
  }
  report_.stopped = report_.checked != report_.spans;
  return report_;
}

void ImageVerification::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notifyAll();
  }
  source_.stop();
}

ImageVerification::Progress ImageVerification::progress() const {
  return {
      .bytes = bytesRead_, .size = size_, .bad = report_.bad.size() + report_.unreadable.size()};
}

bool ImageVerification::hasSpanToRead() const {
  return !stopping_ && (!toReadAgain_.empty() || (!free_.empty() && nextSpan_ < report_.spans));
}

void ImageVerification::work() {
  MutexLock lock(mutex_);
  for (;;) {
    if (!arrived_.empty()) {
      Buffer& buffer = *arrived_.front();
      arrived_.pop_front();
      lock.unlock();
      const bool good = isGood(buffer);
      lock.lock();
      note(buffer, good);
    } else if (hasSpanToRead()) {
      Buffer* buffer = nullptr;
      if (!toReadAgain_.empty()) {
        buffer = toReadAgain_.front();
        toReadAgain_.pop_front();
      } else {
        buffer = free_.back();
        free_.pop_back();
        buffer->span = nextSpan_++;
        buffer->again = false;
      }
      lock.unlock();
      read(*buffer);
      lock.lock();
    } else if (free_.size() + toReadAgain_.size() == buffers_.size()) {
      break;  // nothing is under way, and nothing is left to do or wanted
    } else {
      changed_.wait(lock);
    }
  }
  --working_;
  changed_.notifyAll();
}

void ImageVerification::read(Buffer& buffer) {
  const std::uint64_t length = lengthOf(buffer.span);
  buffer.failed = false;
  buffer.missing = static_cast<std::uint32_t>(divideRoundingUp(length, kPiece));
  for (std::uint64_t at = 0; at < length; at += kPiece) {
    const std::span piece(buffer.bytes.get() + at, std::min(kPiece, length - at));
    readPiece(buffer, piece, buffer.span * dnbd3::kCrcSpan + at);
  }
}

void ImageVerification::readPiece(Buffer& buffer, std::span<std::byte> piece,
                                  std::uint64_t offset) {
  source_.read(piece, offset, [this, &buffer, length = piece.size()](std::error_code error) {
    if (error) {
      buffer.failed = true;
    } else if (!buffer.again) {
      bytesRead_ += length;
    }
    if (--buffer.missing == 0) {
      const MutexLock lock(mutex_);
      arrived_.push_back(&buffer);
      changed_.notifyAll();
    }
  });
}

bool ImageVerification::isGood(Buffer& buffer) const {
  if (buffer.failed) {
    return false;
  }
  const std::uint64_t length = lengthOf(buffer.span);
  const std::uint64_t padded = roundUp(length, kBlockSize);
  std::memset(buffer.bytes.get() + length, 0, padded - length);
  Crc32 crc;
  crc.add({buffer.bytes.get(), padded});
  return crc.value() == list_.checksum(buffer.span);
}

void ImageVerification::note(Buffer& buffer, bool good) {
  changed_.notifyAll();
  // What could not be read because everything ends is nothing that was found.
  const bool cutShort = stopping_ && buffer.failed;
  if (!good && !buffer.again && !stopping_) {
    buffer.again = true;
    toReadAgain_.push_back(&buffer);
    return;
  }
  free_.push_back(&buffer);
  if (!good && (!buffer.again || cutShort)) {
    return;
  }
  ++report_.checked;
  if (!good) {
    (buffer.failed ? report_.unreadable : report_.bad).push_back(buffer.span);
  } else if (buffer.again) {
    report_.onlyOnce.push_back(buffer.span);
  }
}

}  // namespace netcow
