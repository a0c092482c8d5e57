// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/errors.h"
#include "base/logging.h"
#include "format/session_files.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;

/// Of a session, in the order in which they go: without `meta` it is none.
constexpr const char* kSessionFiles[] = {"meta",     "live",           "data",  "meta.new",
                                         "live.new", "meta.discarded", "socket"};

void removeSession(const std::string& folder) {
  std::error_code ignored;
  for (const char* const name : kSessionFiles) {
    fs::remove(folder + "/" + name, ignored);
  }
}

/// Whether a folder holds something that is not the cache's to make.
bool isForeign(const std::string& folder) {
  return std::any_of(fs::directory_iterator(folder), fs::directory_iterator(),
                     [](const fs::directory_entry& entry) {
                       const std::string name = entry.path().filename();
                       return name != "lock" && name != "cache.json.new";
                     });
}

std::unique_ptr<Session> makeSession(const std::string& folder, const CacheRecord& record,
                                     const Clock& clock) {
  NewSession settings;
  // For people only: cache.json has the whole name.
  settings.imageName = record.image.name.substr(0, sizeof(MetaHeader::imageName) - 1);
  settings.baseSize = record.size;
  settings.maxImageSize = std::max(record.size, kTableSpan);
  return Session::create(openFolder(folder), settings, clock);
}

bool fits(const Session& session, const CacheRecord& record) {
  return session.imageSize() == record.size && session.validRemoteSize() == record.size &&
         session.uploadUuid().empty();
}

}  // namespace

std::optional<CacheLock> CacheLock::take(const std::string& folder) {
  const std::string path = folder + "/lock";
  // Again where the folder was removed between opening and locking.
  for (int tries = 0; tries < 3; ++tries) {
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
      throw UserError("cannot make the folder " + folder + ": " + errnoCode(errno).message() +
                      "; check --cache");
    }
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd && errno == ENOENT) {
      continue;
    }
    if (!fd) {
      throw UserError("cannot open " + path + ": " + errnoCode(errno).message() +
                      "; check its owner and permissions");
    }
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      return std::nullopt;
    }
    struct stat held{};
    struct stat named{};
    if (::fstat(fd.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
        held.st_ino == named.st_ino && held.st_dev == named.st_dev) {
      return CacheLock(std::move(fd));
    }
  }
  return std::nullopt;
}

void CacheLock::touch() const {
  // Without it, the folder is only taken for older than it is.
  static_cast<void>(::futimens(fd_.get(), nullptr));
}

std::unique_ptr<Session> openCacheSession(const std::string& folder, const CacheRecord& record,
                                          const Clock& clock) {
  const auto known = CacheRecord::load(folder);
  if (!known) {
    if (isForeign(folder)) {
      throw UserError(
          folder + " is no cache: it holds other files, but no cache.json; name another --cache");
    }
    record.save(folder);
    return makeSession(folder, record, clock);
  }
  if (const std::string why = known->whyNot(record); !why.empty()) {
    throw UserError(folder + " " + why + "; remove that folder, or name another --cache");
  }
  try {
    auto session = Session::open(openFolder(folder), clock);
    if (fits(*session, record)) {
      return session;
    }
    spdlog::warn("{} holds a session that is no cache of the image: made anew", folder);
  } catch (const UserError& error) {
    if (fs::exists(folder + "/meta")) {
      spdlog::warn("the cache is made anew: {}", error.what());
    }
  }
  removeSession(folder);
  return makeSession(folder, record, clock);
}

void removeCacheFolder(const std::string& folder) {
  std::error_code ignored;
  if (!fs::exists(folder + "/cache.json", ignored)) {
    return;
  }
  removeSession(folder);
  // Last of what makes it a cache: killed before, the next one who looks goes on with it.
  for (const char* const name : {"cache.json.new", "cache.json", "lock"}) {
    fs::remove(folder + "/" + name, ignored);
  }
  fs::remove(folder, ignored);
}

}  // namespace netcow
