// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/registry.h"

#include <cstdint>

#include "base/errors.h"

namespace netcow {
namespace {

// Kept in SQLite's user_version. A change of the table: count up, and bring older ones up to date
// in upgrade().
constexpr int kSchemaVersion = 1;

constexpr const char* kCreateTable = R"(
  CREATE TABLE uploads (
    uuid TEXT PRIMARY KEY,
    image TEXT NOT NULL,
    revision INTEGER NOT NULL,
    base_size INTEGER NOT NULL,
    state TEXT NOT NULL,
    original_file_size INTEGER,
    new_file_size INTEGER,
    new_revision INTEGER NOT NULL,
    merged_clusters INTEGER NOT NULL,
    total_clusters INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    message TEXT NOT NULL
  ) STRICT)";

std::int64_t toColumn(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

UploadRecord readRow(const Statement& row) {
  const auto unsignedAt = [&](int column) {
    return static_cast<std::uint64_t>(row.integer(column));
  };
  UploadRecord record;
  record.uuid = row.text(0);
  record.base = {row.text(1), static_cast<std::uint16_t>(row.integer(2))};
  record.baseSize = unsignedAt(3);
  const auto state = parseStateName(row.text(4));
  if (!state) {
    throw UserError("the registry of uploads holds the unknown state \"" + row.text(4) + "\" for " +
                    record.uuid + "; was it written by a later version of netcow?");
  }
  record.state = *state;
  if (!row.isNull(5) && !row.isNull(6)) {
    record.sizes = MergeSizes{unsignedAt(5), unsignedAt(6)};
  }
  record.newRevision = static_cast<std::uint16_t>(row.integer(7));
  record.mergedClusters = unsignedAt(8);
  record.totalClusters = unsignedAt(9);
  record.createdAt = row.integer(10);
  record.changedAt = row.integer(11);
  record.message = row.text(12);
  return record;
}

}  // namespace

Registry::Registry(const std::string& path) : database_(path) {
  const MutexLock lock(mutex_);
  upgrade();
}

void Registry::upgrade() {
  std::int64_t version = 0;
  {
    Statement query(database_, "PRAGMA user_version");
    query.next();
    version = query.integer(0);
  }
  if (version > kSchemaVersion) {
    throw UserError("the registry of uploads was written by a later version of netcow (schema " +
                    std::to_string(version) + ", known is " + std::to_string(kSchemaVersion) +
                    "); use that version, or another folder with --state");
  }
  if (version == 0) {
    database_.run(std::string("BEGIN;") + kCreateTable +
                  ";PRAGMA user_version = " + std::to_string(kSchemaVersion) + ";COMMIT");
  }
}

std::vector<UploadRecord> Registry::load() {
  const MutexLock lock(mutex_);
  Statement query(database_,
                  "SELECT uuid, image, revision, base_size, state, original_file_size,"
                  " new_file_size, new_revision, merged_clusters, total_clusters, created_at,"
                  " changed_at, message FROM uploads ORDER BY created_at, rowid");
  std::vector<UploadRecord> records;
  while (query.next()) {
    records.push_back(readRow(query));
  }
  return records;
}

void Registry::save(const UploadRecord& record) {
  const MutexLock lock(mutex_);
  Statement insert(database_,
                   "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                   " ON CONFLICT (uuid) DO UPDATE SET state = excluded.state,"
                   " original_file_size = excluded.original_file_size,"
                   " new_file_size = excluded.new_file_size, new_revision = excluded.new_revision,"
                   " merged_clusters = excluded.merged_clusters,"
                   " total_clusters = excluded.total_clusters, changed_at = excluded.changed_at,"
                   " message = excluded.message");
  insert.bind(record.uuid).bind(record.base.name).bind(std::int64_t{record.base.revision});
  insert.bind(toColumn(record.baseSize)).bind(std::string(stateName(record.state)));
  if (record.sizes) {
    insert.bind(toColumn(record.sizes->originalFileSize));
    insert.bind(toColumn(record.sizes->newFileSize));
  } else {
    insert.bindNull().bindNull();
  }
  insert.bind(std::int64_t{record.newRevision});
  insert.bind(toColumn(record.mergedClusters)).bind(toColumn(record.totalClusters));
  insert.bind(record.createdAt).bind(record.changedAt).bind(record.message);
  insert.next();
}

void Registry::remove(const std::string& uuid) {
  const MutexLock lock(mutex_);
  Statement statement(database_, "DELETE FROM uploads WHERE uuid = ?");
  statement.bind(uuid);
  statement.next();
}

}  // namespace netcow
