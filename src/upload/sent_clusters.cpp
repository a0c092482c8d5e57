// SPDX-License-Identifier: Apache-2.0
#include "upload/sent_clusters.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"
#include "format/geometry.h"

namespace netcow {
namespace {

/// Records that are read at once.
constexpr std::size_t kRecordsRead = 1024;

std::span<const std::byte> bytesOf(const auto& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::uint64_t offsetOf(std::uint32_t slot) {
  return sizeof(SentHeader) + std::uint64_t{slot} * sizeof(SentRecord);
}

bool isWithin(const ClusterBits& part, const ClusterBits& whole) {
  for (std::size_t i = 0; i < part.bytes.size(); ++i) {
    if ((part.bytes[i] & ~whole.bytes[i]) != 0) {
      return false;
    }
  }
  return true;
}

ClusterBits unite(ClusterBits one, const ClusterBits& other) {
  for (std::size_t i = 0; i < one.bytes.size(); ++i) {
    one.bytes[i] |= other.bytes[i];
  }
  return one;
}

}  // namespace

SentClusters::SentClusters(Session& session) : session_(session) {
  std::unordered_map<std::uint64_t, std::uint32_t> clean;
  session_.forEachCluster([&](const ClusterInfo& info) {
    if (info.bits.none()) {
      return;
    }
    known_[info.cluster].mayHold = info.bits;
    if (info.cleanAsRead) {
      clean[info.cluster] = info.uploads;
    }
  });
  openFile();
  hash_.emplace(hashKey_);
  if (file_) {
    identify();
  }
  if (hasHeader_ && owner_) {
    load(clean);
  }
}

void SentClusters::load(const std::unordered_map<std::uint64_t, std::uint32_t>& clean) {
  std::uint64_t bytes = 0;
  std::vector<SentRecord> records(kRecordsRead);
  if (file_->size(bytes)) {
    return;
  }
  const std::uint64_t most = divideRoundingUp(session_.maxImageSize(), kClusterSize);
  const std::uint64_t slots =
      std::max(bytes, std::uint64_t{sizeof(SentHeader)}) - sizeof(SentHeader);
  slots_ = static_cast<std::uint32_t>(std::min(slots / sizeof(SentRecord), most));
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    const std::size_t within = slot % kRecordsRead;
    if (within == 0 && file_->read(std::as_writable_bytes(std::span(records)), offsetOf(slot))) {
      return;
    }
    takeRecord(records[within], slot, clean);
  }
}

void SentClusters::openFile() {
  const auto error = session_.folder().open(kSentFileName, file_);
  if (error) {
    off_ = error.value() != ENOENT;
    return;
  }
  SentHeader header;
  header.magic = 0;
  hasHeader_ = !file_->read(std::as_writable_bytes(std::span(&header, 1)), 0) &&
               header.magic == kSentMagic && header.version == kSentVersion;
  if (hasHeader_) {
    hashKey_ = header.hashKey;
  }
}

/// A copy of a file is another file. Where the file system does not tell when a file was made, an
/// inode number may be used again, so nothing is sure.
void SentClusters::identify() {
  Folder& folder = session_.folder();
  hash_->restart();
  const std::string uuid = session_.uploadUuid();
  hash_->add(std::as_bytes(std::span(uuid)));
  const LittleEndian<std::int64_t> creationTime = session_.creationTime();
  hash_->add(bytesOf(creationTime));
  for (const char* name : {"meta", "data", kSentFileName}) {
    std::unique_ptr<File> file;
    File::Identity identity;
    if (folder.openReadOnly(name, file) || file->identify(identity) ||
        identity.birthNanoseconds == 0) {
      off_ = true;
      return;
    }
    // Not the device: its number may be another one after the next start of the machine.
    const LittleEndian<std::uint64_t> inode = identity.inode;
    const LittleEndian<std::int64_t> birth = identity.birthNanoseconds;
    hash_->add(bytesOf(inode));
    hash_->add(bytesOf(birth));
  }
  owner_ = hash_->finish();
}

KeyedDigest SentClusters::checkOf(const SentRecord& record) {
  hash_->restart();
  hash_->add(*owner_);
  hash_->add(bytesOf(record).first(offsetof(SentRecord, check)));
  return hash_->finish();
}

void SentClusters::takeRecord(const SentRecord& record, std::uint32_t slot,
                              const std::unordered_map<std::uint64_t, std::uint32_t>& clean) {
  const auto found = clean.find(record.cluster);
  if (found == clean.end() || found->second != record.uploads) {
    freeSlots_.push_back(slot);
    return;
  }
  Known& known = known_.at(record.cluster);
  if (known.slot || checkOf(record) != record.check || !isWithin(record.mayHold, known.mayHold)) {
    freeSlots_.push_back(slot);
    return;
  }
  known.mayHold = record.mayHold;
  if ((record.flags & SentRecord::kBodyKnown) != 0) {
    known.body = record.body;
  }
  known.slot = slot;
  known.savedUploads = record.uploads;
}

ClusterBits SentClusters::mayHold(std::uint64_t cluster) const {
  const auto found = known_.find(cluster);
  return found == known_.end() ? ClusterBits{} : found->second.mayHold;
}

std::optional<KeyedDigest> SentClusters::body(std::uint64_t cluster) const {
  const auto found = known_.find(cluster);
  return found == known_.end() ? std::nullopt : found->second.body;
}

void SentClusters::willSend(std::uint64_t cluster, const ClusterBits& bits) {
  Known& known = known_[cluster];
  known.mayHold = unite(known.mayHold, bits);
  known.body.reset();
  known.savedUploads.reset();
}

void SentClusters::arrived(std::uint64_t cluster, const std::optional<KeyedDigest>& body) {
  known_[cluster].body = body;
  toSave_.insert(cluster);
}

void SentClusters::save() {
  if (off_) {
    toSave_.clear();
    return;
  }
  std::error_code error;
  for (auto next = toSave_.begin(); next != toSave_.end() && !error;) {
    const auto uploads = session_.uploadsIfCleanOnDisk(*next);
    if (!uploads) {
      ++next;
      continue;
    }
    Known& known = known_[*next];
    if (known.savedUploads != uploads) {
      error = write(*next, known, *uploads);
    }
    next = toSave_.erase(next);
  }
  if (error) {
    spdlog::warn("cannot write {}/{}: {}; another run may send more than it would have to",
                 session_.folder().path(), kSentFileName, error.message());
    off_ = true;
  }
}

std::error_code SentClusters::write(std::uint64_t cluster, Known& known, std::uint32_t uploads) {
  if (!hasHeader_) {
    const auto error = createFile();
    if (error || off_) {
      return error;
    }
  }
  if (!known.slot) {
    known.slot = freeSlots_.empty() ? slots_++ : freeSlots_.back();
    if (!freeSlots_.empty()) {
      freeSlots_.pop_back();
    }
  }
  SentRecord record;
  record.cluster = cluster;
  record.uploads = uploads;
  record.flags = known.body ? SentRecord::kBodyKnown : 0;
  record.mayHold = known.mayHold;
  record.body = known.body.value_or(KeyedDigest{});
  record.check = checkOf(record);
  known.savedUploads = uploads;
  return file_->write(bytesOf(record), offsetOf(*known.slot));
}

std::error_code SentClusters::createFile() {
  if (!file_) {
    if (const auto error = session_.folder().create(kSentFileName, file_)) {
      return error;
    }
    identify();
    if (off_) {
      return session_.folder().remove(kSentFileName);
    }
  }
  SentHeader header;
  header.hashKey = hashKey_;
  hasHeader_ = true;
  return file_->write(bytesOf(header), 0);
}

}  // namespace netcow
