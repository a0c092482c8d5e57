// SPDX-License-Identifier: Apache-2.0
#include "session/table_file.h"

namespace netcow {
namespace {

template <class T>
std::span<std::byte> bytesOf(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}
template <class T>
std::span<const std::byte> bytesOf(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

std::error_code TableFile::writeHeader(const MetaHeader& header) {
  return file_.write(bytesOf(header), shift_);
}

std::error_code TableFile::readHeader(MetaHeader& header) {
  return file_.read(bytesOf(header), shift_);
}

std::error_code TableFile::readL1(std::vector<TableIndex>& indexes) {
  indexes.resize(layout_.tables);
  return file_.read(std::as_writable_bytes(std::span(indexes)), shift_ + layout_.startL1);
}

std::error_code TableFile::writeL1(const std::vector<TableIndex>& indexes) {
  return file_.write(std::as_bytes(std::span(indexes)), shift_ + layout_.startL1);
}

std::error_code TableFile::writeL1Entry(std::uint64_t table, std::int32_t index) {
  const TableIndex entry = index;
  return file_.write(bytesOf(entry), shift_ + layout_.startL1 + table * sizeof entry);
}

std::error_code TableFile::readTable(std::int32_t index, TableEntries& entries) {
  return file_.read(bytesOf(entries), tablePlace(index));
}

std::error_code TableFile::writeTable(std::int32_t index, const TableEntries& entries) {
  return file_.write(bytesOf(entries), tablePlace(index));
}

std::error_code TableFile::reserveTable(std::int32_t index) {
  return file_.reserve(tablePlace(index), kTableBytes);
}

std::error_code TableFile::writeEntry(std::int32_t index, std::uint64_t entryInTable,
                                      const ClusterEntry& entry) {
  return file_.write(bytesOf(entry), tablePlace(index) + entryInTable * sizeof entry);
}

MetaLayout layoutOf(const MetaHeader& header) {
  MetaLayout layout{};
  layout.startL1 = header.startL1;
  layout.startL2 = header.startL2;
  layout.tables = tableCountFor(header.maxImageSize);
  layout.metaSize = static_cast<std::uint64_t>(header.metaSize);
  return layout;
}

}  // namespace netcow
