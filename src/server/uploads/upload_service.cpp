// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload_service.h"

#include <algorithm>
#include <boost/uuid/uuid_generators.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"
#include "format/session_files.h"
#include "merge/merge_space.h"
#include "server/uploads/merge_job.h"
#include "server/uploads/refusal.h"

namespace netcow {
namespace {

/// Enough for many checkpoints side by side, each of which mostly waits for the disk.
constexpr int kWorkers = 16;
constexpr std::chrono::seconds kHousekeeping{10};
/// What an update may take beside its content, and a new upload: tables.
constexpr std::uint64_t kRoomForTables = std::uint64_t{256} << 10U;

std::string newUuid() {
  // Straight from the kernel's random numbers: whoever knows a uuid may write to its upload.
  return to_string(boost::uuids::random_generator_pure()());
}

constexpr std::size_t kLongestImageName = sizeof(MetaHeader::imageName) - 1;

}  // namespace

UploadService::UploadService(std::string folder, const ImageCatalog& catalog,
                             const UploadServiceOptions& options, const Clock& clock)
    : folder_(std::move(folder)),
      catalog_(catalog),
      options_(options),
      clock_(clock),
      room_(folder_, options.reserve.value_or(DiskRoom::usualReserve(folder_))),
      registry_(folder_ + "/registry.sqlite"),
      context_{registry_, counters_, workers_, clock_},
      workers_("uploads", kWorkers),
      merges_([this](Upload& upload) { runMerge(upload, catalog_, room_.reserve()); }) {
  for (const UploadRecord& record : registry_.load()) {
    resume(record);
  }
  housekeeper_ = std::make_unique<Housekeeper>([this] { keepHouse(); }, kHousekeeping);
}

UploadService::~UploadService() = default;

void UploadService::resume(const UploadRecord& record) {
  if (record.state == UploadState::copying) {
    forget(record.uuid);  // no client was ever told of it
    return;
  }
  if (hasEnded(record.state)) {
    std::error_code ignored;  // it is tried again at the next start
    std::filesystem::remove_all(directoryOf(record.uuid), ignored);
  }
  if (record.state != UploadState::merging) {
    removeMergeRemains(record, catalog_);
  }
  const auto upload = std::make_shared<Upload>(record, directoryOf(record.uuid), context_);
  {
    const MutexLock lock(mutex_);
    uploads_[record.uuid] = upload;
  }
  if (record.state == UploadState::merging) {
    merges_.push(upload);
  } else if (record.state == UploadState::active) {
    workers_.post([upload] { upload->openAhead(); });
  }
}

std::string UploadService::create(const ImageName& base, const std::string& owner) {
  const auto image = catalog_.open(base.name, base.revision);
  if (!image) {
    throw Refusal(Refusal::Kind::notFound, "Image not found");
  }
  if (base.name.size() > kLongestImageName) {
    throw Refusal(Refusal::Kind::badRequest, "the image's name is too long to be edited");
  }
  const auto claim = room_.claim(kRoomForTables);
  UploadRecord record;
  record.uuid = newUuid();
  record.base = image->image();
  record.baseSize = image->servedSize();
  record.owner = owner;
  record.createdAt = clock_.unixSeconds();
  record.changedAt = record.createdAt;
  record.lastActivity = record.createdAt;
  const auto upload = std::make_shared<Upload>(record, directoryOf(record.uuid), context_);
  try {
    upload->begin();
  } catch (const std::exception&) {
    forget(record.uuid);
    throw;
  }
  spdlog::info("upload {}: began for {}", shortUuid(record.uuid), record.base.fileName());
  const MutexLock lock(mutex_);
  uploads_[record.uuid] = upload;
  return record.uuid;
}

void UploadService::update(const std::string& uuid, std::uint64_t cluster, std::uint64_t sequence,
                           std::span<const std::byte> body, Completion durable) {
  try {
    const auto upload = find(uuid);
    store(*upload, parseUpdate(cluster, sequence, body), std::move(durable));
  } catch (const Refusal& refusal) {
    counters_.count([&](UploadCounts& counts) {
      ++(refusal.kind() == Refusal::Kind::noSpace ? counts.updatesWithoutRoom
                                                  : counts.refusedUpdates);
    });
    throw;
  } catch (const std::exception&) {
    counters_.count([](UploadCounts& counts) { ++counts.failedUpdates; });
    throw;
  }
}

void UploadService::store(Upload& upload, const Update& update, Completion durable) {
  const auto begin = clock_.now();
  const std::uint64_t size = update.size();
  const auto claim = room_.claim(size + kRoomForTables);
  const bool newest = upload.store(
      update, [this, begin, size, durable = std::move(durable)](std::error_code error) mutable {
        if (error) {
          counters_.count([](UploadCounts& counts) { ++counts.failedUpdates; });
        } else {
          const std::chrono::duration<double> took = clock_.now() - begin;
          counters_.updateDone(size, took.count());
        }
        durable(error);
      });
  if (!newest) {
    counters_.count([](UploadCounts& counts) { ++counts.supersededUpdates; });
  }
}

void UploadService::merge(const std::string& uuid, const MergeSizes& sizes) {
  const auto upload = find(uuid);
  const auto check = [this](const Session& session, const UploadRecord& record) {
    checkRoomForMerge(session, record);
  };
  if (upload->acceptMerge(sizes, check)) {
    merges_.push(upload);
  }
}

/// What is found out now, the client hears; everything else makes the merge fail later.
void UploadService::checkRoomForMerge(const Session& session, const UploadRecord& record) const {
  MergeRequest request = mergeRequestFor(record, catalog_);
  request.reservedBytes = room_.reserve();
  std::optional<MergeSpace> space;
  try {
    space = spaceForMerge(session, request);
  } catch (const std::system_error&) {
    return;
  }
  if (!space->fits()) {
    throw Refusal(Refusal::Kind::noSpace, space->explain(request));
  }
}

void UploadService::cancel(const std::string& uuid) {
  const auto upload = find(uuid);
  upload->requestCancel();
  if (!merges_.remove(*upload)) {
    return;  // the worker sees to it
  }
  try {
    runMerge(*upload, catalog_, room_.reserve());  // which has only to be ended
  } catch (const std::exception& error) {
    spdlog::error("upload {}: the merge is cancelled in a while: {}", shortUuid(uuid),
                  hideUuid(error.what(), uuid));
    merges_.push(upload);
  }
}

void UploadService::remove(const std::string& uuid) {
  const auto upload = find(uuid);
  upload->remove();
  removeMergeRemains(upload->record(), catalog_);
  spdlog::info("upload {}: deleted", shortUuid(uuid));
}

UploadRecord UploadService::status(const std::string& uuid) const {
  return find(uuid)->record();
}

std::vector<Upload::ClusterUpdates> UploadService::mostUpdated(const std::string& uuid,
                                                               std::uint64_t amount) const {
  return find(uuid)->mostUpdated(amount);
}

std::vector<std::shared_ptr<Upload>> UploadService::uploads() const {
  std::vector<std::shared_ptr<Upload>> uploads;
  const MutexLock lock(mutex_);
  uploads.reserve(uploads_.size());
  for (const auto& [uuid, upload] : uploads_) {
    uploads.push_back(upload);
  }
  return uploads;
}

std::vector<UploadRecord> UploadService::list() const {
  std::vector<UploadRecord> records;
  for (const auto& upload : uploads()) {
    records.push_back(upload->record());
  }
  return records;
}

UploadFigures UploadService::figures() const {
  UploadFigures figures;
  for (const UploadState state : kAllUploadStates) {
    figures.sessions[state] = 0;
  }
  for (const auto& upload : uploads()) {
    ++figures.sessions[upload->state()];
  }
  const MergeQueue::Length queue = merges_.length();
  figures.mergesWaiting = queue.waiting;
  figures.mergesRunning = queue.running;
  figures.freeBytes = room_.freeBytes();
  figures.reservedBytes = room_.reserve();
  figures.counts = counters_.counts();
  return figures;
}

void UploadService::keepHouse() {
  saveActivity();
  if (options_.sessionTtl.count() > 0) {
    expireAbandoned();
  }
  forgetEnded();
}

void UploadService::expireAbandoned() {
  for (const auto& upload : uploads()) {
    if (upload->expire(options_.sessionTtl)) {
      const UploadRecord record = upload->record();
      removeMergeRemains(record, catalog_);
      spdlog::warn("upload {} of {} for {} expired: {}", shortUuid(record.uuid), record.owner,
                   record.base.fileName(), record.message);
    }
  }
}

void UploadService::forgetEnded() {
  std::vector<UploadRecord> ended;
  for (UploadRecord& record : list()) {
    if (hasEnded(record.state)) {
      ended.push_back(std::move(record));
    }
  }
  std::ranges::sort(ended, std::greater<>(), &UploadRecord::changedAt);
  const std::int64_t oldest = clock_.unixSeconds() - options_.endedTtl.count();
  for (std::size_t i = 0; i < ended.size(); ++i) {
    if (i >= options_.endedKept || ended[i].changedAt < oldest) {
      forget(ended[i].uuid);
      const MutexLock lock(mutex_);
      uploads_.erase(ended[i].uuid);
    }
  }
}

void UploadService::saveActivity() {
  std::vector<UploadRecord> changed;
  for (const auto& upload : uploads()) {
    if (auto record = upload->takeActivity()) {
      changed.push_back(std::move(*record));
    }
  }
  if (!changed.empty()) {
    registry_.saveActivity(changed);
  }
}

void UploadService::askRegistry() {
  registry_.ask();
}

void UploadService::stop() {
  housekeeper_.reset();
  merges_.stop();
  workers_.stop();
  try {
    saveActivity();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
  }
  for (const auto& upload : uploads()) {
    upload->close();
  }
}

std::shared_ptr<Upload> UploadService::find(const std::string& uuid) const {
  const MutexLock lock(mutex_);
  const auto found = uploads_.find(uuid);
  if (found == uploads_.end()) {
    throw Refusal(Refusal::Kind::notFound, "Session not found");
  }
  return found->second;
}

std::string UploadService::directoryOf(const std::string& uuid) const {
  return folder_ + "/" + uuid;
}

/// Removes an upload that no client needs any more, or knows of.
void UploadService::forget(const std::string& uuid) {
  std::error_code error;
  std::filesystem::remove_all(directoryOf(uuid), error);
  if (error) {
    spdlog::warn("cannot remove {}: {}", hideUuid(directoryOf(uuid), uuid), error.message());
    return;  // the row stays, so that the next start tries again
  }
  try {
    registry_.remove(uuid);
  } catch (const std::exception& trouble) {
    spdlog::warn("{}", trouble.what());
  }
}

}  // namespace netcow
