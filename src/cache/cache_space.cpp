// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_space.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/errors.h"
#include "base/logging.h"
#include "cache/cache_folder.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;

struct Entry {
  std::string path;
  std::string name;
  std::uint64_t bytes = 0;    ///< that `data` takes
  std::int64_t lastUsed = 0;  ///< nanoseconds
};

std::vector<Entry> entriesOf(const std::string& folder) {
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::directory_iterator next(folder, error), end; !error && next != end;
       next.increment(error)) {
    Entry entry{next->path(), next->path().filename()};
    struct stat status{};
    if (::stat((entry.path + "/cache.json").c_str(), &status) != 0) {
      continue;
    }
    if (::stat((entry.path + "/data").c_str(), &status) == 0) {
      entry.bytes = static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
    if (::stat((entry.path + "/lock").c_str(), &status) == 0) {
      entry.lastUsed = status.st_mtim.tv_sec * std::int64_t{1'000'000'000} + status.st_mtim.tv_nsec;
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

/// 10 GiB, or 80 % of what the disk has room for, whichever is less: what is cached already counts
/// as room.
std::uint64_t defaultLimit(const std::string& folder) {
  constexpr std::uint64_t kMost = std::uint64_t{10} << 30U;
  struct statvfs status{};
  if (::statvfs(folder.c_str(), &status) != 0) {
    return kMost;
  }
  std::uint64_t room = std::uint64_t{status.f_bavail} * status.f_frsize;
  for (const Entry& entry : entriesOf(folder)) {
    room += entry.bytes;
  }
  return std::max(CacheSpace::kLeast, std::min(kMost, room / 5 * 4));
}

}  // namespace

CacheSpace::CacheSpace(const std::string& folder, std::optional<std::uint64_t> limit)
    : folder_(folder) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error || !fs::is_directory(folder_, error)) {
    throw UserError("cannot use the folder " + folder_ + " as the cache: " +
                    (error ? error.message() : errnoCode(ENOTDIR).message()) + "; check --cache");
  }
  limit_ = limit ? *limit : defaultLimit(folder_);
}

std::uint64_t CacheSpace::shareOf(const std::string& own, std::uint64_t wanted) const {
  std::vector<Entry> others = entriesOf(folder_);
  std::erase_if(others, [&own](const Entry& entry) { return entry.name == own; });
  std::sort(others.begin(), others.end(),
            [](const Entry& one, const Entry& other) { return one.lastUsed < other.lastUsed; });
  std::uint64_t taken = 0;
  for (const Entry& entry : others) {
    taken += entry.bytes;
  }
  const auto share = [&] { return limit_ - std::min(limit_, taken); };
  for (const Entry& entry : others) {
    if (share() >= wanted || entry.bytes == 0) {
      continue;
    }
    try {
      if (const auto lock = CacheLock::take(entry.path)) {
        removeCacheFolder(entry.path);
        taken -= entry.bytes;
        spdlog::info("removed {} from the cache to make room", entry.name);
      }
    } catch (const UserError& error) {
      spdlog::debug("{}", error.what());  // somebody else's
    }
  }
  return share();
}

}  // namespace netcow
