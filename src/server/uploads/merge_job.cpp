// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/merge_job.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <string>
#include <system_error>

#include "base/errors.h"
#include "base/logging.h"
#include "base/whole_io.h"
#include "merge/file_copy.h"

// How a merge makes exactly one revision, wherever the process is killed:
//
//   1. mergeSession() makes the image under a hidden name beside the base, which tells the upload
//      and the sizes. It appears there whole, so if it is there, this step is done.
//   2. The registry notes the number that the image is about to get.
//   3. The hidden file is renamed to that number, which fails if the number is taken (then 2 with
//      the next one), and the folder is synced.
//   4. The registry notes that the upload is done.
//
// A merge that is cancelled before 3 has its hidden file removed before the registry notes that the
// upload takes clusters again: an image without those would be taken for the next merge's.
//
// Killed between 3 and 4, the number is noted and the hidden file is gone: step 3 was done. Where
// a file system cannot rename without replacing, a link and an unlink do; killed between these,
// both names lead to one file, which also tells that step 3 was done.
namespace netcow {
namespace {

namespace fs = std::filesystem;

/// Where the image is made. `record` has the sizes of a merge.
fs::path hiddenPath(const UploadRecord& record, const ImageCatalog& catalog) {
  const MergeSizes sizes = record.sizes.value_or(MergeSizes{});
  return catalog.pathOf(record.base).parent_path() /
         (".netcow-merge-" + record.uuid + "-" + std::to_string(sizes.originalFileSize) + "-" +
          std::to_string(sizes.newFileSize));
}

class MergeJob {
 public:
  MergeJob(Upload& upload, const ImageCatalog& catalog, std::uint64_t reserve)
      : upload_(upload),
        catalog_(catalog),
        record_(upload.record()),
        request_(mergeRequestFor(record_, catalog)),
        hidden_(request_.outputFile) {
    request_.reservedBytes = reserve;
  }

  /// Steps 1 to 3. When this throws, no new revision is there.
  void publish() {
    if (!isPublished()) {
      makeImage();
      throwIfCancelled(upload_.progress().cancel);
      giveName();
    }
  }

  /// The rest of step 3, and 4.
  void settle() {
    ::unlink(hidden_.c_str());
    syncFolder(hidden_.parent_path());
    upload_.finish();
  }

  void giveUp(const std::string& why) {
    // In this order: where the registry cannot be written, the merge stays accepted and is tried
    // again, and then the image need not be made a second time.
    upload_.fail(why);
    ::unlink(hidden_.c_str());
  }

  void cancel() {
    if (::unlink(hidden_.c_str()) == 0) {
      syncFolder(hidden_.parent_path());
    }
    upload_.finishCancel();
  }

 private:
  [[nodiscard]] fs::path target(std::uint16_t revision) const {
    return catalog_.pathOf({record_.base.name, revision});
  }

  [[nodiscard]] bool isPublished() const {
    struct stat named = {};
    struct stat hidden = {};
    if (record_.newRevision == 0 || ::lstat(target(record_.newRevision).c_str(), &named) != 0) {
      return false;
    }
    return ::lstat(hidden_.c_str(), &hidden) != 0 ||
           (hidden.st_dev == named.st_dev && hidden.st_ino == named.st_ino);
  }

  void makeImage() {
    const auto opened = upload_.sessionToMerge();
    Session& session = opened->session();
    if (fs::exists(fs::symlink_status(hidden_))) {
      upload_.progress().totalClusters = session.localClusterCount();
      upload_.progress().mergedClusters = upload_.progress().totalClusters.load();
      return;
    }
    checkBase();
    auto error = session.setSizes(request_.newFileSize, request_.originalFileSize);
    if (!error) {
      error = session.checkpoint();
    }
    if (error) {
      throwErrno(toErrno(error), "cannot use the session in " + session.directory());
    }
    try {
      mergeSession(session, request_, upload_.progress());
    } catch (const std::system_error& trouble) {
      explainFullDisk(trouble);
      throw;
    }
  }

