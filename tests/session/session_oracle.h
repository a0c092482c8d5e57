// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "session/session.h"
#include "session/simulated_disk.h"

// What a session may hold, whatever happened to it.
//
// Every sector that a test writes holds one number of its own, again and again (a tag; 0 is
// zeros), and so does every sector of the base; a sector that is torn, swapped or invented shows.
// The oracle is told of every call before and after it. Until a call has succeeded, its old and its
// new outcome are both allowed. Writes may be under way while others begin and end; of two that
// overlap in time either may come last.
//
// A block that is not local reads as the base or, behind validRemoteSize, as zeros. So what the
// oracle knows of blocks and of sizes together is what may be read of the image.
namespace netcow::test {

using Tag = std::uint64_t;
inline constexpr std::uint64_t kSectorsPerBlock = kBlockSize / kSectorSize;
using BlockTags = std::array<Tag, kSectorsPerBlock>;
using ClusterTags = std::map<std::uint64_t, BlockTags>;  ///< by number of the block in the image

/// A sector full of a tag.
std::array<std::byte, kSectorSize> sectorOf(Tag tag);
/// The tag of a sector that is that all over; kTorn for any other.
Tag tagOf(std::span<const std::byte> sector);
inline constexpr Tag kTorn = ~Tag{0};
/// What the base holds.
constexpr Tag baseTag(std::uint64_t sector) {
  return (Tag{1} << 60U) + sector;
}

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
  /// What a sector of the image reads as.
  [[nodiscard]] Tag read(std::uint64_t sector) const;
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

  // Told before a call; confirm...() after it when it succeeded, endWrite() when it did not.
  void beginWrite(std::uint64_t firstSector, std::uint64_t sectors, Tag firstTag);
  void confirmWrite(std::uint64_t firstSector, std::uint64_t sectors, Tag firstTag);
  void endWrite(std::uint64_t firstSector, std::uint64_t sectors, Tag firstTag);
  /// A discard of what lies inside the image.
  void beginDiscard(std::uint64_t firstSector, std::uint64_t sectors);
  void confirmDiscard(std::uint64_t firstSector, std::uint64_t sectors);
  /// A change of size from `before`. What a growing image gets anew reads as zeros.
  void beginSizes(std::uint64_t before, std::uint64_t imageSize, std::uint64_t validRemoteSize);
  void confirmSizes(std::uint64_t before, std::uint64_t imageSize, std::uint64_t validRemoteSize);
  /// A checkpoint succeeded that began when all that was confirmed by now was.
  void confirmCheckpoint();
  /// The server may hold this; told before the session hears of it.
  void uploaded(std::uint64_t cluster, const ClusterTags& blocks) { server_[cluster] = blocks; }

  /// Every block that was ever written or discarded.
  [[nodiscard]] std::vector<std::uint64_t> touchedBlocks() const;

  /// What is wrong with a session that was opened again; empty if nothing is.
  [[nodiscard]] std::string violation(const SessionContent& content, Rule rule) const;

 private:
  enum class Local { no, maybe, yes };
  /// What a sector may hold since a moment, counted up by every call.
  struct Value {
    Tag tag;
    std::uint64_t since;
  };
  /// The values a sector may have: now, and after a power cut.
  struct Sector {
    std::vector<Value> now;
    std::vector<Value> sinceCheckpoint;
  };
  struct Block {
    Local now = Local::no;
    Local atCheckpoint = Local::no;
    int writesUnderWay = 0;
    std::array<Sector, kSectorsPerBlock> sectors;
  };
  struct Sizes {
    std::uint64_t image;
    std::uint64_t validRemote;
    std::uint64_t since;
  };
  /// An image that grew: a session that has a size from then on shows nothing older there.
  struct Growth {
    std::uint64_t begin;
    std::uint64_t end;
    std::uint64_t zeroedSince;
    std::uint64_t since;
  };

  void allow(std::uint64_t sector, Tag tag);
  void settle(std::uint64_t sector, Tag tag);
  /// A block may become local by a change of some of its sectors: the others get what is below.
  void fill(std::uint64_t block, std::uint64_t firstSector, std::uint64_t endSector);
  void zero(std::uint64_t firstSector, std::uint64_t endSector);
  void confirmZero(std::uint64_t firstSector, std::uint64_t endSector);
  /// Whether sizes let the base show in a block.
  static auto inBase(std::uint64_t block);
  [[nodiscard]] std::uint64_t sizesSince(const SessionContent& content, Rule rule) const;
  [[nodiscard]] std::string wrongBlock(std::uint64_t number, const BlockTags& tags,
                                       const SessionContent& content, Rule rule) const;
  [[nodiscard]] bool isAllowed(std::uint64_t sector, const Sector& known, Tag tag,
                               const SessionContent& content, Rule rule) const;
  [[nodiscard]] std::string missingBlock(const SessionContent& content, Rule rule) const;
  [[nodiscard]] std::string forgottenBlock(const SessionContent& content) const;
  [[nodiscard]] std::string wrongCluster(std::uint64_t number, const SessionContent& content) const;

  std::uint64_t moment_ = 0;
  std::map<std::uint64_t, Block> blocks_;
  std::set<Tag> underWay_;              ///< of sectors whose write has not ended
  std::map<Tag, std::uint64_t> ended_;  ///< when it had
  std::vector<Sizes> sizesNow_;
  std::vector<Sizes> sizesSinceCheckpoint_;
  std::vector<Growth> growths_;
  std::map<std::uint64_t, ClusterTags> server_;
};

}  // namespace netcow::test
