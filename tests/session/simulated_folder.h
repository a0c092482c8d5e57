// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "session/file_system.h"
#include "session/simulated_disk.h"

namespace netcow::test {

/// A disk, and what goes wrong while a session uses it. Single-threaded. Must outlive the folders
/// and files made of it.
struct SimulatedMachine {
  explicit SimulatedMachine(SeededRandom& randomNumbers) : random(randomNumbers) {}

  SeededRandom& random;
  SimulatedDisk disk;

  // What is to happen; each counts calls from the start.
  std::uint64_t failAt = 0;  ///< this call of any kind fails; 0 = none
  int error = 0;             ///< with this errno; a sync always with EIO
  /// So many calls from failAt on fail if they take space: a disk that is full for a while.
  std::uint64_t fullFor = 0;
  /// After so many calls that change something, nothing works or has an effect any more.
  std::uint64_t stopAfter = std::numeric_limits<std::uint64_t>::max();
  std::function<void()> beforeWrite;  ///< runs before the content of a file changes
  std::function<void()> afterChange;  ///< runs after each call that changed something
  /// True for calls that succeed without an effect: broken on purpose, to see that it shows.
  std::function<bool(const std::string& call, const std::string& file)> ignores;

  // What happened.
  std::uint64_t calls = 0;
  std::uint64_t changes = 0;
  std::uint64_t failures = 0;  ///< calls that failed
  std::uint64_t untold = 0;  ///< of those, what nobody needs to be told: `live` got no space early
  bool syncFailed = false;   ///< and it was the sync of a file
  [[nodiscard]] bool stopped() const { return changes >= stopAfter; }

  // For the files and folders.
  enum class Takes { nothing, space };
  std::error_code admit(Takes takes = Takes::nothing);
  void changed();
  [[nodiscard]] bool isIgnored(const std::string& call, const std::string& file) const {
    return ignores && ignores(call, file);
  }
};

/// The session's folder on that machine.
std::unique_ptr<Folder> openSimulatedFolder(SimulatedMachine& machine);

}  // namespace netcow::test
