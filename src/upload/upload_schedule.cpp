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

UploadSchedule::UploadSchedule(const UploadRules& rules, const Clock& clock, Jitter jitter)
    : rules_(rules),
      clock_(clock),
      jitter_(std::move(jitter)),
      heldUntil_(clock.now()),
      pausedUntil_(clock.now()) {}

void UploadSchedule::beginFinalPass() {
  finalPass_ = true;
  stopped_ = false;
  heldUntil_ = clock_.now();
  setbacks_ = 0;
  failures_.clear();
  decltype(waiting_) dueNow;
  for (const auto& [due, cluster] : waiting_) {
    dueNow.emplace(clock_.now(), cluster);
  }
  waiting_ = std::move(dueNow);
}

std::size_t UploadSchedule::places() const {
  const std::size_t most = finalPass_ ? rules_.parallelFinal : rules_.parallelMounted;
  if (!rules_.bytesPerSecond) {
    return most;
  }
  return std::clamp<std::uint64_t>(*rules_.bytesPerSecond / kLeastBytesPerSecond, 1, most);
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
  wait(cluster, finalPass_ ? backoffAfter(failures, rules_) : rules_.retryMounted);
  // Uploads that were in flight together fail together: that is one setback.
  if (now >= heldUntil_) {
    ++setbacks_;
    heldUntil_ = now + jitter_.around(backoffAfter(setbacks_, rules_));
  }
}

void UploadSchedule::wait(std::uint64_t cluster, std::chrono::milliseconds time) {
  waiting_.emplace(clock_.now() + jitter_.around(time), cluster);
}

void UploadSchedule::sentBack() {
  --inFlight_;
}

void UploadSchedule::pause(std::chrono::seconds length) {
  pausedUntil_ = std::max(pausedUntil_, clock_.now() + jitter_.atLeast(length));
}

void UploadSchedule::defer(std::uint64_t cluster) {
  wait(cluster, rules_.retryMounted);
}

std::vector<std::uint64_t> UploadSchedule::takeWaited(bool everything) {
  std::vector<std::uint64_t> taken;
  const auto now = clock_.now();
  while (!waiting_.empty() && (everything || waiting_.begin()->first <= now)) {
    taken.push_back(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
  }
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
  if (!waiting_.empty()) {
    due = std::min(due.value_or(Clock::Time::max()), waiting_.begin()->first);
  }
  return due ? std::max({*due, pausedUntil_, heldUntil_}) : due;
}

}  // namespace netcow
