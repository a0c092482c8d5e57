// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <system_error>
#include <vector>

#include "session/table_file.h"

// A digest of `meta`, by which `live` knows the `meta` it follows.
//
// It covers what a program reads of a `meta`: the header, L1, and the entries of the tables that
// L1 names. Each of them adds a hash of its place and its bytes, modulo 2^64, so a checkpoint
// takes off what an entry added before and puts on what it adds now: the cost follows the change.
// An entry as a fresh table has it adds nothing, so that the cost of reading follows what is used.
// It is no protection against somebody who wants to deceive; it never outlives a boot.
namespace netcow {

/// The digest of a `meta` in its parts.
struct MetaSums {
  std::uint64_t header = 0;
  std::vector<std::uint64_t> tables;  ///< by L1 entry, that entry included; 0 where there is none

  [[nodiscard]] std::uint64_t total() const;
};

/// What MetaSums::header is for this header.
std::uint64_t sumOfHeader(const MetaHeader& header);

/// Reads a whole `meta`, which may be damaged in any way behind a usable header.
std::error_code readMetaSums(TableFile& meta, MetaSums& sums);

/// Follows the digest of a `meta` while checkpoints change it. It is told what is about to be
/// written; when that fails, it is right again after the same was written by another try.
/// Not thread-safe: there is one checkpoint at a time.
class MetaDigest {
 public:
  explicit MetaDigest(MetaSums sums) : sums_(std::move(sums)) {}

  void writesHeader(const MetaHeader& header);
  /// `number`: of the table in L1; `index`: where it lies. Reads the table when it changes for the
  /// first time.
  std::error_code writesEntry(TableFile& meta, std::uint64_t number, std::int32_t index,
                              std::uint64_t entryInTable, const ClusterEntry& entry);
  /// L1 names a table from now on.
  void writesL1Entry(std::uint64_t number, std::int32_t index);
  [[nodiscard]] std::uint64_t value() const { return sums_.total(); }

 private:
  using EntryHashes = std::array<std::uint64_t, kClustersPerTable>;

  MetaSums sums_;
  std::map<std::uint64_t, std::unique_ptr<EntryHashes>> changed_;  ///< by number of the table
};

}  // namespace netcow
