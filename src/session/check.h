// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session/file_system.h"
#include "session/finding.h"
#include "session/loader.h"

namespace netcow {

/// What looking at a session told.
struct CheckReport {
  /// How many findings are kept; a file of garbage has millions.
  static constexpr std::size_t kMostFindings = 1'000;

  std::vector<Finding> findings;  ///< the first ones
  std::uint64_t unsound = 0;      ///< findings that keep the session from being opened
  std::uint64_t notes = 0;        ///< findings that do not
  std::uint64_t repairable = 0;   ///< of both
  bool inUse = false;             ///< another process has the session open
  std::optional<LiveState> live;  ///< nothing when the search ended before `live` was looked at
  std::int64_t processId = 0;     ///< who wrote `live`, if there is one
  std::uint64_t tables = 0;
  std::uint64_t clusters = 0;     ///< that have space in `data`
  std::uint64_t localBlocks = 0;  ///< in sound clusters
  std::uint64_t leakedBytes = 0;  ///< on the disk, in leaked ranges

  [[nodiscard]] bool sound() const { return unsound == 0; }
  /// What only a person can mend, apart from origin.json; beside that nothing is repaired.
  [[nodiscard]] std::uint64_t hopeless() const { return hopeless_; }
  /// What `live` says, for people.
  [[nodiscard]] std::string_view state() const;
  /// The same for programs: closed, in-use, killed, dropped, refused, unknown.
  [[nodiscard]] std::string_view stateName() const;
  [[nodiscard]] bool has(FindingKind kind) const;
  void add(const Finding& finding);

 private:
  std::uint64_t hopeless_ = 0;
};

/// Looks at every table and entry of a session, at its files and what lies beside them. Changes
/// nothing. Keeps the session locked meanwhile; one that is in use is only looked at, and what is
/// found may be a moment old. Any content is a finding; throws std::system_error only when a file
/// cannot be read.
CheckReport checkSession(Folder& folder);

/// The same for who holds the lock, with what was found of the session.
LoadedSession checkLockedSession(Folder& folder, LoadFor purpose, const Clock& clock,
                                 CheckReport& report);

/// Files that a session no longer needs.
std::vector<std::string> leftoverFiles(Folder& folder);

/// A range of `data` that no cluster uses and that takes space on the disk. Behind the last cluster
/// there is none: that is where the next ones go.
struct LeakedRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  ///< up to the next cluster
  std::uint64_t bytes = 0;   ///< on the disk
};
/// All of them, ascending. `session` must be sound.
std::vector<LeakedRange> leakedRanges(const Folder& folder, const LoadedSession& session);

}  // namespace netcow
