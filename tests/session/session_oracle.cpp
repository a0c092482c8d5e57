// SPDX-License-Identifier: Apache-2.0
#include "session/session_oracle.h"

#include <algorithm>
#include <cstring>

namespace netcow::test {
namespace {

std::string named(const char* what, std::uint64_t number) {
  return what + (" " + std::to_string(number));
}

/// What a sector reads as that is not local.
Tag below(std::uint64_t sector, std::uint64_t validRemoteSize) {
  return sector * kSectorSize < validRemoteSize ? baseTag(sector) : 0;
}

}  // namespace

std::array<std::byte, kSectorSize> sectorOf(Tag tag) {
  std::array<std::byte, kSectorSize> bytes;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof tag) {
    std::memcpy(bytes.data() + at, &tag, sizeof tag);
  }
  return bytes;
}

Tag tagOf(std::span<const std::byte> sector) {
  Tag tag = 0;
  std::memcpy(&tag, sector.data(), sizeof tag);
  // All words are the same if each is the same as the next.
  const bool uniform =
      std::memcmp(sector.data(), sector.data() + sizeof tag, sector.size() - sizeof tag) == 0;
  return uniform ? tag : kTorn;
}

// --- what a session says --------------------------------------------------------------------

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
        const Tag tag = tagOf(std::span(bytes).subspan(s * kSectorSize, kSectorSize));
        if (tag == kTorn) {
          content.unreadable = named("sector", number * kSectorsPerBlock + s) + " is torn";
        }
        cluster.blocks[number][s] = tag;
      }
    }
  });
  return content;
}

Tag SessionContent::read(std::uint64_t sector) const {
  if (sector * kSectorSize >= imageSize) {
    return 0;
  }
  const std::uint64_t block = sector / kSectorsPerBlock;
  if (const auto cluster = clusters.find(block / kBlocksPerCluster); cluster != clusters.end()) {
    const auto local = cluster->second.blocks.find(block);
    if (local != cluster->second.blocks.end()) {
      return local->second[sector % kSectorsPerBlock];
    }
  }
  return below(sector, validRemoteSize);
}

// --- what may be ----------------------------------------------------------------------------

void SessionOracle::adopt(const SessionContent& content) {
  blocks_.clear();
  underWay_.clear();
  ended_.clear();
  growths_.clear();
  ++moment_;
  for (const auto& [number, cluster] : content.clusters) {
    for (const auto& [blockNumber, tags] : cluster.blocks) {
      Block& block = blocks_[blockNumber];
      block.now = Local::yes;
      for (std::size_t s = 0; s < kSectorsPerBlock; ++s) {
        block.sectors[s].now = {{tags[s], moment_}};
      }
    }
  }
  sizesNow_ = {{content.imageSize, content.validRemoteSize, moment_}};
  confirmCheckpoint();
}

void SessionOracle::allow(std::uint64_t sector, Tag tag) {
  Sector& known = blocks_[sector / kSectorsPerBlock].sectors[sector % kSectorsPerBlock];
  known.now.push_back({tag, moment_});
  known.sinceCheckpoint.push_back({tag, moment_});
}

/// The newest write of a tag has succeeded: what had ended when it began is gone.
void SessionOracle::settle(std::uint64_t sector, Tag tag) {
  auto& now = blocks_[sector / kSectorsPerBlock].sectors[sector % kSectorsPerBlock].now;
  const std::uint64_t begun = std::find_if(now.rbegin(), now.rend(), [tag](const Value& value) {
                                return value.tag == tag;
                              })->since;
  std::erase_if(now, [&](const Value& value) {
    const auto ended = ended_.find(value.tag);
    const std::uint64_t end = ended == ended_.end() ? value.since : ended->second;
    return end < begun && !underWay_.contains(value.tag);
  });
}

auto SessionOracle::inBase(std::uint64_t block) {
  return [block](const Sizes& sizes) { return block * kBlockSize < sizes.validRemote; };
}

void SessionOracle::fill(std::uint64_t number, std::uint64_t firstSector, std::uint64_t endSector) {
  Block& block = blocks_[number];
  // Another write's fill has its result already among what is allowed.
  if (block.now != Local::yes && block.writesUnderWay == 0) {
    for (std::uint64_t s = 0; s < kSectorsPerBlock; ++s) {
      const std::uint64_t sector = number * kSectorsPerBlock + s;
      if (sector >= firstSector && sector < endSector) {
        continue;
      }
      for (const Sizes& sizes : sizesNow_) {
        allow(sector, below(sector, sizes.validRemote));
      }
    }
  }
  block.now = block.now == Local::no ? Local::maybe : block.now;
}

