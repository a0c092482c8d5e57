// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/registry.h"

#include <cstdint>
#include <optional>
#include <string>

#include "base/errors.h"
#include "server/uploads/registry_schema.h"

namespace netcow {
namespace {

std::int64_t toColumn(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

// Every column, in the order in which readRow() and bindRow() take them.
constexpr const char* kColumns =
    "uuid, image, revision, base_size, owner, created_at, state, original_file_size,"
    " new_file_size, cancel_requested, new_revision, merged_clusters, total_clusters, updates,"
    " bytes_received, changed_at, last_activity, merge_milliseconds, message";

/// Reads one column after the other.
class RowReader {
 public:
  explicit RowReader(const Statement& row) : row_(row) {}
  std::string text() { return row_.text(column_++); }
  std::int64_t integer() { return row_.integer(column_++); }
  std::uint64_t size() { return static_cast<std::uint64_t>(integer()); }
  std::uint16_t revision() { return static_cast<std::uint16_t>(integer()); }
  std::optional<std::uint64_t> sizeOrNull() {
    const bool isNull = row_.isNull(column_);
    const std::uint64_t value = size();
    return isNull ? std::nullopt : std::optional(value);
  }

 private:
  const Statement& row_;
  int column_ = 0;
};

UploadState readState(const std::string& name, const std::string& uuid) {
  const auto state = parseStateName(name);
  if (!state) {
    throw UserError("the registry of uploads holds the unknown state \"" + name + "\" for " + uuid +
                    "; was it written by a later version of netcow?");
  }
  return *state;
}

UploadRecord readRow(const Statement& statement) {
  RowReader row(statement);
  UploadRecord record;
  record.uuid = row.text();
  record.base.name = row.text();
  record.base.revision = row.revision();
  record.baseSize = row.size();
  record.owner = row.text();
  record.createdAt = row.integer();
  record.state = readState(row.text(), record.uuid);
  const auto originalFileSize = row.sizeOrNull();
  const auto newFileSize = row.sizeOrNull();
  if (originalFileSize && newFileSize) {
    record.sizes = MergeSizes{*originalFileSize, *newFileSize};
  }
  record.cancelRequested = row.integer() != 0;
  record.newRevision = row.revision();
  record.mergedClusters = row.size();
  record.totalClusters = row.size();
  record.updates = row.size();
  record.bytesReceived = row.size();
  record.changedAt = row.integer();
  record.lastActivity = row.integer();
  record.mergeMilliseconds = row.size();
  record.message = row.text();
  return record;
}

void bindRow(Statement& row, const UploadRecord& record) {
  row.bind(record.uuid).bind(record.base.name).bind(std::int64_t{record.base.revision});
  row.bind(toColumn(record.baseSize)).bind(record.owner).bind(record.createdAt);
  row.bind(std::string(stateName(record.state)));
  if (record.sizes) {
    row.bind(toColumn(record.sizes->originalFileSize)).bind(toColumn(record.sizes->newFileSize));
  } else {
    row.bindNull().bindNull();
  }
  row.bind(std::int64_t{record.cancelRequested}).bind(std::int64_t{record.newRevision});
  row.bind(toColumn(record.mergedClusters)).bind(toColumn(record.totalClusters));
  row.bind(toColumn(record.updates)).bind(toColumn(record.bytesReceived));
  row.bind(record.changedAt).bind(record.lastActivity);
  row.bind(toColumn(record.mergeMilliseconds)).bind(record.message);
}

}  // namespace

Registry::Registry(const std::string& path) : database_(path) {
  const MutexLock lock(mutex_);
  upgradeRegistry(database_);
}

std::vector<UploadRecord> Registry::load() {
  const MutexLock lock(mutex_);
  Statement query(database_,
                  std::string("SELECT ") + kColumns + " FROM uploads ORDER BY created_at, rowid");
  std::vector<UploadRecord> records;
  while (query.next()) {
    records.push_back(readRow(query));
  }
  return records;
}

void Registry::save(const UploadRecord& record) {
  const MutexLock lock(mutex_);
  Statement upsert(database_, std::string("INSERT INTO uploads (") + kColumns +
                                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                                  "?, ?) ON CONFLICT (uuid) DO UPDATE SET state = excluded.state,"
                                  " original_file_size = excluded.original_file_size,"
                                  " new_file_size = excluded.new_file_size,"
                                  " cancel_requested = excluded.cancel_requested,"
                                  " new_revision = excluded.new_revision,"
                                  " merged_clusters = excluded.merged_clusters,"
                                  " total_clusters = excluded.total_clusters,"
                                  " updates = excluded.updates,"
                                  " bytes_received = excluded.bytes_received,"
                                  " changed_at = excluded.changed_at,"
                                  " last_activity = excluded.last_activity,"
                                  " merge_milliseconds = excluded.merge_milliseconds,"
                                  " message = excluded.message");
  bindRow(upsert, record);
  upsert.next();
}

void Registry::saveActivity(std::span<const UploadRecord> records) {
  const MutexLock lock(mutex_);
  database_.run("BEGIN");
  try {
    for (const UploadRecord& record : records) {
      // A change of state that was saved meanwhile may know more.
      Statement update(database_,
                       "UPDATE uploads SET updates = max(updates, ?),"
                       " bytes_received = max(bytes_received, ?),"
                       " last_activity = max(last_activity, ?) WHERE uuid = ?");
      update.bind(toColumn(record.updates)).bind(toColumn(record.bytesReceived));
      update.bind(record.lastActivity).bind(record.uuid);
      update.next();
    }
    database_.run("COMMIT");
  } catch (...) {
    sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

void Registry::remove(const std::string& uuid) {
  const MutexLock lock(mutex_);
  Statement statement(database_, "DELETE FROM uploads WHERE uuid = ?");
  statement.bind(uuid);
  statement.next();
}

void Registry::ask() {
  const MutexLock lock(mutex_);
  Statement query(database_, "SELECT uuid FROM uploads LIMIT 1");
  query.next();
}

}  // namespace netcow
