// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>

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
  /// After so many calls that change something, nothing works or has an effect any more.
  std::uint64_t stopAfter = std::numeric_limits<std::uint64_t>::max();
  std::function<void()> beforeWrite;  ///< runs before the content of a file changes
  std::function<void()> afterChange;  ///< runs after each call that changed something

  // What happened.
  std::uint64_t calls = 0;
  std::uint64_t changes = 0;
  bool failed = false;      ///< the call failAt came
  bool syncFailed = false;  ///< and it was the sync of a file
  [[nodiscard]] bool stopped() const { return changes >= stopAfter; }

  // For the files and folders.
  std::error_code admit();
  void changed();
};

/// The session's folder on that machine.
std::unique_ptr<Folder> openSimulatedFolder(SimulatedMachine& machine);

}  // namespace netcow::test
