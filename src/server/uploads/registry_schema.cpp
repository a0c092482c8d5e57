// SPDX-License-Identifier: Apache-2.0
//
// The version is kept in SQLite's user_version. A change of the tables is one more step at the end
// of the list; the steps before it stay as they are, since registries of that age exist.
#include "server/uploads/registry_schema.h"

#include <array>
#include <cstdint>
#include <string>

#include "base/errors.h"

namespace netcow {
namespace {

constexpr std::array<const char*, 2> kSteps = {
    // 1
    R"(CREATE TABLE uploads (
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
       ) STRICT;)",
    // 2: who made an upload, how much came when, how long the merge took, and that it shall stop
    R"(ALTER TABLE uploads ADD COLUMN owner TEXT NOT NULL DEFAULT '';
       ALTER TABLE uploads ADD COLUMN cancel_requested INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE uploads ADD COLUMN updates INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE uploads ADD COLUMN bytes_received INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE uploads ADD COLUMN last_activity INTEGER NOT NULL DEFAULT 0;
       ALTER TABLE uploads ADD COLUMN merge_milliseconds INTEGER NOT NULL DEFAULT 0;
       UPDATE uploads SET last_activity = changed_at;)",
};

std::int64_t versionOf(Database& database) {
  Statement query(database, "PRAGMA user_version");
  query.next();
  return query.integer(0);
}

}  // namespace

void upgradeRegistry(Database& database) {
  const std::int64_t version = versionOf(database);
  if (version < 0 || version > std::int64_t{kSteps.size()}) {
    throw UserError("the registry of uploads was written by a later version of netcow (schema " +
                    std::to_string(version) + ", known is " + std::to_string(kSteps.size()) +
                    "); use that version, or another folder with --state");
  }
  if (version == std::int64_t{kSteps.size()}) {
    return;
  }
  std::string steps = "BEGIN;";
  for (auto step = static_cast<std::size_t>(version); step < kSteps.size(); ++step) {
    steps += kSteps[step];
  }
  database.run(steps + "PRAGMA user_version = " + std::to_string(kSteps.size()) + ";COMMIT");
}

}  // namespace netcow
