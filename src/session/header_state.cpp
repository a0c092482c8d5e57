// SPDX-License-Identifier: Apache-2.0
#include "session/header_state.h"

#include <algorithm>
#include <cerrno>

#include "base/errors.h"

namespace netcow {

HeaderState::HeaderState(const MetaHeader& header, LiveFile& live)
    : live_(live),
      maxImageSize_(header.maxImageSize),
      header_(header),
      largestSize_(header.imageSize),
      largestSinceEncoded_(header.imageSize),
      imageSize_(header.imageSize),
      validRemoteSize_(header.validRemoteSize) {}

std::string HeaderState::uploadUuid() const {
  const MutexLock lock(mutex_);
  return header_.uuid;
}

std::string HeaderState::imageName() const {
  const MutexLock lock(mutex_);
  return header_.imageName;
}

std::int64_t HeaderState::creationTime() const {
  const MutexLock lock(mutex_);
  return static_cast<std::int64_t>(header_.creationTime);
}

std::error_code HeaderState::setSizes(std::uint64_t imageSize, std::uint64_t validRemoteSize) {
  const MutexLock lock(mutex_);
  MetaHeader changedHeader = header_;
  changedHeader.imageSize = imageSize;
  changedHeader.validRemoteSize = validRemoteSize;
  return store(changedHeader);
}

std::error_code HeaderState::setUploadUuid(const std::string& uuid) {
  if (uuid.size() > kUploadUuidLength) {
    return errnoCode(EINVAL);
  }
  const MutexLock lock(mutex_);
  MetaHeader changedHeader = header_;
  setText(changedHeader.uuid, uuid);
  return store(changedHeader);
}

std::error_code HeaderState::store(const MetaHeader& changedHeader) {
  if (const auto error = live_.tables().writeHeader(changedHeader)) {
    return error;
  }
  header_ = changedHeader;
  largestSize_ = std::max<std::uint64_t>(largestSize_, header_.imageSize);
  largestSinceEncoded_ = std::max<std::uint64_t>(largestSinceEncoded_, header_.imageSize);
  imageSize_ = changedHeader.imageSize;
  validRemoteSize_ = changedHeader.validRemoteSize;
  changed_ = true;
  return {};
}

MetaHeader HeaderState::encode(std::int32_t nextL2, std::int64_t nextClusterOffset) {
  const MutexLock lock(mutex_);
  header_.nextL2 = nextL2;
  header_.nextClusterOffset = nextClusterOffset;
  largestSinceEncoded_ = header_.imageSize;
  return header_;
}

std::uint64_t HeaderState::largestSize() const {
  const MutexLock lock(mutex_);
  return largestSize_;
}

void HeaderState::confirmDurable() {
  const MutexLock lock(mutex_);
  largestSize_ = largestSinceEncoded_;
}

}  // namespace netcow
