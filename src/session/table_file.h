// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <system_error>
#include <vector>

#include "format/session_files.h"
#include "session/file_system.h"

namespace netcow {

using TableEntries = std::array<ClusterEntry, kClustersPerTable>;

/// Reads and writes the tables of `meta`, and of `live`, which holds the same bytes further back
/// in the file. Holds no state but the places; thread-safe as the file is. `file` must outlive it.
class TableFile {
 public:
  /// `shift`: where the byte 0 of a `meta` lies in the file. `layout`: as its header says.
  TableFile(File& file, std::uint64_t shift, const MetaLayout& layout)
      : file_(file), shift_(shift), layout_(layout) {}

  std::error_code writeHeader(const MetaHeader& header);
  std::error_code readHeader(MetaHeader& header);

  std::error_code readL1(std::vector<TableIndex>& indexes);
  std::error_code writeL1(const std::vector<TableIndex>& indexes);
  std::error_code writeL1Entry(std::uint64_t table, std::int32_t index);

  std::error_code readTable(std::int32_t index, TableEntries& entries);
  std::error_code writeTable(std::int32_t index, const TableEntries& entries);
  /// Takes the space of a table that may be written later; see File::reserve().
  std::error_code reserveTable(std::int32_t index);
  std::error_code writeEntry(std::int32_t index, std::uint64_t entryInTable,
                             const ClusterEntry& entry);

 private:
  [[nodiscard]] std::uint64_t tablePlace(std::int32_t index) const {
    return shift_ + layout_.startL2 + static_cast<std::uint64_t>(index) * kTableBytes;
  }
  File& file_;
  std::uint64_t shift_;
  MetaLayout layout_;
};

/// The layout that a header tells, which may differ from the one this program would choose.
MetaLayout layoutOf(const MetaHeader& header);

}  // namespace netcow
