// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "support/sector_oracle.h"
#include "support/seeded_random.h"

namespace netcow::test {

/// Where a load works.
struct LoadArea {
  SectorOracle::Range mapped;  ///< only the memory map writes here; whole pages, never cut off
  std::uint64_t smallest = 0;  ///< the image is never cut below this
  std::uint64_t largest = 0;   ///< nor does it grow beyond
};

/// How it opens the image. While somebody has it open in the usual way the kernel lets one write
/// after the other through; when all opens are direct they run side by side.
enum class LoadOpens { direct, directAndCached };

/// What all threads of a load share.
struct LoadState {
  LoadState(std::string imagePath, const LoadArea& loadArea, LoadOpens loadOpens,
            SectorOracle& sectorOracle, std::uint64_t seed)
      : image(std::move(imagePath)),
        area(loadArea),
        opens(loadOpens),
        oracle(sectorOracle),
        firstFront(seed) {}

  const std::string image;
  const LoadArea area;
  const LoadOpens opens;
  SectorOracle& oracle;
  const std::uint64_t firstFront;
  std::atomic<bool> stopping = false;
  /// The mount is killed: errors are no surprise from now on.
  std::atomic<bool> errorsExpected = false;
  std::atomic<bool> punches = true;  ///< until the mount says that it cannot
  std::atomic<std::uint64_t> operations = 0;
  std::atomic<std::uint64_t> places = 0;  ///< chosen so far

  /// Changes of the size exclude everything else; `turn` keeps them from waiting for ever.
  Mutex turn;
  SharedMutex sizeMutex;

  Mutex mutex;
  ConditionVariable changed;
  std::uint64_t begun NETCOW_GUARDED_BY(mutex) = 0;
  std::uint64_t acknowledged NETCOW_GUARDED_BY(mutex) = 0;
  std::size_t running NETCOW_GUARDED_BY(mutex) = 0;

  void countBegun();
  void countAcknowledged();
  /// A failed operation: a failure of the test unless the mount is being killed. Ends the load.
  void failed(const std::string& what, int error);
};

/// Threads that write, read, punch, sync and resize the image of a mount in every way a program
/// can, and tell an oracle what was acknowledged: direct and cached, in whole sectors and in part,
/// overlapping, through a memory map. Goes on until it is stopped or the mount ends.
class MountLoad {
 public:
  MountLoad(const std::string& image, const LoadArea& area, LoadOpens opens, SectorOracle& oracle,
            SeededRandom& random);
  /// Stops.
  ~MountLoad();
  MountLoad(const MountLoad&) = delete;
  MountLoad& operator=(const MountLoad&) = delete;

  enum class Count { begun, acknowledged };
  /// Waits until so many operations were begun or acknowledged, or the load ended; after a
  /// generous time it is a failure of the test.
  void waitFor(Count which, std::uint64_t operations);
  /// From now on the mount may be gone at any moment.
  void expectErrors() { state_.errorsExpected = true; }
  /// Ends the threads and waits for them. Threads that hang are a failure of the test; they are
  /// let go by aborting the connection of the mount.
  void stop();

  [[nodiscard]] std::uint64_t operations() const { return state_.operations; }

 private:
  void abortConnection() const;

  LoadState state_;
  std::string connection_;  ///< the mount's folder under /sys/fs/fuse/connections
  std::vector<std::thread> threads_;
};

}  // namespace netcow::test
