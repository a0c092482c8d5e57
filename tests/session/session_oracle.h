// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "session/session.h"
#include "session/simulated_disk.h"

// What a session may hold, whatever happened to it.
//
// Every sector that a test writes holds one number of its own, again and again (a tag; 0 is
// zeros), so a sector that is torn, swapped or invented shows. The oracle is told of every call
// before and after it. Until a call has succeeded, its old and its new outcome are both allowed.
namespace netcow::test {

using Tag = std::uint64_t;
inline constexpr std::uint64_t kSectorsPerBlock = kBlockSize / kSectorSize;
using BlockTags = std::array<Tag, kSectorsPerBlock>;
using ClusterTags = std::map<std::uint64_t, BlockTags>;  ///< by number of the block in the image

/// A sector full of a tag.
std::array<std::byte, kSectorSize> sectorOf(Tag tag);

/// What an open session says of itself.
struct SessionContent {
  struct ClusterContent {
    std::uint64_t dataOffset = 0;
    bool dirty = false;
    ClusterTags blocks;
    bool operator==(const ClusterContent&) const = default;
  };
  std::uint64_t imageSize = 0;
  std::uint64_t validRemoteSize = 0;
  std::map<std::uint64_t, ClusterContent> clusters;
  std::string unreadable;  ///< what could not be read or is no tag; empty if all is well

  static SessionContent of(const Session& session);
  bool operator==(const SessionContent&) const = default;
};

class SessionOracle {
 public:
  /// What the moment of the crash demands.
  enum class Rule {
    killed,    ///< everything acknowledged is there, exactly
    powerCut,  ///< everything the last checkpoint covered, or newer
  };

  /// Forgets all, and takes a session as it is for both acknowledged and durable.
  void adopt(const SessionContent& content);

  // Told before a call; confirm...() after it when it succeeded.
  void beginWrite(std::uint64_t firstSector, std::uint64_t sectors, Tag firstTag);
  void confirmWrite(std::uint64_t firstSector, std::uint64_t sectors, Tag firstTag);
  void beginZero(std::uint64_t firstSector, std::uint64_t sectors);
  void confirmZero(std::uint64_t firstSector, std::uint64_t sectors);
  void beginSizes(std::uint64_t imageSize, std::uint64_t validRemoteSize);
  void confirmSizes(std::uint64_t imageSize, std::uint64_t validRemoteSize);
  /// A checkpoint succeeded that began when nothing was under way.
  void confirmCheckpoint();
  /// The server holds this; told before the session hears of it.
  void uploaded(std::uint64_t cluster, const ClusterTags& blocks) { server_[cluster] = blocks; }

  /// Whether a block is local for sure.
  [[nodiscard]] bool isLocal(std::uint64_t block) const;
  [[nodiscard]] std::vector<std::uint64_t> localBlocks() const;

  /// What is wrong with a session that was opened again; empty if nothing is.
  [[nodiscard]] std::string violation(const SessionContent& content, Rule rule) const;

 private:
  enum class Local { no, maybe, yes };
  /// The values a sector may have: now, and after a power cut.
  struct Sector {
    std::vector<Tag> now;
    std::vector<Tag> sinceCheckpoint;
  };
  struct Block {
    Local now = Local::no;
    Local atCheckpoint = Local::no;
    std::array<Sector, kSectorsPerBlock> sectors;
  };
  using Sizes = std::pair<std::uint64_t, std::uint64_t>;

  Sector& sector(std::uint64_t number);
  [[nodiscard]] std::string wrongBlock(std::uint64_t number, const BlockTags& tags,
                                       Rule rule) const;
  [[nodiscard]] std::string missingBlock(const SessionContent& content, Rule rule) const;
  [[nodiscard]] std::string forgottenBlock(const SessionContent& content) const;
  [[nodiscard]] std::string wrongCluster(std::uint64_t number,
                                         const SessionContent::ClusterContent& cluster) const;

  std::map<std::uint64_t, Block> blocks_;
  std::vector<Sizes> sizesNow_;
  std::vector<Sizes> sizesSinceCheckpoint_;
  std::map<std::uint64_t, ClusterTags> server_;
};

}  // namespace netcow::test
