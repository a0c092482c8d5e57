// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch/prefetch_source.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace netcow {
namespace {

/// Reads of less are read ahead of over any network, however short.
constexpr std::size_t kLargeRead = std::size_t{64} << 10U;

void copy(std::span<std::byte> to, const Extent& extent, std::uint64_t offset) {
  std::memcpy(to.data(), extent.bytes(offset, to.size()).data(), to.size());
}

Completion reportTo(std::shared_ptr<PendingOperation> operation) {
  return [operation = std::move(operation)](const std::error_code& error) {
    operation->report(error);
  };
}

double mebibytes(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1U << 20U);
}

}  // namespace

PrefetchSource::PrefetchSource(std::unique_ptr<Source> inner, Options options, const Clock& clock)
    : inner_(std::move(inner)),
      options_(options),
      pool_(options.memory),
      prefetcher_(inner_->size(), pool_, clock),
      housekeeper_([this] { keepHouse(); }) {}

PrefetchSource::~PrefetchSource() {
  stop();
}

bool PrefetchSource::isInside(std::uint64_t offset, std::uint64_t length) const {
  return length > 0 && offset <= size() && length <= size() - offset;
}

void PrefetchSource::read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) {
  Parts parts;
  std::vector<ExtentPointer> extents;
  std::shared_ptr<PendingOperation> operation;
  if (isInside(offset, buffer.size())) {
    const auto roundTrip = buffer.size() >= kLargeRead ? inner_->shortestRoundTrip() : std::nullopt;
    const MutexLock lock(mutex_);
    if (!stopped_) {
      parts = prefetcher_.read(buffer, offset, roundTrip, extents);
    }
    if (!parts.empty()) {
      operation = std::make_shared<PendingOperation>(std::move(done));
      std::erase_if(parts, [&](const Prefetcher::Part& part) {
        const bool isUnderWay = part.extent != nullptr && !part.extent->hasArrived;
        if (isUnderWay) {
          part.extent->waiting.push_back({part.buffer, part.offset, operation});
        }
        return isUnderWay;
      });
    }
    if (operation != nullptr || !extents.empty()) {
      ++inside_;
    }
  }
  const bool counted = operation != nullptr || !extents.empty();
  if (operation == nullptr) {
    inner_->read(buffer, offset, std::move(done));
  } else {
    answer(parts, std::exchange(operation, nullptr));
  }
  if (counted) {
    ask(std::move(extents));
    leave();
  }
}

/// First what takes its time.
void PrefetchSource::answer(const Parts& parts,
                            const std::shared_ptr<PendingOperation>& operation) {
  for (const Prefetcher::Part& part : parts) {
    if (part.extent == nullptr) {
      inner_->read(part.buffer, part.offset, reportTo(operation));
    }
  }
  for (const Prefetcher::Part& part : parts) {
    if (part.extent != nullptr) {
      copy(part.buffer, *part.extent, part.offset);
    }
  }
}

void PrefetchSource::willNeedNear(std::uint64_t offset, std::uint64_t length) {
  std::vector<ExtentPointer> extents;
  {
    const MutexLock lock(mutex_);
    if (stopped_ || !isInside(offset, length)) {
      return;
    }
    prefetcher_.willNeedNear({offset, length}, extents);
    if (extents.empty()) {
      return;
    }
    ++inside_;
  }
  ask(std::move(extents));
  leave();
}

void PrefetchSource::ask(std::vector<ExtentPointer> extents) {
  if (extents.empty()) {
    return;
  }
  {
    const MutexLock lock(mutex_);
    wakeHousekeeper();
  }
  for (ExtentPointer& extent : extents) {
    const std::span<std::byte> bytes = extent->bytes();
    const std::uint64_t offset = extent->offset;
    inner_->read(bytes, offset, [this, extent = std::move(extent)](const std::error_code& error) {
      ended(extent, error);
    });
  }
}

void PrefetchSource::ended(const ExtentPointer& extent, std::error_code error) {
  std::vector<Extent::Waiting> waiting;
  {
    const MutexLock lock(mutex_);
    prefetcher_.ended(extent, static_cast<bool>(error));
    waiting.swap(extent->waiting);
  }
  for (Extent::Waiting& part : waiting) {
    if (error) {
      inner_->read(part.buffer, part.offset, reportTo(std::move(part.operation)));
    } else {
      copy(part.buffer, *extent, part.offset);
      part.operation.reset();  // answers, if this was the last part
    }
  }
}

/// The other source ends what is pending, with it what waits for extents. What is answered from
/// memory ends in the threads that are inside.
void PrefetchSource::stop() {
  std::call_once(stopOnce_, [this] {
    {
      const MutexLock lock(mutex_);
      stopped_ = true;
      hasWork_.notifyAll();
    }
    inner_->stop();
    {
      MutexLock lock(mutex_);
      while (inside_ > 0) {
        left_.wait(lock);
      }
    }
    housekeeper_.join();
  });
}

void PrefetchSource::leave() {
  const MutexLock lock(mutex_);
  if (--inside_ == 0 && stopped_) {
    left_.notifyAll();
  }
}

void PrefetchSource::wakeHousekeeper() {
  asked_ = true;
  if (!std::exchange(hasMemory_, true)) {
    hasWork_.notifyAll();
  }
}

/// A thread that sleeps for good while there is nothing to give back.
void PrefetchSource::keepHouse() {
  MutexLock lock(mutex_);
  while (!stopped_) {
    if (!hasMemory_) {
      hasWork_.wait(lock);
      continue;
    }
    asked_ = false;
    hasWork_.waitFor(lock, options_.idle);  // ends early at the end, or for no reason and no harm
    std::vector<ExtentPointer> unused = prefetcher_.dropUnused();
    const bool quiet = !asked_;
    lock.unlock();
    unused.clear();
    if (quiet) {
      pool_.giveBack();
    }
    lock.lock();
    hasMemory_ = asked_ || pool_.allocated() > 0;
  }
}

std::string PrefetchSource::statusText() const {
  Prefetcher::Numbers numbers;
  {
    const MutexLock lock(mutex_);
    numbers = prefetcher_.numbers();
  }
  return inner_->statusText() +
         fmt::format(
             "Prefetch: {} readers in order, window {:.1f} MiB, memory {:.1f} of {:.1f} MiB\n"
             "Prefetched: {:.1f} MiB, {:.1f} read at once, {:.1f} waited for, {:.1f} dropped "
             "unread\n",
             numbers.streams, mebibytes(numbers.window), mebibytes(pool_.allocated()),
             mebibytes(pool_.limit()), mebibytes(numbers.bytesAsked), mebibytes(numbers.bytesReady),
             mebibytes(numbers.bytesJoined), mebibytes(numbers.bytesUnread));
}

}  // namespace netcow
