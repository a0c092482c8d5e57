// SPDX-License-Identifier: Apache-2.0
#include "session/session_oracle.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

namespace netcow::test {
namespace {

template <class T>
bool contains(const std::vector<T>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

std::optional<Tag> tagOf(std::span<const std::byte> sector) {
  Tag tag = 0;
  std::memcpy(&tag, sector.data(), sizeof tag);
  // All words are the same if each is the same as the next.
  const bool uniform =
      std::memcmp(sector.data(), sector.data() + sizeof tag, sector.size() - sizeof tag) == 0;
  return uniform ? std::optional(tag) : std::nullopt;
}

std::string named(const char* what, std::uint64_t number) {
  return what + (" " + std::to_string(number));
}

}  // namespace

std::array<std::byte, kSectorSize> sectorOf(Tag tag) {
  std::array<std::byte, kSectorSize> bytes;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof tag) {
    std::memcpy(bytes.data() + at, &tag, sizeof tag);
  }
  return bytes;
}

SessionContent SessionContent::of(const Session& session) {
  SessionContent content;
  content.imageSize = session.imageSize();
  content.validRemoteSize = session.validRemoteSize();
  session.forEachCluster([&](const ClusterInfo& info) {
    ClusterContent& cluster = content.clusters[info.cluster];
    cluster.dataOffset = info.dataOffset;
    cluster.dirty = info.dirty;
    std::array<std::byte, kBlockSize> bytes;
    for (std::uint64_t i = info.bits.findNext(0, true); i < kBlocksPerCluster;
         i = info.bits.findNext(i + 1, true)) {
      const std::uint64_t number = info.cluster * kBlocksPerCluster + i;
      if (session.readBlocks(info.cluster, i, bytes)) {
        content.unreadable = named("block", number) + " cannot be read";
      }
      for (std::uint64_t s = 0; s < kSectorsPerBlock; ++s) {
        const auto tag = tagOf(std::span(bytes).subspan(s * kSectorSize, kSectorSize));
        if (!tag) {
          content.unreadable = named("sector", number * kSectorsPerBlock + s) + " is torn";
        }
        cluster.blocks[number][s] = tag.value_or(0);
      }
    }
  });
  return content;
}

// --- what may be ----------------------------------------------------------------------------

void SessionOracle::adopt(const SessionContent& content) {
  blocks_.clear();
  for (const auto& [number, cluster] : content.clusters) {
    for (const auto& [blockNumber, tags] : cluster.blocks) {
      Block& block = blocks_[blockNumber];
      block.now = Local::yes;
      for (std::size_t s = 0; s < kSectorsPerBlock; ++s) {
        block.sectors[s].now = {tags[s]};
      }
    }
  }
  sizesNow_ = {{content.imageSize, content.validRemoteSize}};
  confirmCheckpoint();
}

SessionOracle::Sector& SessionOracle::sector(std::uint64_t number) {
  return blocks_[number / kSectorsPerBlock].sectors[number % kSectorsPerBlock];
}

void SessionOracle::beginWrite(std::uint64_t firstSector, std::uint64_t sectors, Tag firstTag) {
  for (std::uint64_t i = 0; i < sectors; ++i) {
    Block& block = blocks_[(firstSector + i) / kSectorsPerBlock];
    block.now = block.now == Local::no ? Local::maybe : block.now;
    sector(firstSector + i).now.push_back(firstTag + i);
    sector(firstSector + i).sinceCheckpoint.push_back(firstTag + i);
  }
}

void SessionOracle::confirmWrite(std::uint64_t firstSector, std::uint64_t sectors, Tag firstTag) {
  for (std::uint64_t i = 0; i < sectors; ++i) {
    blocks_[(firstSector + i) / kSectorsPerBlock].now = Local::yes;
    sector(firstSector + i).now = {firstTag + i};
  }
}

void SessionOracle::beginZero(std::uint64_t firstSector, std::uint64_t sectors) {
  for (auto& [number, block] : blocks_) {
    for (std::uint64_t s = 0; s < kSectorsPerBlock; ++s) {
      const std::uint64_t at = number * kSectorsPerBlock + s;
      if (at >= firstSector && at < firstSector + sectors) {
        block.sectors[s].now.push_back(0);
        block.sectors[s].sinceCheckpoint.push_back(0);
      }
    }
  }
}

void SessionOracle::confirmZero(std::uint64_t firstSector, std::uint64_t sectors) {
  for (auto& [number, block] : blocks_) {
    for (std::uint64_t s = 0; s < kSectorsPerBlock; ++s) {
      const std::uint64_t at = number * kSectorsPerBlock + s;
      if (at >= firstSector && at < firstSector + sectors) {
        block.sectors[s].now = {0};
      }
    }
  }
}

void SessionOracle::beginSizes(std::uint64_t imageSize, std::uint64_t validRemoteSize) {
  sizesNow_.emplace_back(imageSize, validRemoteSize);
  sizesSinceCheckpoint_.emplace_back(imageSize, validRemoteSize);
}

void SessionOracle::confirmSizes(std::uint64_t imageSize, std::uint64_t validRemoteSize) {
  sizesNow_ = {{imageSize, validRemoteSize}};
}

void SessionOracle::confirmCheckpoint() {
  for (auto& [number, block] : blocks_) {
    block.atCheckpoint = block.now;
    for (Sector& sector : block.sectors) {
      sector.sinceCheckpoint = sector.now;
    }
  }
  sizesSinceCheckpoint_ = sizesNow_;
}

bool SessionOracle::isLocal(std::uint64_t block) const {
  const auto found = blocks_.find(block);
  return found != blocks_.end() && found->second.now == Local::yes;
}

std::vector<std::uint64_t> SessionOracle::localBlocks() const {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, block] : blocks_) {
    if (block.now == Local::yes) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

// --- what is --------------------------------------------------------------------------------

std::string SessionOracle::violation(const SessionContent& content, Rule rule) const {
  if (!content.unreadable.empty()) {
    return content.unreadable;
  }
  const auto& sizes = rule == Rule::killed ? sizesNow_ : sizesSinceCheckpoint_;
  if (!contains(sizes, Sizes(content.imageSize, content.validRemoteSize))) {
    return named("the image has a size it never had:", content.imageSize);
  }
  std::set<std::uint64_t> places;
  for (const auto& [number, cluster] : content.clusters) {
    if (!places.insert(cluster.dataOffset).second) {
      return named("two clusters lie at", cluster.dataOffset);
    }
    for (const auto& [blockNumber, tags] : cluster.blocks) {
      if (auto wrong = wrongBlock(blockNumber, tags, rule); !wrong.empty()) {
        return wrong;
      }
    }
    if (auto wrong = wrongCluster(number, cluster); !wrong.empty()) {
      return wrong;
    }
  }
  const std::string missing = missingBlock(content, rule);
  return missing.empty() ? forgottenBlock(content) : missing;
}

std::string SessionOracle::wrongBlock(std::uint64_t number, const BlockTags& tags,
                                      Rule rule) const {
  const auto found = blocks_.find(number);
  if (found == blocks_.end() || found->second.now == Local::no) {
    return named("nobody wrote block", number);
  }
  for (std::size_t s = 0; s < kSectorsPerBlock; ++s) {
    const Sector& sector = found->second.sectors[s];
    if (!contains(rule == Rule::killed ? sector.now : sector.sinceCheckpoint, tags[s])) {
      return named("sector", number * kSectorsPerBlock + s) +
             named(" holds what it may not:", tags[s]);
    }
  }
  return {};
}

std::string SessionOracle::missingBlock(const SessionContent& content, Rule rule) const {
  for (const auto& [number, block] : blocks_) {
    const Local wanted = rule == Rule::killed ? block.now : block.atCheckpoint;
    const auto cluster = content.clusters.find(number / kBlocksPerCluster);
    if (wanted == Local::yes &&
        (cluster == content.clusters.end() || !cluster->second.blocks.contains(number))) {
      return named("lost block", number);
    }
  }
  return {};
}

/// A server keeps every block that it was ever sent, so the session must.
std::string SessionOracle::forgottenBlock(const SessionContent& content) const {
  for (const auto& [number, blocks] : server_) {
    const auto cluster = content.clusters.find(number);
    for (const auto& [blockNumber, tags] : blocks) {
      if (cluster == content.clusters.end() || !cluster->second.blocks.contains(blockNumber)) {
        return named("no longer local, though the server holds it, is block", blockNumber);
      }
    }
  }
  return {};
}

std::string SessionOracle::wrongCluster(std::uint64_t number,
                                        const SessionContent::ClusterContent& cluster) const {
  const auto sent = server_.find(number);
  const ClusterTags none;
  const ClusterTags& held = sent == server_.end() ? none : sent->second;
  if (!cluster.dirty && cluster.blocks != held) {
    return named("the server does not hold what is there, and yet clean is cluster", number);
  }
  return {};
}

}  // namespace netcow::test
