// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/byte_order.h"
#include "format/cluster_bits.h"
#include "format/geometry.h"

// The bytes of a session directory, version 3, as the dnbd3 ecosystem writes them. All integers
// are little-endian, sizes and offsets are bytes. docs/formats/session.md describes the files.
namespace netcow {

inline constexpr std::uint64_t kMetaMagic = 0xEBE44D6E72F7825E;
inline constexpr std::uint64_t kDataMagic = 0xEBE44D6E72F7825F;
inline constexpr std::int32_t kSessionVersion = 3;
inline constexpr std::int32_t kBitfieldSize = 40;
inline constexpr std::size_t kUploadUuidLength = 36;
/// Where L1 begins in `meta`, and L2 in a session whose L1 fits before it.
inline constexpr std::uint32_t kStartL1 = 320;
/// The first cluster's place in `data`; the magic is all that lies before it.
inline constexpr std::uint64_t kFirstClusterOffset = kClusterSize;

/// `meta` begins with this.
struct MetaHeader {
  LittleEndian<std::uint64_t> magic;
  LittleEndian<std::uint64_t> imageSize;  ///< as the user sees it
  LittleEndian<std::int32_t> version;
  LittleEndian<std::int32_t> blockSize;         ///< the reference leaves 0
  LittleEndian<std::uint64_t> validRemoteSize;  ///< bytes of the base still visible
  LittleEndian<std::uint32_t> startL1;
  LittleEndian<std::uint32_t> startL2;
  LittleEndian<std::int32_t> bitfieldSize;
  LittleEndian<std::int32_t> nextL2;  ///< L2 tables handed out
  LittleEndian<std::int64_t> metaSize;
  LittleEndian<std::int64_t> nextClusterOffset;  ///< where in `data` the next new cluster goes
  LittleEndian<std::uint64_t> maxImageSize;
  LittleEndian<std::uint64_t> creationTime;  ///< unix seconds
  char uuid[40] = {};                        ///< upload session, NUL-terminated
  char imageName[200] = {};                  ///< NUL-terminated
};
static_assert(sizeof(MetaHeader) == 320 && alignof(MetaHeader) == 1);
static_assert(offsetof(MetaHeader, magic) == 0 && offsetof(MetaHeader, imageSize) == 8);
static_assert(offsetof(MetaHeader, version) == 16 && offsetof(MetaHeader, blockSize) == 20);
static_assert(offsetof(MetaHeader, validRemoteSize) == 24 && offsetof(MetaHeader, startL1) == 32);
static_assert(offsetof(MetaHeader, startL2) == 36 && offsetof(MetaHeader, bitfieldSize) == 40);
static_assert(offsetof(MetaHeader, nextL2) == 44 && offsetof(MetaHeader, metaSize) == 48);
static_assert(offsetof(MetaHeader, nextClusterOffset) == 56);
static_assert(offsetof(MetaHeader, maxImageSize) == 64);
static_assert(offsetof(MetaHeader, creationTime) == 72 && offsetof(MetaHeader, uuid) == 80);
static_assert(offsetof(MetaHeader, imageName) == 120);

/// An L1 entry: the index of an L2 table, or kNoTable.
using TableIndex = LittleEndian<std::int32_t>;
inline constexpr std::int32_t kNoTable = -1;
static_assert(sizeof(TableIndex) == 4);

/// An L2 table is kClustersPerTable of these.
struct ClusterEntry {
  LittleEndian<std::int64_t> dataOffset;  ///< of the cluster in `data`, or kNotAllocated
  LittleEndian<std::int64_t>
      timeChanged;  ///< unix seconds of the last change not yet uploaded, 0 = clean
  LittleEndian<std::uint32_t> uploads;  ///< successful so far
  LittleEndian<std::uint32_t> fails;    ///< failed in a row
  ClusterBits bits;                     ///< which blocks are local
};
inline constexpr std::int64_t kNotAllocated = -1;
static_assert(sizeof(ClusterEntry) == 64 && alignof(ClusterEntry) == 1);
static_assert(offsetof(ClusterEntry, dataOffset) == 0 && offsetof(ClusterEntry, timeChanged) == 8);
static_assert(offsetof(ClusterEntry, uploads) == 16 && offsetof(ClusterEntry, fails) == 20);
static_assert(offsetof(ClusterEntry, bits) == 24);

inline constexpr std::uint64_t kTableBytes = kClustersPerTable * sizeof(ClusterEntry);
static_assert(kTableBytes == 65'536);

/// Where the parts of a `meta` lie that may describe `maxImageSize` bytes.
struct MetaLayout {
  std::uint32_t startL1;
  std::uint32_t startL2;  ///< the first multiple of kTableBytes behind L1
  std::uint64_t tables;   ///< L1 entries
  std::uint64_t metaSize;

  static MetaLayout forMaxImageSize(std::uint64_t maxImageSize);
};

/// Something wrong with a header, as a part of a sentence ("has version 2, only 3 is known").
struct HeaderProblem {
  std::string text;
  /// A counter that makes no sense: the tables, which can be read all the same, tell a better one.
  bool counter = false;
};
/// All that is wrong with the header of a `meta` of `fileSize` bytes; nothing behind a wrong magic
/// number or version.
std::vector<HeaderProblem> headerProblems(const MetaHeader& header, std::uint64_t fileSize);
/// The first of them; empty if there is none.
std::string whyUnusable(const MetaHeader& header, std::uint64_t fileSize);

}  // namespace netcow
