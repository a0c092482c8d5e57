// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.h"
#include "system/mount_load.h"

namespace netcow::test {

/// One thread of a load: writes through a shared memory map, acknowledged by msync.
class MapWriter {
 public:
  MapWriter(LoadState& state, std::uint64_t number, SeededRandom random)
      : state_(state), number_(number), random_(std::move(random)) {}

  /// Until the load ends.
  void run();

 private:
  void step(std::byte* map);
  /// Copies into the map by a system call, which gives an error where a store would be SIGBUS.
  int store(std::byte* to, std::span<const std::byte> bytes) const;

  LoadState& state_;
  const std::uint64_t number_;
  SeededRandom random_;
  std::uint64_t operation_ = 0;
  UniqueFd memory_;
};

}  // namespace netcow::test
