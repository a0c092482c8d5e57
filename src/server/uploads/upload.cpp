// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"
#include "base/whole_io.h"
#include "server/uploads/refusal.h"

namespace netcow {
namespace {

/// What a client gets at least after a start of the server or a jump of its clock.
constexpr std::chrono::seconds kLeastPatience = std::chrono::hours(1);

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

/// False if the same merge was accepted before. Throws Refusal if one was that stands in the way.
bool isNewMerge(const MergeSizes& sizes, const UploadRecord& record) {
  if (record.state == UploadState::deleted || record.state == UploadState::expired) {
    throw Refusal(Refusal::Kind::notFound, "Session not found");
  }
  if (record.state != UploadState::merging && record.state != UploadState::done) {
    return true;
  }
  if (record.sizes != sizes) {
    throw Refusal(Refusal::Kind::conflict, "a merge with other sizes was accepted before");
  }
  if (record.cancelRequested) {
    throw Refusal(Refusal::Kind::busy, "the merge is being cancelled; ask again in a moment");
  }
  return false;
}

}  // namespace

Upload::Upload(UploadRecord record, std::string directory, const UploadContext& context)
    : directory_(std::move(directory)),
      context_(context),
      record_(std::move(record)),
      lastSeen_(context_.clock.now()) {
  progress_.mergedClusters = record_.mergedClusters;
  progress_.totalClusters = record_.totalClusters;
  progress_.cancel = record_.cancelRequested;
}

void Upload::begin() {
  const WriterLock lock(changing_);
  UploadRecord made = record();
  context_.registry.save(made);  // as copying: if we die before the end, the next start cleans up
  // Each client decides how far its image may grow. Room for the largest costs 52 KB: tables that
  // are not used take no space.
  auto session = Session::create(directory_,
                                 {.imageName = made.base.name,
                                  .uploadUuid = made.uuid,
                                  .baseSize = made.baseSize,
                                  .maxImageSize = kLargestImageSize},
                                 context_.clock);
  syncFolder(std::filesystem::path(directory_).parent_path());
  changeState(UploadState::active, std::move(made));
  const MutexLock recordLock(mutex_);
  session_ = std::make_shared<UploadSession>(std::move(session), context_);
}

void Upload::openAhead() {
  try {
    openSession();
  } catch (const std::exception& error) {
    spdlog::error("upload {}: {}", shortUuid(record().uuid), hideUuids(error.what()));
  }
}

bool Upload::store(const Update& update, Completion durable) {
  requireActive();
  const auto session = openSession();
  bool newest = false;
  {
    turnstile_.lock();
    turnstile_.unlock();
    // Shared: clients send clusters side by side; a merge that comes in waits until all are stored.
    const ReaderLock lock(changing_);
    requireActive();
    newest = session->store(update);
    noteUpdate(update);
  }
  session->makeDurable(std::move(durable));
  return newest;
}

bool Upload::acceptMerge(const MergeSizes& sizes, const MergeCheck& check) {
  const auto session = openSession();
  const MutexLock turnstile(turnstile_);
  const WriterLock lock(changing_);
  UploadRecord accepted = record();
  if (!isNewMerge(sizes, accepted)) {
    return false;
  }
  checkSizes(sizes, accepted);
  accepted.sizes = sizes;
  if (check) {
    check(session->session(), accepted);
  }
  accepted.newRevision = 0;
  accepted.mergeMilliseconds = 0;
  accepted.message.clear();
  progress_.mergedClusters = 0;
  progress_.totalClusters = 0;
  progress_.cancel = false;
  accepted.mergedClusters = 0;
  accepted.totalClusters = 0;
  accepted.lastActivity = context_.clock.unixSeconds();
  changeState(UploadState::merging, std::move(accepted));
  return true;
}

void Upload::requestCancel() {
  const MutexLock turnstile(turnstile_);
  const WriterLock lock(changing_);
  UploadRecord wish = record();
  if (wish.state == UploadState::deleted || wish.state == UploadState::expired) {
    throw Refusal(Refusal::Kind::notFound, "Session not found");
  }
  if (wish.state != UploadState::merging) {
    throw Refusal(Refusal::Kind::conflict, "there is no merge to cancel: the upload's state is " +
                                               std::string(stateName(wish.state)));
  }
  if (!wish.cancelRequested) {
    wish.cancelRequested = true;
    wish.lastActivity = context_.clock.unixSeconds();
    changeState(UploadState::merging, std::move(wish));
  }
  progress_.cancel = true;
}

void Upload::remove() {
  {
    const MutexLock turnstile(turnstile_);
    const WriterLock lock(changing_);
    switch (record().state) {
      case UploadState::merging:
        throw Refusal(Refusal::Kind::conflict,
                      "a merge was accepted; cancel it before the upload is deleted");
      case UploadState::done:
        throw Refusal(Refusal::Kind::conflict,
                      "the upload is merged; there is nothing left to delete");
      case UploadState::deleted:
      case UploadState::expired:
        throw Refusal(Refusal::Kind::notFound, "Session not found");
      case UploadState::copying:
      case UploadState::active:
      case UploadState::failed:
        dropSession(UploadState::deleted, "deleted");
    }
  }
  removeDirectory();
}

bool Upload::expire(std::chrono::seconds ttl) {
  if (!isAbandoned(ttl)) {
    return false;
  }
  {
    const MutexLock turnstile(turnstile_);
    const WriterLock lock(changing_);
    if (!isAbandoned(ttl)) {
      return false;
    }
    dropSession(UploadState::expired,
                "nobody used it for " + std::to_string(ttl.count()) + " seconds");
  }
  removeDirectory();
  return true;
}

bool Upload::isAbandoned(std::chrono::seconds ttl) const {
  const MutexLock lock(mutex_);
  const bool mayExpire =
      record_.state == UploadState::active || record_.state == UploadState::failed;
  const auto last = std::max(record_.lastActivity, record_.changedAt);
  const bool longUnused = context_.clock.unixSeconds() - last > ttl.count();
  const bool longWaitedFor = context_.clock.now() - lastSeen_ > std::min(ttl, kLeastPatience);
  return mayExpire && longUnused && longWaitedFor;
}

UploadRecord Upload::record() const {
  std::shared_ptr<UploadSession> session;
  UploadRecord copy;
  {
    const MutexLock lock(mutex_);
    copy = record_;
    session = session_;
  }
  if (copy.state == UploadState::merging) {
    return withProgress(std::move(copy));
  }
  if (copy.state == UploadState::active && session) {
    copy.totalClusters = session->session().localClusterCount();
  }
  return copy;
}

UploadState Upload::state() const {
  const MutexLock lock(mutex_);
  return record_.state;
}

std::optional<UploadRecord> Upload::takeActivity() {
  const MutexLock lock(mutex_);
  return std::exchange(activityChanged_, false) ? std::optional(record_) : std::nullopt;
}

std::vector<Upload::ClusterUpdates> Upload::mostUpdated(std::uint64_t amount) {
  std::vector<ClusterUpdates> clusters;
  if (const auto session = openSession()) {
    session->session().forEachCluster(
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
  const MutexLock lock(mutex_);
  if (session_) {
    if (const auto error = session_->session().close()) {
      spdlog::error("cannot close {}: {}; it is recovered at the next start", hideUuids(directory_),
                    error.message());
    }
    session_.reset();
  }
}

void Upload::beginWork() {
  workBegan_ = context_.clock.now();
}

void Upload::chooseRevision(std::uint16_t revision) {
  const WriterLock lock(changing_);
  UploadRecord chosen = record();
  chosen.newRevision = revision;
  changeState(UploadState::merging, std::move(chosen));
}

void Upload::finish() {
  {
    const WriterLock lock(changing_);
    endMerge(UploadState::done, "");
    const MutexLock recordLock(mutex_);
    session_.reset();
  }
  removeDirectory();
}

void Upload::fail(const std::string& message) {
  const WriterLock lock(changing_);
  endMerge(UploadState::failed, message);
}

void Upload::finishCancel() {
  const WriterLock lock(changing_);
  progress_.mergedClusters = 0;
  endMerge(UploadState::active, "the merge was cancelled");
}

/// The session, in every state that has one; else null.
std::shared_ptr<UploadSession> Upload::openSession() {
  const auto opened = [this]() -> std::pair<std::shared_ptr<UploadSession>, bool> {
    const MutexLock lock(mutex_);
    return {session_, session_ != nullptr || hasEnded(record_.state)};
  };
  if (auto [session, settled] = opened(); settled) {
    return session;
  }
  const WriterLock lock(changing_);
  if (auto [session, settled] = opened(); settled) {
    return session;
  }
  auto session =
      std::make_shared<UploadSession>(Session::open(directory_, context_.clock), context_);
  if (const std::string& recovery = session->session().recovery(); !recovery.empty()) {
    spdlog::info("{}", hideUuids(recovery));
  }
  const MutexLock recordLock(mutex_);
  session_ = session;
  return session;
}

void Upload::requireActive() const {
  const MutexLock lock(mutex_);
  if (record_.state == UploadState::deleted || record_.state == UploadState::expired) {
    throw Refusal(Refusal::Kind::notFound, "Session not found");
  }
  if (record_.state != UploadState::active) {
    throw Refusal(Refusal::Kind::conflict,
                  "the merge was accepted; this upload takes no more clusters");
  }
}

void Upload::changeState(UploadState state, UploadRecord record) {
  record.state = state;
  record.changedAt = context_.clock.unixSeconds();
  context_.registry.save(record);
  const MutexLock lock(mutex_);
  record_ = std::move(record);
  lastSeen_ = context_.clock.now();
}

void Upload::endMerge(UploadState state, const std::string& message) {
  UploadRecord ended = record();
  ended.message = message;
  ended.cancelRequested = false;
  if (state != UploadState::done) {
    ended.newRevision = 0;
  }
  const double seconds = static_cast<double>(ended.mergeMilliseconds) / 1000;
  changeState(state, std::move(ended));
  workBegan_ = Clock::Time::max();
  context_.counters.count([&](UploadCounts& counts) {
    counts.mergeSeconds += seconds;
    counts.mergesDone += state == UploadState::done ? 1 : 0;
    counts.mergesFailed += state == UploadState::failed ? 1 : 0;
    counts.mergesCancelled += state == UploadState::active ? 1 : 0;
  });
}

/// Nobody opens the session any more; who has it open is done with it soon.
void Upload::dropSession(UploadState state, const std::string& message) {
  UploadRecord ended = record();
  ended.message = message;
  changeState(state, std::move(ended));
  const MutexLock lock(mutex_);
  session_.reset();
}

void Upload::noteUpdate(const Update& update) {
  const MutexLock lock(mutex_);
  ++record_.updates;
  record_.bytesReceived += update.size();
  record_.lastActivity = context_.clock.unixSeconds();
  lastSeen_ = context_.clock.now();
  activityChanged_ = true;
}

UploadRecord Upload::withProgress(UploadRecord record) const {
  record.mergedClusters = progress_.mergedClusters;
  record.totalClusters = progress_.totalClusters;
  const auto began = workBegan_.load();
  if (began != Clock::Time::max()) {
    record.mergeMilliseconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(context_.clock.now() - began)
            .count());
  }
  return record;
}

void Upload::removeDirectory() const {
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
  if (error) {
    spdlog::warn("cannot remove {}, which is not needed any more: {}; the next start tries again",
                 hideUuids(directory_), error.message());
  }
}

}  // namespace netcow