void SessionOracle::beginWrite(std::uint64_t firstSector, std::uint64_t sectors, Tag firstTag) {
  ++moment_;
  const std::uint64_t end = firstSector + sectors;
  const std::uint64_t lastBlock = (end - 1) / kSectorsPerBlock;
  for (std::uint64_t block = firstSector / kSectorsPerBlock; block <= lastBlock; ++block) {
    fill(block, firstSector, end);
    ++blocks_[block].writesUnderWay;
  }
  for (std::uint64_t i = 0; i < sectors; ++i) {
    allow(firstSector + i, firstTag + i);
    underWay_.insert(firstTag + i);
  }
}

void SessionOracle::endWrite(std::uint64_t firstSector, std::uint64_t sectors, Tag firstTag) {
  const std::uint64_t lastBlock = (firstSector + sectors - 1) / kSectorsPerBlock;
  for (std::uint64_t block = firstSector / kSectorsPerBlock; block <= lastBlock; ++block) {
    --blocks_[block].writesUnderWay;
  }
  ++moment_;
  for (std::uint64_t i = 0; i < sectors; ++i) {
    underWay_.erase(firstTag + i);
    ended_[firstTag + i] = moment_;
  }
}

void SessionOracle::confirmWrite(std::uint64_t firstSector, std::uint64_t sectors, Tag firstTag) {
  endWrite(firstSector, sectors, firstTag);
  for (std::uint64_t i = 0; i < sectors; ++i) {
    blocks_[(firstSector + i) / kSectorsPerBlock].now = Local::yes;
    settle(firstSector + i, firstTag + i);
  }
}

void SessionOracle::beginDiscard(std::uint64_t firstSector, std::uint64_t sectors) {
  ++moment_;
  const std::uint64_t end = firstSector + sectors;
  const std::uint64_t endBlock = divideRoundingUp(end, kSectorsPerBlock);
  for (std::uint64_t block = firstSector / kSectorsPerBlock; block < endBlock; ++block) {
    if (std::any_of(sizesNow_.begin(), sizesNow_.end(), inBase(block))) {
      fill(block, firstSector, end);
    }
  }
  zero(firstSector, end);
}

void SessionOracle::confirmDiscard(std::uint64_t firstSector, std::uint64_t sectors) {
  const std::uint64_t end = firstSector + sectors;
  const std::uint64_t endBlock = divideRoundingUp(end, kSectorsPerBlock);
  for (std::uint64_t block = firstSector / kSectorsPerBlock; block < endBlock; ++block) {
    if (std::all_of(sizesNow_.begin(), sizesNow_.end(), inBase(block))) {
      blocks_[block].now = Local::yes;
    }
  }
  confirmZero(firstSector, end);
}

void SessionOracle::beginSizes(std::uint64_t before, std::uint64_t imageSize,
                               std::uint64_t validRemoteSize) {
  const std::uint64_t zeroedSince = ++moment_;
  ++moment_;
  if (imageSize > before) {
    zero(before / kSectorSize, imageSize / kSectorSize);
    growths_.push_back({before, imageSize, zeroedSince, moment_});
  }
  sizesNow_.push_back({imageSize, validRemoteSize, moment_});
  sizesSinceCheckpoint_.push_back({imageSize, validRemoteSize, moment_});
}

void SessionOracle::zero(std::uint64_t firstSector, std::uint64_t endSector) {
  for (auto& [number, block] : blocks_) {
    for (std::uint64_t s = 0; s < kSectorsPerBlock; ++s) {
      const std::uint64_t at = number * kSectorsPerBlock + s;
      if (block.now != Local::no && at >= firstSector && at < endSector) {
        allow(at, 0);
      }
    }
  }
}

void SessionOracle::confirmZero(std::uint64_t firstSector, std::uint64_t endSector) {
  for (auto& [number, block] : blocks_) {
    for (std::uint64_t s = 0; s < kSectorsPerBlock; ++s) {
      const std::uint64_t at = number * kSectorsPerBlock + s;
      const auto& now = block.sectors[s].now;
      const bool zeroed =
          std::any_of(now.begin(), now.end(), [](const Value& value) { return value.tag == 0; });
      if (at >= firstSector && at < endSector && zeroed) {
        settle(at, 0);
      }
    }
  }
}

