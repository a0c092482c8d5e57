// SPDX-License-Identifier: Apache-2.0
#include "upload/base_blocks.h"

#include <algorithm>
#include <exception>
#include <latch>
#include <string>
#include <utility>

#include "base/logging.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;

/// After a failure.
constexpr std::chrono::seconds kOffFor = 60s;
/// A connection that nobody uses is closed after this.
constexpr std::chrono::seconds kIdleLimit = 30s;

}  // namespace

BaseBlocks::BaseBlocks(Options options, const Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

BaseBlocks::~BaseBlocks() = default;

void BaseBlocks::read(std::span<Part> parts) {
  if (!ensureOpen()) {
    return;
  }
  lastRead_ = clock_.now();
  // Shared, as the last completion may still be about to leave it when the wait is over.
  const auto running = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(parts.size()));
  for (Part& part : parts) {
    source_->read(part.buffer, part.offset, [&part, running](const std::error_code& error) {
      part.read = !error;
      running->count_down();
    });
  }
  running->wait();
  if (!std::ranges::all_of(parts, &Part::read)) {
    giveUp("it does not answer in time");
  }
}

bool BaseBlocks::ensureOpen() {
  if (source_) {
    return true;
  }
  if (!options_.open || (offUntil_ && clock_.now() < *offUntil_)) {
    return false;
  }
  try {
    source_ = options_.open();
    if (source_ && (!(source_->image() == options_.image) || source_->size() != options_.size)) {
      giveUp("it is another image");
    }
  } catch (const std::exception& error) {
    giveUp(error.what());
  }
  return source_ != nullptr;
}

void BaseBlocks::giveUp(const std::string& why) {
  spdlog::debug("going on without comparing with the base: {}", why);
  source_.reset();
  offUntil_ = clock_.now() + kOffFor;
}

void BaseBlocks::rest() {
  if (source_ && clock_.now() - lastRead_ > kIdleLimit) {
    source_.reset();
  }
}

}  // namespace netcow
