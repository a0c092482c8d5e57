// SPDX-License-Identifier: Apache-2.0
#include "session/session.h"

#include <cerrno>

#include "base/errors.h"
#include "session/session_parts.h"

namespace netcow {

Session::Session(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Session::~Session() = default;

std::error_code Session::close() {
  if (const auto error = parts_->checkpointer.run()) {
    return error;
  }
  if (const auto error = parts_->folder->remove("live")) {
    return error;
  }
  return parts_->folder->sync();
}

const std::string& Session::directory() const {
  return parts_->folder->path();
}
Folder& Session::folder() const {
  return *parts_->folder;
}
std::string Session::imageName() const {
  return parts_->header.imageName();
}
std::string Session::uploadUuid() const {
  return parts_->header.uploadUuid();
}
std::int64_t Session::creationTime() const {
  return parts_->header.creationTime();
}
std::uint64_t Session::imageSize() const {
  return parts_->header.imageSize();
}
std::uint64_t Session::validRemoteSize() const {
  return parts_->header.validRemoteSize();
}
std::uint64_t Session::maxImageSize() const {
  return parts_->header.maxImageSize();
}
const std::string& Session::recovery() const {
  return parts_->recovery;
}

std::error_code Session::setUploadUuid(const std::string& uuid, bool sendAll) {
  // The uuid comes last: killed before, the next try finds another uuid and marks all again.
  std::error_code result;
  if (sendAll) {
    parts_->map->forEachAllocated([&](std::uint64_t number, Cluster& cluster) {
      if (cluster.loadBits().none()) {
        return;
      }
      const auto error = parts_->overwrite(number, cluster, [] { return std::error_code{}; });
      result = result ? result : error;
    });
  }
  return result ? result : parts_->header.setUploadUuid(uuid);
}

std::error_code Session::setSizes(std::uint64_t imageSize, std::uint64_t validRemoteSize) {
  if (imageSize > maxImageSize()) {
    return errnoCode(EFBIG);
  }
  const std::uint64_t visible = std::min(validRemoteSize, this->validRemoteSize());
  const bool lessOfTheBase = visible < this->validRemoteSize();
  parts_->spaceMayReach(imageSize);
  const auto error = parts_->header.setSizes(imageSize, visible);
  if (lessOfTheBase) {
    parts_->countCovered();
  }
  return error;
}

std::error_code Session::checkpoint() {
  return parts_->checkpointer.run();
}

bool Session::needsCheckpoint() const {
  return parts_->checkpointer.needed();
}

void Session::forEachCluster(const std::function<void(const ClusterInfo&)>& visit) const {
  parts_->map->forEachAllocated([&](std::uint64_t number, Cluster& cluster) {
    ClusterInfo info;
    {
      const MutexLock lock(parts_->map->stripe(number));
      info.cluster = number;
      info.dataOffset = static_cast<std::uint64_t>(cluster.dataOffset.load());
      info.bits = cluster.loadBits();
      info.dirty = cluster.dirty;
      info.cleanAsRead = cluster.cleanAsRead;
      info.uploads = cluster.uploads;
      info.fails = cluster.fails;
    }
    visit(info);
  });
}

std::uint64_t Session::localClusterCount() const {
  return parts_->allocatedClusters.load();
}

}  // namespace netcow
