// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_body.h"

#include <algorithm>
#include <cstring>

namespace netcow {

UploadBody::UploadBody(const Session& session, const ClusterUpdate& update, const HashKey* hashKey)
    : session_(session), update_(update), nextBlock_(update_.bits.findNext(0, true)) {
  if (hashKey != nullptr) {
    hash_.emplace(*hashKey);
  }
}

void UploadBody::rewind() {
  bitfieldUsed_ = 0;
  nextBlock_ = update_.bits.findNext(0, true);
  splitUsed_ = split_.size();
  if (hash_) {
    hash_->restart();
  }
  hashed_ = 0;
}

std::optional<KeyedDigest> UploadBody::takeDigest() {
  if (!hash_ || hashed_ != size()) {
    return std::nullopt;
  }
  hashed_ = 0;
  return hash_->finish();
}

std::error_code UploadBody::read(std::span<std::byte> buffer, std::size_t& used) {
  const auto error = readUnhashed(buffer, used);
  if (hash_) {
    hash_->add(buffer.first(used));
  }
  hashed_ += used;
  return error;
}

std::error_code UploadBody::readUnhashed(std::span<std::byte> buffer, std::size_t& used) {
  used = readBitfield(buffer);
  while (used < buffer.size()) {
    const auto rest = buffer.subspan(used);
    const bool whole = splitUsed_ == split_.size() && rest.size() >= kBlockSize;
    std::size_t got = 0;
    const auto error = whole ? readBlocks(rest, got) : readPartOfBlock(rest, got);
    if (error || got == 0) {
      return error;
    }
    used += got;
  }
  return {};
}

std::size_t UploadBody::readBitfield(std::span<std::byte> buffer) {
  const auto rest = std::as_bytes(std::span(update_.bits.bytes)).subspan(bitfieldUsed_);
  const std::size_t count = std::min(rest.size(), buffer.size());
  std::copy_n(rest.begin(), count, buffer.begin());
  bitfieldUsed_ += count;
  return count;
}

std::error_code UploadBody::readBlocks(std::span<std::byte> buffer, std::size_t& used) {
  const std::uint64_t runEnd = update_.bits.findNext(nextBlock_, false);
  const std::uint64_t blocks = std::min(runEnd - nextBlock_, buffer.size() / kBlockSize);
  if (blocks == 0) {
    return {};
  }
  used = blocks * kBlockSize;
  const auto error = session_.readBlocks(update_.cluster, nextBlock_, buffer.first(used));
  nextBlock_ = update_.bits.findNext(nextBlock_ + blocks, true);
  return error;
}

std::error_code UploadBody::readPartOfBlock(std::span<std::byte> buffer, std::size_t& used) {
  if (splitUsed_ == split_.size()) {
    if (nextBlock_ == kBlocksPerCluster) {
      return {};
    }
    if (const auto error = session_.readBlocks(update_.cluster, nextBlock_, split_)) {
      return error;
    }
    nextBlock_ = update_.bits.findNext(nextBlock_ + 1, true);
    splitUsed_ = 0;
  }
  const auto rest = std::span(split_).subspan(splitUsed_);
  used = std::min(rest.size(), buffer.size());
  std::copy_n(rest.begin(), used, buffer.begin());
  splitUsed_ += used;
  return {};
}

}  // namespace netcow
