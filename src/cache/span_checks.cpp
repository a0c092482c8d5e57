// SPDX-License-Identifier: Apache-2.0
#include "cache/span_checks.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/logging.h"
#include "format/dnbd3_messages.h"
#include "format/geometry.h"

namespace netcow {

SpanChecks::SpanChecks(BlockCache& blocks, StoreQueue& queue, std::uint64_t imageSize,
                       bool recovered, ChecksumFetcher fetch)
    : blocks_(blocks),
      queue_(queue),
      imageSize_(imageSize),
      fetch_(std::move(fetch)),
      states_(std::make_unique<std::atomic<State>[]>(divideRoundingUp(imageSize, dnbd3::kCrcSpan))),
      distrust_(recovered),
      thread_([this] { run(); }) {
  blocks_.setGate(this);
}

SpanChecks::~SpanChecks() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  changed_.notifyAll();
  thread_.join();
  blocks_.setGate(nullptr);
  queue_.drain();  // what is to be forgotten names this
}

bool SpanChecks::mayRead(std::uint64_t offset, std::uint64_t length) {
  // A run is shorter than a span.
  const std::uint64_t first = offset / dnbd3::kCrcSpan;
  const std::uint64_t last = (offset + length - 1) / dnbd3::kCrcSpan;
  const bool may = mayServe(first);
  return first == last ? may : mayServe(last) && may;
}

bool SpanChecks::mayServe(std::uint64_t span) {
  State state = states_[span].load(std::memory_order_acquire);
  if (state == State::done) {
    return true;
  }
  if (state == State::unknown && states_[span].compare_exchange_strong(state, State::waiting)) {
    const MutexLock lock(mutex_);
    waiting_.push_back(span);
    changed_.notifyAll();
  }
  return state != State::wrong && !distrust_.load();
}

void SpanChecks::run() {
  // Asked for when somebody reads what is cached, so that an empty cache asks for nothing.
  auto span = next();
  if (!span) {
    return;
  }
  const std::optional<ChecksumList> list = fetch_();
  const std::uint64_t spans = divideRoundingUp(imageSize_, dnbd3::kCrcSpan);
  if (!list || list->spans() != spans) {
    // What the order of writes promises is all that is known.
    distrust_ = false;
    for (std::uint64_t i = 0; i < spans; ++i) {
      states_[i] = State::done;
    }
    return;
  }
  for (; span; span = next()) {
    check(*span, *list);
  }
}

std::optional<std::uint64_t> SpanChecks::next() {
  MutexLock lock(mutex_);
  while (waiting_.empty() && !stop_) {
    changed_.wait(lock);
  }
  if (stop_) {
    return std::nullopt;
  }
  const std::uint64_t span = waiting_.front();
  waiting_.pop_front();
  return span;
}

void SpanChecks::check(std::uint64_t span, const ChecksumList& list) {
  const std::uint64_t begin = span * dnbd3::kCrcSpan;
  const std::uint64_t end = std::min(imageSize_, begin + dnbd3::kCrcSpan);
  const auto found = checksumOf(begin, end);
  if (!found || *found == list.checksum(span)) {
    states_[span] = State::done;
    return;
  }
  states_[span] = State::wrong;
  spdlog::warn(
      "the cache has wrong bytes from {} to {} of the image: they are fetched again; check "
      "the disk of the cache",
      begin, end);
  queue_.afterwards([this, span, begin, end] {
    blocks_.forgetRange(begin, end);
    states_[span] = State::done;
  });
}

std::optional<std::uint32_t> SpanChecks::checksumOf(std::uint64_t begin, std::uint64_t end) {
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 20U;
  if (const auto range = blocks_.nextMissing(begin, 1); range.length > 0 && range.offset < end) {
    return std::nullopt;
  }
  std::vector<std::byte> buffer(kPiece);
  std::vector<MissingPart> missing;
  Crc32 checksum;
  for (std::uint64_t at = begin; at < end && !stop_; at += kPiece) {
    const auto part = std::span(buffer).first(std::min(kPiece, end - at));
    blocks_.readUngated(part, at, missing);
    if (!missing.empty()) {
      return std::nullopt;
    }
    checksum.add(part);
  }
  // The last one is over whole blocks.
  const std::vector<std::byte> padding(roundUp(end, kBlockSize) - end);
  checksum.add(padding);
  return stop_ ? std::nullopt : std::optional(checksum.value());
}

}  // namespace netcow
