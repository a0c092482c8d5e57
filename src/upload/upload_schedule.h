// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "upload/jitter.h"

// When which cluster is uploaded: the rules alone, without session, server or threads.
//
// A cluster is first dirty in the session. Taken out it is in flight; from there it has arrived,
// is given back (the server asked for a pause), or waits because its upload failed. One that has
// waited long enough is given back as well, and is then taken like any other: if it was written
// again meanwhile it has to become old first.
//
// Three things hold back new uploads: all places taken, a pause the server asked for, and in the
// wake of a failure a moment that grows while nothing succeeds, so that a server that is down is
// not asked for one cluster after the other. Uploads in flight go on under all of them. What lasts
// as long as a rule says is spread by Jitter; a pause asked for is never shortened by it.
//
// Every call costs by the logarithm of how many clusters wait.
namespace netcow {

struct UploadRules {
  std::chrono::milliseconds minAge{60'000};  ///< of the last change, while mounted
  std::size_t parallelMounted = 2;
  std::size_t parallelFinal = 10;
  /// All uploads together; none: as fast as they go.
  std::optional<std::uint64_t> bytesPerSecond;
  std::chrono::seconds giveUpAfter{10};            ///< of less than 1000 bytes a second
  std::chrono::milliseconds retryMounted{60'000};  ///< how long a failed cluster waits
  /// Doubled with each failure, up to the longest: how long a failed cluster waits in the final
  /// pass, and how long nothing new begins after a failure.
  std::chrono::milliseconds firstBackoff{1'000};
  std::chrono::milliseconds longestBackoff{8'000};
  /// How long all that follows the unmount may take; none: until it is done or stopped.
  std::optional<std::chrono::milliseconds> finalTimeout;
};

/// An upload that gets less than this is better not begun beside others: it might be given up.
inline constexpr std::uint64_t kLeastBytesPerSecond = 4096;

/// firstBackoff for the first failure in a row, doubled with each more, up to longestBackoff.
std::chrono::milliseconds backoffAfter(std::uint32_t failuresInARow, const UploadRules& rules);

/// Not thread-safe; `clock` must outlive it.
class UploadSchedule {
 public:
  UploadSchedule(const UploadRules& rules, const Clock& clock, Jitter jitter);

  /// The image is unmounted: everything dirty is due at once, what failed is tried again now, and
  /// stop() is forgotten. A pause the server asked for still holds.
  void beginFinalPass();
  /// No new uploads until the final pass; those in flight finish.
  void stop() { stopped_ = true; }
  [[nodiscard]] bool stopped() const { return stopped_; }

  /// Whether one more upload may begin now.
  [[nodiscard]] bool mayStart() const;
  /// Only clusters that did not change after this are due.
  [[nodiscard]] Clock::Time newestDue() const;

  void started();
  void arrived(std::uint64_t cluster);
  void failed(std::uint64_t cluster);
  /// A cluster that cannot be sent for now: as failed(), but it was not started.
  void postpone(std::uint64_t cluster);
  /// The upload ended because the server wants a pause: neither arrived nor failed.
  void sentBack();
  /// The server asked for a pause, with whatever answer.
  void pause(std::chrono::seconds length);
  /// When the last pause asked for is over; in the past if there is none.
  [[nodiscard]] Clock::Time pausedUntil() const { return pausedUntil_; }
  /// A cluster that was taken, but needs no upload before the end: waits without having failed.
  void defer(std::uint64_t cluster);

  /// Takes out the waiting clusters whose time has come; all of them with `everything`.
  std::vector<std::uint64_t> takeWaited(bool everything = false);

  [[nodiscard]] std::size_t inFlight() const { return inFlight_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  /// The next time at which something can begin without any upload ending first; nothing if there
  /// is no such time. `oldestDirty` is the session's.
  [[nodiscard]] std::optional<Clock::Time> wakeAt(std::optional<Clock::Time> oldestDirty) const;

 private:
  [[nodiscard]] std::size_t places() const;
  void wait(std::uint64_t cluster, std::chrono::milliseconds time);

  const UploadRules rules_;
  const Clock& clock_;
  const Jitter jitter_;
  bool finalPass_ = false;
  bool stopped_ = false;
  std::size_t inFlight_ = 0;
  std::set<std::pair<Clock::Time, std::uint64_t>> waiting_;  // when it is due again, cluster
  std::map<std::uint64_t, std::uint32_t> failures_;  // cluster -> in a row, since this start
  std::uint32_t setbacks_ = 0;                       // failures that grew heldUntil_, in a row
  Clock::Time heldUntil_;
  Clock::Time pausedUntil_;
};

}  // namespace netcow
