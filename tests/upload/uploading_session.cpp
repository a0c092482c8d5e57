// SPDX-License-Identifier: Apache-2.0
#include "upload/uploading_session.h"

#include <cerrno>
#include <stdexcept>
#include <vector>

#include "base/errors.h"

namespace netcow::test {

UploadingSession::UploadingSession(const std::string& uuid) {
  NewSession settings;
  settings.imageName = "image";
  settings.uploadUuid = uuid;
  settings.baseSize = kClusters * kClusterSize;
  session_ = Session::create(openHookedFolder(directory_.path().string(), hook_), settings, clock_);
}

std::error_code UploadingSession::answer(const FileCall& call) {
  if (call.kind == FileCall::Kind::sync && syncsToFail > 0) {
    --syncsToFail;
    return errnoCode(EIO);
  }
  if (call.kind == FileCall::Kind::write && call.file == "meta" && writesToMetaWithoutRoom > 0) {
    --writesToMetaWithoutRoom;
    return errnoCode(ENOSPC);
  }
  return {};
}

void UploadingSession::write(std::uint64_t cluster, std::uint64_t firstBlock, std::uint64_t blocks,
                             char content) {
  const std::vector<std::byte> bytes(blocks * kBlockSize, static_cast<std::byte>(content));
  if (session_->write(bytes, cluster * kClusterSize + firstBlock * kBlockSize)) {
    throw std::runtime_error("cannot write to the session");
  }
  for (std::uint64_t block = firstBlock; block < firstBlock + blocks; ++block) {
    model_[cluster][block] = content;
  }
}

void UploadingSession::writeClusters(std::uint64_t count) {
  for (std::uint64_t cluster = 0; cluster < count; ++cluster) {
    write(cluster, cluster % kBlocksPerCluster, 1, static_cast<char>('a' + cluster % 26));
  }
}

std::map<std::uint64_t, std::string> UploadingSession::expectedBodies() const {
  std::map<std::uint64_t, std::string> bodies;
  for (const auto& [cluster, blocks] : model_) {
    std::string bitfield(40, '\0');
    std::string content;
    for (const auto& [block, byte] : blocks) {
      auto& bits = bitfield[block / 8];
      bits = static_cast<char>(static_cast<unsigned char>(bits) | (1U << (block % 8)));
      content.append(4096, byte);
    }
    bodies[cluster] = bitfield + content;
  }
  return bodies;
}

std::uint64_t UploadingSession::dirtyClusters() const {
  return session_->dirtyCounts(Clock::Time::max()).old;
}

ClusterInfo UploadingSession::info(std::uint64_t cluster) const {
  ClusterInfo result;
  session_->forEachCluster([&](const ClusterInfo& info) {
    if (info.cluster == cluster) {
      result = info;
    }
  });
  return result;
}

}  // namespace netcow::test
