// SPDX-License-Identifier: Apache-2.0
#include "fuzz/held_content.h"

#include <array>
#include <functional>
#include <string_view>

#include "fuzz/fuzz_input.h"

namespace netcow::test {

HeldContent HeldContent::of(const Session& session) {
  HeldContent held{session.imageSize(), session.validRemoteSize(), {}};
  std::array<char, kBlockSize> bytes;
  session.forEachCluster([&](const ClusterInfo& info) {
    Entry& entry = held.clusters[info.cluster];
    entry.place = info.dataOffset;
    entry.bits = info.bits;
    std::uint64_t begin = info.bits.findNext(0, true);
    while (begin < kBlocksPerCluster) {
      const std::uint64_t end = info.bits.findNext(begin, false);
      for (const std::uint64_t block : {begin, end - 1}) {
        demand(!session.readBlocks(info.cluster, block, std::as_writable_bytes(std::span(bytes))),
               "a local block can be read");
        entry.content =
            entry.content * 31 + std::hash<std::string_view>()({bytes.data(), bytes.size()});
      }
      begin = info.bits.findNext(end, true);
    }
  });
  return held;
}

}  // namespace netcow::test
