// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_schedule.h"

#include <algorithm>

namespace netcow {

std::chrono::milliseconds backoffAfter(std::uint32_t failuresInARow, const UploadRules& rules) {
  auto wait = rules.firstBackoff;
  for (std::uint32_t i = 1; i < failuresInARow && wait < rules.longestBackoff; ++i) {
    wait *= 2;
  }
  return std::min(wait, rules.longestBackoff);
}

UploadSchedule::UploadSchedule(const UploadRules& rules, const Clock& clock)
    : rules_(rules), clock_(clock), heldUntil_(clock.now()), pausedUntil_(clock.now()) {}

void UploadSchedule::beginFinalPass() {
  finalPass_ = true;
  stopped_ = false;
  heldUntil_ = clock_.now();
  setbacks_ = 0;
  failures_.clear();
  for (auto& [cluster, due] : waiting_) {
    due = clock_.now();
  }
}

std::size_t UploadSchedule::places() const {
  return finalPass_ ? rules_.parallelFinal : rules_.parallelMounted;
}

bool UploadSchedule::mayStart() const {
  const auto now = clock_.now();
  return !stopped_ && inFlight_ < places() && now >= pausedUntil_ && now >= heldUntil_;
}

Clock::Time UploadSchedule::newestDue() const {
  return finalPass_ ? Clock::Time::max() : clock_.now() - rules_.minAge;
}

void UploadSchedule::started() {
  ++inFlight_;
}

void UploadSchedule::arrived(std::uint64_t cluster) {
  --inFlight_;
  failures_.erase(cluster);
  setbacks_ = 0;
}

void UploadSchedule::failed(std::uint64_t cluster) {
  --inFlight_;
  postpone(cluster);
}

void UploadSchedule::postpone(std::uint64_t cluster) {
  const auto now = clock_.now();
  const std::uint32_t failures = ++failures_[cluster];
  waiting_[cluster] = now + (finalPass_ ? backoffAfter(failures, rules_) : rules_.retryMounted);
  // Uploads that were in flight together fail together: that is one setback.
  if (now >= heldUntil_) {
    ++setbacks_;
    heldUntil_ = now + backoffAfter(setbacks_, rules_);
  }
}

void UploadSchedule::sentBack() {
  --inFlight_;
}

void UploadSchedule::pause(std::chrono::seconds length) {
  pausedUntil_ = std::max(pausedUntil_, clock_.now() + length);
}

void UploadSchedule::defer(std::uint64_t cluster) {
  waiting_[cluster] = clock_.now() + rules_.retryMounted;
}

std::vector<std::uint64_t> UploadSchedule::takeWaited(bool everything) {
  std::vector<std::uint64_t> taken;
  std::erase_if(waiting_, [&](const auto& entry) {
    const bool due = everything || entry.second <= clock_.now();
    if (due) {
      taken.push_back(entry.first);
    }
    return due;
  });
  return taken;
}

std::optional<Clock::Time> UploadSchedule::wakeAt(std::optional<Clock::Time> oldestDirty) const {
  if (stopped_ || inFlight_ >= places()) {
    return std::nullopt;
  }
  std::optional<Clock::Time> due;
  if (oldestDirty) {
    due = finalPass_ ? *oldestDirty : *oldestDirty + rules_.minAge;
  }
  for (const auto& [cluster, time] : waiting_) {
    due = due ? std::min(*due, time) : time;
  }
  return due ? std::max({*due, pausedUntil_, heldUntil_}) : due;
}

}  // namespace netcow
