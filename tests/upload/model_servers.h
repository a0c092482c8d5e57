// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "format/cluster_bits.h"
#include "format/geometry.h"

namespace netcow::test {

/// What two servers make of the same updates: one like the reference server, which keeps the union
/// of all bits it was sent and places bodies by it, and one like netcow's, where the newest update
/// of a cluster replaces the one before.
class ModelServers {
 public:
  enum class Kind { reference, netcow };

  /// Takes the body of an update.
  void take(std::uint64_t cluster, std::string_view body) {
    ClusterBits bits;
    body.copy(reinterpret_cast<char*>(bits.bytes.data()), bits.bytes.size());
    const std::string_view blocks = body.substr(bits.bytes.size());
    Held& newest = netcow_[cluster];
    newest = {};
    place(newest, bits, blocks);
    Held& all = reference_[cluster];
    for (std::size_t i = 0; i < bits.bytes.size(); ++i) {
      bits.bytes[i] |= all.bits.bytes[i];
    }
    place(all, bits, blocks);
  }

  /// The content of a block of the image that was sent; null if none counts. `misplaced` is set if
  /// a body had not as many blocks as the reference server expects.
  [[nodiscard]] const std::string* find(Kind kind, std::uint64_t block) const {
    const auto& clusters = kind == Kind::reference ? reference_ : netcow_;
    const auto cluster = clusters.find(block / kBlocksPerCluster);
    if (cluster == clusters.end()) {
      return nullptr;
    }
    const auto content = cluster->second.blocks.find(block % kBlocksPerCluster);
    return content == cluster->second.blocks.end() ? nullptr : &content->second;
  }
  [[nodiscard]] bool misplaced() const { return misplaced_; }
  [[nodiscard]] bool holds(std::uint64_t cluster) const { return netcow_.contains(cluster); }

 private:
  struct Held {
    ClusterBits bits;
    std::map<std::uint64_t, std::string> blocks;
  };
  void place(Held& held, const ClusterBits& bits, std::string_view blocks) {
    misplaced_ = misplaced_ || blocks.size() != bits.count() * kBlockSize;
    held.bits = bits;
    for (std::uint64_t block = bits.findNext(0, true); block < kBlocksPerCluster && !blocks.empty();
         block = bits.findNext(block + 1, true)) {
      held.blocks[block] = blocks.substr(0, kBlockSize);
      blocks.remove_prefix(std::min<std::size_t>(kBlockSize, blocks.size()));
    }
  }

  std::map<std::uint64_t, Held> reference_;
  std::map<std::uint64_t, Held> netcow_;
  bool misplaced_ = false;
};

}  // namespace netcow::test