void SessionOracle::confirmSizes(std::uint64_t before, std::uint64_t imageSize,
                                 std::uint64_t validRemoteSize) {
  confirmZero(before / kSectorSize, imageSize / kSectorSize);
  sizesNow_ = {{imageSize, validRemoteSize, sizesNow_.back().since}};
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

std::vector<std::uint64_t> SessionOracle::touchedBlocks() const {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, block] : blocks_) {
    numbers.push_back(number);
  }
  return numbers;
}

// --- what is --------------------------------------------------------------------------------

std::string SessionOracle::violation(const SessionContent& content, Rule rule) const {
  if (!content.unreadable.empty()) {
    return content.unreadable;
  }
  if (sizesSince(content, rule) == 0) {
    return named("the image has a size it never had:", content.imageSize);
  }
  std::set<std::uint64_t> places;
  for (const auto& [number, cluster] : content.clusters) {
    if (!places.insert(cluster.dataOffset).second) {
      return named("two clusters lie at", cluster.dataOffset);
    }
    for (const auto& [blockNumber, tags] : cluster.blocks) {
      if (auto wrong = wrongBlock(blockNumber, tags, content, rule); !wrong.empty()) {
        return wrong;
      }
    }
    if (auto wrong = wrongCluster(number, content); !wrong.empty()) {
      return wrong;
    }
  }
  const std::string missing = missingBlock(content, rule);
  return missing.empty() ? forgottenBlock(content) : missing;
}

/// Since when the session may have had these sizes; 0 if it never did.
std::uint64_t SessionOracle::sizesSince(const SessionContent& content, Rule rule) const {
  for (const Sizes& sizes : rule == Rule::killed ? sizesNow_ : sizesSinceCheckpoint_) {
    if (sizes.image == content.imageSize && sizes.validRemote == content.validRemoteSize) {
      return sizes.since;
    }
  }
  return 0;
}

std::string SessionOracle::wrongBlock(std::uint64_t number, const BlockTags& tags,
                                      const SessionContent& content, Rule rule) const {
  const auto found = blocks_.find(number);
  if (found == blocks_.end() || found->second.now == Local::no) {
    return named("nobody wrote block", number);
  }
  for (std::size_t s = 0; s < kSectorsPerBlock; ++s) {
    const std::uint64_t sector = number * kSectorsPerBlock + s;
    if (!isAllowed(sector, found->second.sectors[s], tags[s], content, rule)) {
      return named("sector", sector) + named(" holds what it may not:", tags[s]);
    }
  }
  return {};
}

bool SessionOracle::isAllowed(std::uint64_t sector, const Sector& known, Tag tag,
                              const SessionContent& content, Rule rule) const {
  const std::uint64_t offset = sector * kSectorSize;
  if (tag == 0 && offset >= content.imageSize) {
    return true;  // space behind the end may be given back at any time
  }
  std::uint64_t notBefore = 0;
  const std::uint64_t sizesFrom = sizesSince(content, rule);
  for (const Growth& growth : growths_) {
    if (offset < content.imageSize && offset >= growth.begin && offset < growth.end &&
        sizesFrom >= growth.since) {
      notBefore = std::max(notBefore, growth.zeroedSince);
    }
  }
  const auto& allowed = rule == Rule::killed ? known.now : known.sinceCheckpoint;
  return std::any_of(allowed.begin(), allowed.end(), [&](const Value& value) {
    return value.tag == tag && value.since >= notBefore;
  });
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

/// What lies behind the end is cut off when the server merges.
std::string SessionOracle::wrongCluster(std::uint64_t number, const SessionContent& content) const {
  const auto& cluster = content.clusters.at(number);
  if (cluster.dirty) {
    return {};
  }
  const auto sent = server_.find(number);
  for (const auto& [block, tags] : cluster.blocks) {
    for (std::uint64_t s = 0; s < kSectorsPerBlock; ++s) {
      if ((block * kSectorsPerBlock + s) * kSectorSize >= content.imageSize) {
        break;
      }
      const bool held = sent != server_.end() && sent->second.contains(block);
      if (!held || sent->second.at(block)[s] != tags[s]) {
        return named("the server does not hold what is there, and yet clean is cluster", number);
      }
    }
  }
  return {};
}

}  // namespace netcow::test
