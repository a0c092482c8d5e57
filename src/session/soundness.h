// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "format/session_files.h"
#include "session/finding.h"

// The rules a session's tables must keep, in one place: opening a session refuses what breaks one,
// `netcow check` lists all that do. Nothing here reads a file, and memory follows the number of
// clusters that are seen, whatever numbers the files hold.
namespace netcow {

class SoundnessRules {
 public:
  /// `found` is told of each rule that is broken.
  SoundnessRules(const MetaLayout& layout, std::uint64_t dataBytes, FindingSink found)
      : dataBytes_(dataBytes), found_(std::move(found)), indexUsed_(layout.tables, false) {}

  /// The header's counters. `counters`: of the tables and of the space in `data` handed out.
  void headerCounters(const MetaHeader& header, const std::vector<TableIndex>& l1);

  /// L1 entry `number` of a file; false if the table it names must not be used.
  bool tableIndex(const std::string& file, std::uint64_t number, std::int32_t index);

  /// One entry of a table; false if it must not be used.
  bool entry(const std::string& file, std::uint64_t cluster, const ClusterEntry& entry);

  /// When all entries were seen: no place in `data` may be used twice.
  void finish();

  // What the header's counters should be, after finish().
  [[nodiscard]] std::int32_t nextTable() const;
  [[nodiscard]] std::int64_t nextClusterOffset() const;
  /// Where in `data` clusters lie, ascending; after finish().
  [[nodiscard]] std::vector<std::uint64_t> places() const;

 private:
  struct Use {
    std::uint64_t place;
    std::uint64_t cluster;
  };
  [[nodiscard]] bool placeInRange(std::int64_t offset) const;

  const std::uint64_t dataBytes_;
  const FindingSink found_;
  /// The count of tables in the header, or what L1 proves; no limit while it is not known.
  std::int64_t tablesHandedOut_ = std::int64_t{1} << 32U;
  std::vector<bool> indexUsed_;  ///< by index of a table
  std::vector<Use> uses_;
};

}  // namespace netcow
