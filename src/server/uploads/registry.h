// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "server/uploads/database.h"
#include "server/uploads/upload_record.h"

namespace netcow {

/// The list of uploads on disk (SQLite): what a restarted server goes on with. A call that
/// returned survives a power cut. Thread-safe.
class Registry {
 public:
  /// Opens or creates it, and brings one of an earlier version up to date. Throws UserError, also
  /// for a registry of a later version.
  explicit Registry(const std::string& path);

  /// Every upload, oldest first.
  [[nodiscard]] std::vector<UploadRecord> load();
  /// Adds the upload, or replaces what is known of it.
  void save(const UploadRecord& record);
  /// Notes the counters and the last activity of uploads, all at once, and nothing else of them.
  void saveActivity(std::span<const UploadRecord> records);
  void remove(const std::string& uuid);
  /// Reads something. Throws UserError when that is not possible.
  void ask();

 private:
  Mutex mutex_;
  Database database_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
