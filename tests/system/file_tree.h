// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "support/seeded_random.h"

namespace netcow::test {

/// Files in a folder, and what must be in them.
class FileTree {
 public:
  explicit FileTree(SeededRandom& random) : random_(random) {}

  /// Makes, copies, changes, lengthens, cuts, renames and removes files in `folder`.
  void change(const std::string& folder, int steps);
  /// Every file is there with its content, and no other one.
  void expectIn(const std::string& folder) const;

 private:
  using Bytes = std::vector<std::byte>;

  void create(const std::string& folder);
  void edit(const std::string& folder, const std::string& name);
  [[nodiscard]] std::string someFile();

  SeededRandom& random_;
  std::map<std::string, Bytes> files_;
  std::uint64_t next_ = 0;
};

/// Files that a thread wrote and synced until its disk went away. Thread-safe.
class SyncedFiles {
 public:
  /// Makes files in `folder`, each synced with its name, until something fails.
  void writeUntilError(const std::string& folder, SeededRandom random);
  /// Waits until so many more were synced; a failure of the test if that takes too long.
  void waitForMore(std::uint64_t count);
  /// All that were ever synced are there with their content.
  void expectIn(const std::string& folder);

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  std::map<std::string, std::uint64_t> seeds_ NETCOW_GUARDED_BY(mutex_);  // of the contents
};

}  // namespace netcow::test
