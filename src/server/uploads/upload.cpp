// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"
#include "base/whole_io.h"
#include "server/uploads/refusal.h"

namespace netcow {
namespace {

[[noreturn]] void failStoring(const std::error_code& error, const std::string& directory) {
  switch (toErrno(error)) {
    case EFBIG:
      throw Refusal(Refusal::Kind::badRequest, "clusterindex is beyond the largest image");
    case ENOSPC:
    case EDQUOT:
      throw Refusal(Refusal::Kind::noSpace, "no space left for uploads");
    default:
      throwErrno(toErrno(error), "cannot keep the cluster in " + directory);
  }
}

void checkSizes(const MergeSizes& sizes, const UploadRecord& record) {
  if (sizes.originalFileSize > record.baseSize) {
    throw Refusal(Refusal::Kind::badRequest,
                  "originalFileSize is larger than the image, which has " +
                      std::to_string(record.baseSize) + " bytes");
  }
  if (sizes.newFileSize == 0 || sizes.newFileSize > kLargestImageSize) {
    throw Refusal(Refusal::Kind::badRequest,
                  "newFileSize must be from 1 to " + std::to_string(kLargestImageSize));
  }
}

}  // namespace

Upload::Upload(UploadRecord record, std::string directory, Registry& registry, const Clock& clock)
    : directory_(std::move(directory)),
      registry_(registry),
      clock_(clock),
      record_(std::move(record)) {
  progress_.mergedClusters = record_.mergedClusters;
  progress_.totalClusters = record_.totalClusters;
}

void Upload::begin() {
  const WriterLock lock(mutex_);
  registry_.save(record_);  // as copying: if we die before the end, the next start cleans up
  // Each client decides how far its image may grow. Room for the largest costs 52 KB: tables that
  // are not used take no space.
  session_ = Session::create(directory_,
                             {.imageName = record_.base.name,
                              .uploadUuid = record_.uuid,
                              .baseSize = record_.baseSize,
                              .maxImageSize = kLargestImageSize},
                             clock_);
  syncFolder(std::filesystem::path(directory_).parent_path());
  enter(UploadState::active, record_);
}

void Upload::storeCluster(std::uint64_t cluster, const ClusterBits& bits,
                          std::span<const std::byte> content) {
  openSession();
  // Shared: clients send clusters side by side; a merge that comes in waits until all are kept.
  const ReaderLock lock(mutex_);
  requireActive();
  auto error = session_->replaceCluster(cluster, bits, content);
  if (!error) {
    error = session_->checkpoint();
  }
  if (error) {
    failStoring(error, directory_);
  }
}

bool Upload::acceptMerge(const MergeSizes& sizes) {
  const WriterLock lock(mutex_);
  if (record_.state == UploadState::merging || record_.state == UploadState::done) {
    if (record_.sizes == sizes) {
      return false;
    }
    throw Refusal(Refusal::Kind::conflict, "a merge with other sizes was accepted before");
  }
  checkSizes(sizes, record_);
  UploadRecord accepted = record_;
  accepted.sizes = sizes;
  accepted.newRevision = 0;
  accepted.message.clear();
  progress_.mergedClusters = 0;
  progress_.totalClusters = 0;
  enter(UploadState::merging, std::move(accepted));
  return true;
}

UploadRecord Upload::record() const {
  const ReaderLock lock(mutex_);
  if (record_.state == UploadState::merging) {
    return withProgress();
  }
  UploadRecord copy = record_;
  if (copy.state == UploadState::active && session_) {
    copy.totalClusters = session_->localClusterCount();
  }
  return copy;
}

std::vector<Upload::ClusterUpdates> Upload::mostUpdated(std::uint64_t amount) {
  openSession();
  std::vector<ClusterUpdates> clusters;
  const ReaderLock lock(mutex_);
  if (session_) {
    session_->forEachCluster(
        [&clusters](const ClusterInfo& info) { clusters.push_back({info.cluster, info.uploads}); });
  }
  std::ranges::sort(clusters, [](const ClusterUpdates& left, const ClusterUpdates& right) {
    return left.updates != right.updates ? left.updates > right.updates
                                         : left.cluster < right.cluster;
  });
  clusters.resize(std::min<std::size_t>(clusters.size(), amount));
  return clusters;
}

void Upload::close() {
  const WriterLock lock(mutex_);
  if (session_) {
    if (const auto error = session_->close()) {
      spdlog::error("cannot close {}: {}; it is recovered at the next start", directory_,
                    error.message());
    }
    session_.reset();
  }
}

Session& Upload::sessionToMerge() {
  openSession();
  const ReaderLock lock(mutex_);
  return *session_;
}

void Upload::chooseRevision(std::uint16_t revision) {
  const WriterLock lock(mutex_);
  UploadRecord chosen = withProgress();
  chosen.newRevision = revision;
  enter(UploadState::merging, std::move(chosen));
}

void Upload::finish() {
  const WriterLock lock(mutex_);
  enter(UploadState::done, withProgress());
  session_.reset();
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
  if (error) {
    spdlog::warn("cannot remove {}, which is merged: {}", directory_, error.message());
  }
}

void Upload::fail(const std::string& message) {
  const WriterLock lock(mutex_);
  UploadRecord failed = withProgress();
  failed.message = message;
  enter(UploadState::failed, std::move(failed));
}

/// Sees that the session is open in every state that has one.
void Upload::openSession() {
  {
    const ReaderLock lock(mutex_);
    if (session_ || record_.state == UploadState::done) {
      return;
    }
  }
  const WriterLock lock(mutex_);
  if (!session_ && record_.state != UploadState::done) {
    session_ = Session::open(directory_, clock_);
    if (!session_->recovery().empty()) {
      spdlog::info("upload {}: {}", record_.uuid, session_->recovery());
    }
  }
}

UploadRecord Upload::withProgress() const {
  UploadRecord copy = record_;
  copy.mergedClusters = progress_.mergedClusters;
  copy.totalClusters = progress_.totalClusters;
  return copy;
}

void Upload::requireActive() const {
  if (record_.state != UploadState::active) {
    throw Refusal(Refusal::Kind::conflict,
                  "the merge was accepted; this upload takes no more clusters");
  }
}

void Upload::enter(UploadState state, UploadRecord record) {
  record.state = state;
  record.changedAt = clock_.unixSeconds();
  registry_.save(record);
  record_ = std::move(record);
}

}  // namespace netcow