  /// There was room when the merge began: others took it meanwhile. What was made is gone already.
  void explainFullDisk(const std::system_error& trouble) const {
    const int error = toErrno(trouble.code());
    if (error == ENOSPC || error == EDQUOT) {
      throw UserError("no room for the new image: the disk of " + hidden_.parent_path().string() +
                      " filled up while it was being made; make room there and ask for the merge "
                      "again");
    }
  }

  /// The clusters were made on top of the base as it was when the upload began.
  void checkBase() const {
    const auto base = catalog_.open(record_.base.name, record_.base.revision);
    if (!base) {
      throw UserError("cannot merge: the image " + catalog_.pathOf(record_.base).string() +
                      " is gone; put it back and ask for the merge again");
    }
    if (base->servedSize() != record_.baseSize) {
      throw UserError("cannot merge: the image " + catalog_.pathOf(record_.base).string() +
                      " is not the one the upload began with: its size changed");
    }
  }

  void giveName() {
    for (std::uint32_t number = record_.base.revision + 1U;
         number <= std::numeric_limits<std::uint16_t>::max(); ++number) {
      const auto revision = static_cast<std::uint16_t>(number);
      if (isTaken(target(revision))) {
        continue;
      }
      upload_.chooseRevision(revision);
      if (nameHiddenFile(target(revision))) {
        return;
      }
    }
    throw UserError("cannot merge: no revision of " + record_.base.name + " is free above " +
                    std::to_string(record_.base.revision));
  }

  /// Checksums that an image of earlier times left behind would be served as those of the new one.
  [[nodiscard]] static bool isTaken(const fs::path& image) {
    return fs::exists(fs::symlink_status(image)) ||
           fs::exists(fs::symlink_status(image.native() + ".crc"));
  }

  /// False if the name is taken.
  [[nodiscard]] bool nameHiddenFile(const fs::path& name) const {
    int result = ::renameat2(AT_FDCWD, hidden_.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
      result = ::link(hidden_.c_str(), name.c_str());
    }
    if (result != 0 && errno != EEXIST) {
      throwErrno("cannot publish " + name.string());
    }
    return result == 0;
  }

  Upload& upload_;
  const ImageCatalog& catalog_;
  const UploadRecord record_;
  MergeRequest request_;
  const fs::path hidden_;
};

}  // namespace

MergeRequest mergeRequestFor(const UploadRecord& record, const ImageCatalog& catalog) {
  const MergeSizes sizes = record.sizes.value_or(MergeSizes{});
  return {.baseFile = catalog.pathOf(record.base),
          .outputFile = hiddenPath(record, catalog),
          .originalFileSize = std::min(sizes.originalFileSize, sizes.newFileSize),
          .newFileSize = sizes.newFileSize};
}

void removeMergeRemains(const UploadRecord& record, const ImageCatalog& catalog) {
  if (record.sizes) {
    ::unlink(hiddenPath(record, catalog).c_str());
  }
}

void runMerge(Upload& upload, const ImageCatalog& catalog, std::uint64_t reserve) {
  upload.beginWork();
  const UploadRecord record = upload.record();
  MergeJob job(upload, catalog, reserve);
  spdlog::info("upload {}: merging into {}", shortUuid(record.uuid), record.base.name);
  try {
    job.publish();
  } catch (const std::exception& error) {
    if (upload.record().cancelRequested) {
      job.cancel();
      spdlog::info("upload {}: the merge was cancelled", shortUuid(record.uuid));
    } else if (!upload.progress().cancel) {
      const std::string why = hideUuid(error.what(), record.uuid);
      spdlog::error("upload {}: {}", shortUuid(record.uuid), why);
      job.giveUp(why);
    }
    return;
  }
  // The image is public. What goes wrong from here on leaves the upload `merging`, never `failed`:
  // else a second merge could be asked for, and make a second revision.
  job.settle();
  spdlog::info("upload {}: published {}", shortUuid(record.uuid),
               ImageName{record.base.name, upload.record().newRevision}.fileName());
}

}  // namespace netcow
