// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.h"
#include "system/mount_load.h"

namespace netcow::test {

/// One thread of a load: works on the image by system calls. Most of its places lie at a front
/// that all threads share and that moves on, so that they meet in blocks that are not local yet.
class FileWriter {
 public:
  FileWriter(LoadState& state, std::uint64_t number, SeededRandom random)
      : state_(state), number_(number), random_(std::move(random)) {}

  /// Until the load ends.
  void run();

 private:
  struct Place {
    std::uint64_t offset;
    std::uint64_t length;
    bool direct;
    [[nodiscard]] std::uint64_t end() const { return offset + length; }
  };

  void step();
  void write();
  void punch();
  void read();
  void sync();
  void resize();
  [[nodiscard]] Place choosePlace();
  [[nodiscard]] std::uint64_t frontIn(const SectorOracle::Range& range);
  [[nodiscard]] std::uint64_t chooseSize();
  /// Calls change(), which returns an errno code, with the oracle told before and after.
  template <class Change>
  void tell(std::uint64_t offset, std::span<const std::byte> bytes, const std::string& what,
            Change change);
  /// Sends a write, alone if it makes the image longer.
  void send(const Place& place, std::span<const std::byte> bytes);

  LoadState& state_;
  const std::uint64_t number_;
  SeededRandom random_;
  std::uint64_t operation_ = 0;
  UniqueFd cached_;  ///< direct too, if all opens are
  UniqueFd direct_;
};

}  // namespace netcow::test
