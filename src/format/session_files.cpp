// SPDX-License-Identifier: Apache-2.0
#include "format/session_files.h"

#include <algorithm>

namespace netcow {
namespace {

template <std::size_t N>
bool terminated(const char (&text)[N]) {
  return std::find(text, text + N, '\0') != text + N;
}

}  // namespace

MetaLayout MetaLayout::forMaxImageSize(std::uint64_t maxImageSize) {
  constexpr std::uint64_t kPageSize = 4096;
  MetaLayout layout{};
  layout.startL1 = kStartL1;
  layout.tables = tableCountFor(maxImageSize);
  const std::uint64_t endOfL1 = kStartL1 + layout.tables * sizeof(TableIndex);
  layout.startL2 = static_cast<std::uint32_t>(roundUp(endOfL1, kTableBytes));
  layout.metaSize = roundUp(layout.startL2 + layout.tables * kTableBytes, kPageSize);
  return layout;
}

namespace {

/// What makes everything behind it meaningless; empty if nothing does.
std::string whyForeign(const MetaHeader& header) {
  if (header.magic == swapBytes(kMetaMagic)) {
    return "was written on a machine with the other byte order (wrong endianness)";
  }
  if (header.magic != kMetaMagic) {
    return "does not begin with the magic number of a session";
  }
  if (header.version != kSessionVersion) {
    return "has version " + std::to_string(header.version) + ", only " +
           std::to_string(kSessionVersion) + " is known";
  }
  return {};
}

std::string whyMisplaced(const MetaHeader& header, std::uint64_t fileSize) {
  const std::uint64_t tables = tableCountFor(header.maxImageSize);
  const std::uint64_t endOfL1 = header.startL1 + tables * sizeof(TableIndex);
  if (header.startL1 < sizeof(MetaHeader) || endOfL1 > header.startL2 || header.metaSize < 0 ||
      header.startL2 + tables * kTableBytes > static_cast<std::uint64_t>(header.metaSize)) {
    return "has tables that overlap or lie outside the file";
  }
  if (fileSize < static_cast<std::uint64_t>(header.metaSize)) {
    return "is truncated: " + std::to_string(fileSize) + " of " + std::to_string(header.metaSize) +
           " bytes";
  }
  return {};
}

}  // namespace

std::vector<HeaderProblem> headerProblems(const MetaHeader& header, std::uint64_t fileSize) {
  std::vector<HeaderProblem> problems;
  const auto found = [&problems](std::string text) { problems.push_back({std::move(text)}); };
  if (std::string why = whyForeign(header); !why.empty()) {
    found(std::move(why));
    return problems;
  }
  if (header.blockSize != 0 && header.blockSize != static_cast<std::int32_t>(kBlockSize)) {
    found("has blocks of " + std::to_string(header.blockSize) + " bytes instead of 4096");
  }
  if (header.bitfieldSize != kBitfieldSize) {
    found("has bitfields of " + std::to_string(header.bitfieldSize) + " bytes instead of 40");
  }
  if (header.maxImageSize == 0 || header.maxImageSize > kLargestImageSize) {
    found("allows images of " + std::to_string(header.maxImageSize) + " bytes, out of range");
  } else if (std::string why = whyMisplaced(header, fileSize); !why.empty()) {
    found(std::move(why));
  }
  if (header.imageSize > header.maxImageSize) {
    found("has an image larger than its own maximum");
  }
  if (!terminated(header.uuid) || !terminated(header.imageName)) {
    found("has a name or uuid that does not end");
  }
  if (header.nextL2 < 0 ||
      static_cast<std::uint64_t>(header.nextL2) > tableCountFor(header.maxImageSize)) {
    problems.push_back({"hands out more tables than it has room for", true});
  }
  if (header.nextClusterOffset < static_cast<std::int64_t>(kFirstClusterOffset) ||
      static_cast<std::uint64_t>(header.nextClusterOffset) % kClusterSize != 0) {
    problems.push_back({"has a next cluster offset that no cluster can have", true});
  }
  return problems;
}

std::string whyUnusable(const MetaHeader& header, std::uint64_t fileSize) {
  const auto problems = headerProblems(header, fileSize);
  return problems.empty() ? std::string() : problems.front().text;
}

}  // namespace netcow
