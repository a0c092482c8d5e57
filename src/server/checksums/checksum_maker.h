// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "server/catalog/image_catalog.h"
#include "server/checksums/checksum_lists.h"

namespace netcow {

struct ChecksumMakerOptions {
  /// What is read for it in a second; at least 1. Holes cost nothing.
  std::uint64_t bytesPerSecond = std::uint64_t{64} << 20U;
  /// An image may still be on its way here until its file was left alone for so long.
  std::chrono::seconds rest = std::chrono::seconds(60);
  std::chrono::milliseconds lookEvery = std::chrono::seconds(30);
  std::chrono::milliseconds lookAtMostEvery = std::chrono::seconds(1);  ///< however much changes
};

/// Makes the lists of checksums that images lack, on a thread of its own that gets the processor
/// and the disk when nobody else wants them, and leaves the page cache to the clients.
///
/// An image counts only as it was read: when its size or its time changed meanwhile, what was
/// computed is thrown away. One that changes after its list was made, and has its old time put back
/// (cp -p and rsync --inplace do so at their end), loses the list; so does nobody else.
///
/// The folder is walked when somebody says that it changed, and every half minute, as it may lie
/// where the kernel reports no changes (NFS).
class ChecksumMaker {
 public:
  /// `clock`: for the age of files. All must outlive this object.
  ChecksumMaker(const ImageCatalog& catalog, ChecksumLists& lists, ChecksumMakerOptions options,
                const Clock& clock = Clock::system())
      : catalog_(catalog), lists_(lists), options_(options), clock_(clock) {}
  ~ChecksumMaker();
  ChecksumMaker(const ChecksumMaker&) = delete;
  ChecksumMaker& operator=(const ChecksumMaker&) = delete;

  /// Begins to work in the background.
  void start();
  /// Something in the folder changed: it is walked soon, but no more often than every
  /// `ChecksumMakerOptions::lookAtMostEvery`. Thread-safe.
  void look();
  /// Makes every list that is due, and returns how many that were. Not while it works in the
  /// background.
  std::size_t makeAll();

 private:
  /// An image that has a sound list, and the lists that it has.
  struct Settled {
    FileState image;
    std::vector<FileState> lists;
  };

  static std::optional<FileState> stateOf(const ServedImage& image);
  void run();
  bool makeIfDue(const ImageName& name);
  [[nodiscard]] bool isAtRest(const ServedImage& image) const;
  bool make(const ServedImage& image, const FileState& state);
  std::optional<std::vector<std::byte>> compute(const ServedImage& image);
  void readPiece(const ServedImage& image, std::span<std::byte> piece, std::uint64_t offset);
  bool waitFor(std::chrono::nanoseconds duration);
  bool waitForNextLook();

  const ImageCatalog& catalog_;
  ChecksumLists& lists_;
  const ChecksumMakerOptions options_;
  const Clock& clock_;
  std::map<std::string, Settled> settled_;  // by file name
  Mutex mutex_;
  ConditionVariable waiting_;
  bool stopped_ NETCOW_GUARDED_BY(mutex_) = false;
  bool lookWanted_ NETCOW_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace netcow
