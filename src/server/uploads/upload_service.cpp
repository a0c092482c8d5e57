// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload_service.h"

#include <sys/statvfs.h>

#include <boost/uuid/uuid_generators.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/logging.h"
#include "format/geometry.h"
#include "format/session_files.h"
#include "server/uploads/merge_job.h"
#include "server/uploads/refusal.h"

namespace netcow {
namespace {

std::string newUuid() {
  // Straight from the kernel's random numbers: whoever knows a uuid may write to its upload.
  return to_string(boost::uuids::random_generator_pure()());
}

constexpr std::size_t kLongestImageName = sizeof(MetaHeader::imageName) - 1;

}  // namespace

UploadService::UploadService(std::string folder, const ImageCatalog& catalog, const Clock& clock)
    : folder_(std::move(folder)),
      catalog_(catalog),
      clock_(clock),
      registry_(folder_ + "/registry.sqlite"),
      merges_([&catalog](Upload& upload) { runMerge(upload, catalog); }) {
  for (const UploadRecord& record : registry_.load()) {
    resume(record);
  }
}

UploadService::~UploadService() = default;

void UploadService::resume(const UploadRecord& record) {
  if (record.state == UploadState::copying) {
    forget(record.uuid);  // no client was ever told of it
    return;
  }
  if (record.state == UploadState::done) {
    std::error_code ignored;  // it is tried again at the next start
    std::filesystem::remove_all(directoryOf(record.uuid), ignored);
  }
  const auto upload = std::make_shared<Upload>(record, directoryOf(record.uuid), registry_, clock_);
  {
    const MutexLock lock(mutex_);
    uploads_[record.uuid] = upload;
  }
  if (record.state == UploadState::merging) {
    merges_.push(upload);
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
  UploadRecord record;
  record.uuid = newUuid();
  record.base = image->image();
  record.baseSize = image->servedSize();
  record.owner = owner;
  record.createdAt = clock_.unixSeconds();
  record.changedAt = record.createdAt;
  record.lastActivity = record.createdAt;
  const auto upload = std::make_shared<Upload>(record, directoryOf(record.uuid), registry_, clock_);
  try {
    upload->begin();
  } catch (const std::exception&) {
    forget(record.uuid);
    throw;
  }
  spdlog::info("upload {}: began for {}", record.uuid, record.base.fileName());
  const MutexLock lock(mutex_);
  uploads_[record.uuid] = upload;
  return record.uuid;
}

void UploadService::update(const std::string& uuid, std::uint64_t cluster,
                           std::span<const std::byte> body) {
  const auto begin = clock_.now();
  const auto upload = find(uuid);
  ClusterBits bits;
  if (body.size() < sizeof bits) {
    throw Refusal(
        Refusal::Kind::badRequest,
        "the body must begin with a bitfield of 40 bytes, but has " + std::to_string(body.size()));
  }
  std::memcpy(&bits, body.data(), sizeof bits);
  const std::uint64_t expected = sizeof bits + bits.count() * kBlockSize;
  if (body.size() != expected) {
    throw Refusal(Refusal::Kind::badRequest, "the body must have " + std::to_string(expected) +
                                                 " bytes for the bits that are set, but has " +
                                                 std::to_string(body.size()));
  }
  upload->storeCluster(cluster, bits, body.subspan(sizeof bits));
  counters_.updateDone(body.size(), std::chrono::duration<double>(clock_.now() - begin).count());
}

void UploadService::merge(const std::string& uuid, const MergeSizes& sizes) {
  const auto upload = find(uuid);
  if (upload->acceptMerge(sizes)) {
    merges_.push(upload);
  }
}

UploadRecord UploadService::status(const std::string& uuid) const {
  return find(uuid)->record();
}

std::vector<Upload::ClusterUpdates> UploadService::mostUpdated(const std::string& uuid,
                                                               std::uint64_t amount) const {
  return find(uuid)->mostUpdated(amount);
}

std::vector<UploadRecord> UploadService::list() const {
  std::vector<std::shared_ptr<Upload>> uploads;
  {
    // An upload may be busy with the disk; nobody else should have to wait for that.
    const MutexLock lock(mutex_);
    for (const auto& [uuid, upload] : uploads_) {
      uploads.push_back(upload);
    }
  }
  std::vector<UploadRecord> records;
  for (const auto& upload : uploads) {
    records.push_back(upload->record());
  }
  return records;
}

UploadFigures UploadService::figures() const {
  UploadFigures figures;
  for (const UploadState state : kAllUploadStates) {
    figures.sessions[state] = 0;
  }
  for (const UploadRecord& record : list()) {
    ++figures.sessions[record.state];
  }
  struct statvfs disk = {};
  if (::statvfs(folder_.c_str(), &disk) == 0) {
    figures.freeBytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  }
  figures.counts = counters_.counts();
  return figures;
}

void UploadService::stop() {
  merges_.stop();
  const MutexLock lock(mutex_);
  for (const auto& [uuid, upload] : uploads_) {
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

/// Removes an upload that no client knows of.
void UploadService::forget(const std::string& uuid) {
  std::error_code error;
  std::filesystem::remove_all(directoryOf(uuid), error);
  if (error) {
    spdlog::warn("cannot remove {}: {}", directoryOf(uuid), error.message());
    return;  // the row stays, so that the next start tries again
  }
  try {
    registry_.remove(uuid);
  } catch (const std::exception& trouble) {
    spdlog::warn("{}", trouble.what());
  }
}

}  // namespace netcow
