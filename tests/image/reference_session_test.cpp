// SPDX-License-Identifier: Apache-2.0
// A session as the reference client leaves it, written here byte by byte as docs/formats/session.md
// says: it loads, is edited, and closed into a form that the reference client loads again, which a
// reader of its own in this test tells. Nothing here uses netcow's code for the format.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/unique_fd.h"
#include "base/whole_io.h"
#include "image/image.h"
#include "session/check.h"
#include "source/file_source.h"
#include "support/completion_result.h"
#include "support/plain_image.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kBlock = 4'096;
constexpr std::uint64_t kCluster = 1'310'720;
constexpr std::uint64_t kMetaBytes = 48'955'392;
constexpr std::uint64_t kL1 = 320;
constexpr std::uint64_t kL2 = 65'536;
constexpr std::uint64_t kImageSize = 1'400'000'000;
constexpr std::uint64_t kVisibleBase = 1'351'000'001;
constexpr std::uint64_t kBaseSize = 1'390'002'176;
const std::string kUuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f";  // 35 characters

/// Where tests read and write: the begin, round the border of the first table, and the end.
struct Region {
  std::uint64_t begin;
  std::uint64_t end;
};
constexpr Region kRegions[] = {
    {0, 3'002'368}, {1'340'002'304, 1'344'000'000}, {1'350'959'104, 1'351'100'000}};

/// A file as it is put together: little-endian, as the machines that tests run on.
class Bytes {
 public:
  explicit Bytes(std::uint64_t size) : bytes_(size, '\0') {}
  template <class T>
  void put(std::uint64_t offset, const T& value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof value);
  }
  void setBit(std::uint64_t offset, std::uint64_t bit) {
    char& byte = bytes_[offset + bit / 8];
    byte = static_cast<char>(static_cast<unsigned char>(byte) | (1U << (bit % 8)));
  }
  /// Pages of zeros become holes.
  void writeTo(const std::string& path) const {
    const UniqueFd file(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(bytes_.size())), 0);
    const std::string hole(kBlock, '\0');
    for (std::uint64_t at = 0; at < bytes_.size(); at += kBlock) {
      const auto page = std::string_view(bytes_).substr(at, kBlock);
      if (page != std::string_view(hole).substr(0, page.size())) {
        ASSERT_FALSE(pwriteAll(file.get(), std::as_bytes(std::span(page)), at));
      }
    }
  }

 private:
  std::string bytes_;
};

struct ReferenceCluster {
  std::uint64_t number;
  std::int64_t place;  ///< in clusters
  std::uint64_t firstBlock;
  std::uint64_t blocks;
  std::int64_t timeChanged;
  std::uint32_t uploads;
};
/// In the order of their first write, which is not that of their numbers.
constexpr ReferenceCluster kClusters[] = {{2, 1, 10, 3, 0, 4},
                                          {1'025, 2, 0, 320, 1'700'000'000, 0},
                                          {0, 3, 319, 1, 1'700'000'100, 1},
                                          {1'023, 4, 5, 6, 1'700'000'200, 0}};

std::byte localByte(std::uint64_t offset) {
  return static_cast<std::byte>(offset / 4'096 * 11 + offset % 251 + 3);
}

Bytes referenceHeader() {
  Bytes meta(kMetaBytes);
  meta.put(0, std::uint64_t{0xEBE44D6E72F7825E});
  meta.put(8, kImageSize);
  meta.put(16, std::int32_t{3});
  meta.put(20, std::int32_t{0});
  meta.put(24, kVisibleBase);
  meta.put(32, std::uint32_t{kL1});
  meta.put(36, std::uint32_t{kL2});
  meta.put(40, std::int32_t{40});
  meta.put(44, std::int32_t{2});
  meta.put(48, std::int64_t{kMetaBytes});
  meta.put(56, std::int64_t{5 * kCluster});
  meta.put(64, std::uint64_t{1'000'000'000'000});
  meta.put(72, std::uint64_t{1'600'000'000});
  for (std::size_t i = 0; i < kUuid.size(); ++i) {
    meta.put(80 + i, kUuid[i]);
  }
  meta.put(120, 'l');
  return meta;
}

void writeReferenceSession(const std::string& directory) {
  std::filesystem::create_directory(directory);
  Bytes meta = referenceHeader();
  // It ends behind the last local block.
  Bytes data(4 * kCluster + 11 * kBlock);
  for (std::uint64_t i = 0; i < 746; ++i) {
    meta.put(kL1 + i * 4, std::int32_t{i < 2 ? static_cast<std::int32_t>(i) : -1});
  }
  for (std::uint64_t i = 0; i < 2 * 1'024; ++i) {
    meta.put(kL2 + i * 64, std::int64_t{-1});
  }
  data.put(0, std::uint64_t{0xEBE44D6E72F7825F});
  for (const ReferenceCluster& cluster : kClusters) {
    const std::uint64_t entry = kL2 + cluster.number * 64;
    meta.put(entry, std::int64_t{cluster.place * static_cast<std::int64_t>(kCluster)});
    meta.put(entry + 8, cluster.timeChanged);
    meta.put(entry + 16, cluster.uploads);
    for (std::uint64_t n = cluster.firstBlock; n < cluster.firstBlock + cluster.blocks; ++n) {
      meta.setBit(entry + 24, n);
      for (std::uint64_t i = n * kBlock; i < (n + 1) * kBlock; ++i) {
        data.put(static_cast<std::uint64_t>(cluster.place) * kCluster + i,
                 localByte(cluster.number * kCluster + i));
      }
    }
  }
  meta.writeTo(directory + "/meta");
  data.writeTo(directory + "/data");
}

/// Reads a closed session as the reference client does.
class ReferenceReader {
 public:
  ReferenceReader(const std::string& directory, const std::string& base)
      : meta_(readTextFile(directory + "/meta")),
        data_(::open((directory + "/data").c_str(), O_RDONLY | O_CLOEXEC)),
        base_(::open(base.c_str(), O_RDONLY | O_CLOEXEC)),
        dataBytes_(std::filesystem::file_size(directory + "/data")) {}

  /// Why the reference's loader refuses it, or fails later; empty if it does not.
  std::string refusal() {
    if (meta_.size() < 320 || get<std::uint64_t>(0) != 0xEBE44D6E72F7825E) {
      return "magic";
    }
    if (get<std::int32_t>(16) != 3 || get<std::int32_t>(40) != 40) {
      return "version or bitfield size";
    }
    const auto metaSize = get<std::int64_t>(48);
    if (get<std::uint32_t>(32) >= get<std::uint32_t>(36) ||
        get<std::uint32_t>(36) >= static_cast<std::uint64_t>(metaSize) ||
        meta_.size() < static_cast<std::uint64_t>(metaSize)) {
      return "places in meta";
    }
    std::uint64_t magic = 0;
    EXPECT_FALSE(preadOrZeros(data_.get(), std::as_writable_bytes(std::span(&magic, 1)), 0));
    const auto next = get<std::int64_t>(56);
    if (magic != 0xEBE44D6E72F7825F || next < 0 ||
        static_cast<std::uint64_t>(next) > dataBytes_ + kCluster) {
      return "data";
    }
    return entriesRefusal(next);
  }

  std::string block(std::uint64_t number) {
    const std::uint64_t offset = number * kBlock;
    std::string content(kBlock, '\0');
    const auto bytes = std::as_writable_bytes(std::span(content));
    const std::uint64_t entry = entryOf(offset / kCluster);
    const std::uint64_t within = offset % kCluster / kBlock;
    if (entry != 0 &&
        ((static_cast<unsigned char>(meta_[entry + 24 + within / 8]) >> (within % 8)) & 1U) != 0) {
      EXPECT_FALSE(preadOrZeros(data_.get(), bytes, get<std::uint64_t>(entry) + within * kBlock));
      return content;
    }
    const auto visible = get<std::uint64_t>(24);
    if (offset < visible) {
      EXPECT_FALSE(
          preadOrZeros(base_.get(), bytes.first(std::min(kBlock, visible - offset)), offset));
    }
    return content;
  }

  template <class T>
  T get(std::uint64_t offset) const {
    T value;
    std::memcpy(&value, meta_.data() + offset, sizeof value);
    return value;
  }
  /// Where a cluster's entry lies; 0 where no table holds one.
  [[nodiscard]] std::uint64_t entryOf(std::uint64_t cluster) const {
    const auto table = get<std::int32_t>(get<std::uint32_t>(32) + cluster / 1'024 * 4);
    return table < 0 ? 0
                     : get<std::uint32_t>(36) + static_cast<std::uint64_t>(table) * 65'536 +
                           cluster % 1'024 * 64;
  }
  [[nodiscard]] std::string text(std::uint64_t offset) const { return meta_.data() + offset; }

 private:
  std::string entriesRefusal(std::int64_t next) {
    std::set<std::int64_t> places;
    std::set<std::int32_t> tables;
    const std::uint64_t l1Entries = (get<std::uint64_t>(64) + 1'342'177'279) / 1'342'177'280;
    for (std::uint64_t number = 0; number < l1Entries; ++number) {
      const auto table = get<std::int32_t>(kL1 + number * 4);
      if (table == -1) {
        continue;
      }
      if (table < 0 || table >= get<std::int32_t>(44) || !tables.insert(table).second) {
        return "table of L1 entry " + std::to_string(number);
      }
      for (std::uint64_t i = 0; i < 1'024; ++i) {
        const std::uint64_t entry = entryOf(number * 1'024 + i);
        const auto place = get<std::int64_t>(entry);
        if (place == -1) {
          continue;
        }
        if (place < static_cast<std::int64_t>(kCluster) ||
            place % static_cast<std::int64_t>(kCluster) != 0 || place >= next ||
            !places.insert(place).second) {
          return "place of cluster " + std::to_string(number * 1'024 + i);
        }
        for (std::uint64_t n = 0; n < 320; ++n) {
          if (((static_cast<unsigned char>(meta_[entry + 24 + n / 8]) >> (n % 8)) & 1U) != 0 &&
              static_cast<std::uint64_t>(place) + (n + 1) * kBlock > dataBytes_) {
            return "a local block behind the end of data";
          }
        }
      }
    }
    return static_cast<std::uint64_t>(next) - kCluster > dataBytes_ ? "data is too short" : "";
  }

  const std::string meta_;
  const UniqueFd data_;
  const UniqueFd base_;
  const std::uint64_t dataBytes_;
};

class ReferenceSession : public testing::Test {
 protected:
  ReferenceSession() {
    const UniqueFd base(::open(base_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(base.get(), kBaseSize), 0);
    for (const Region& region : kRegions) {
      std::vector<std::byte> content(region.end - region.begin);
      for (std::uint64_t i = 0; i < content.size(); ++i) {
        content[i] = patternByte(region.begin + i);
      }
      EXPECT_FALSE(pwriteAll(base.get(), content, region.begin));
      const std::uint64_t visible = std::min(region.end, kVisibleBase) - region.begin;
      model_.write(std::span(content).first(visible), region.begin);
    }
    writeReferenceSession(directory_);
    for (const ReferenceCluster& cluster : kClusters) {
      const std::uint64_t begin = cluster.number * kCluster + cluster.firstBlock * kBlock;
      auto bytes = model_.bytes(begin, cluster.blocks * kBlock);
      for (std::uint64_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = localByte(begin + i);
      }
    }
  }

  /// Compares what the reference client would read with the model.
  void verify() {
    ReferenceReader reader(directory_, base_);
    ASSERT_EQ(reader.refusal(), "");
    EXPECT_EQ(reader.get<std::uint64_t>(8), model_.size());
    for (const Region& region : kRegions) {
      for (std::uint64_t at = region.begin; at < region.end && !HasFailure(); at += kBlock) {
        if (at + kBlock <= model_.size()) {
          const auto expected = model_.bytes(at, kBlock);
          EXPECT_EQ(std::memcmp(reader.block(at / kBlock).data(), expected.data(), kBlock), 0)
              << "block " << at / kBlock;
        }
      }
    }
  }

  void edit(Image& image, SeededRandom& random) {
    const Region region = kRegions[random.between(0, std::size(kRegions) - 1)];
    const std::uint64_t offset = random.between(region.begin, region.end - 60'000);
    const std::uint64_t length = random.oneIn(2) ? random.between(1, 60'000) : 4'096;
    CompletionResult result;
    if (random.oneIn(8)) {
      image.zero(offset, length, true, result.completion());
      const std::uint64_t end = std::min(offset + length, model_.size());
      if (offset < end) {
        auto bytes = model_.bytes(offset, end - offset);
        std::fill(bytes.begin(), bytes.end(), std::byte{});
      }
    } else if (random.oneIn(30)) {
      const std::uint64_t size = random.between(1'345'000'000, 1'500'000'000);
      result.completion()(image.resize(size));
      model_.resize(size);
    } else {
      const auto content = random.bytes(length);
      image.write(content, offset, result.completion());
      model_.write(content, offset);
    }
    EXPECT_EQ(result.calls, 1);
    EXPECT_EQ(result.error, 0);
  }

  const TemporaryDirectory folder_;
  const std::string directory_ = folder_ / "session";
  const std::string base_ = folder_ / "l.r1";
  PlainImage model_{2'000'000'000, kImageSize};
};

TEST_F(ReferenceSession, IsSoundToNetcow) {
  EXPECT_TRUE(checkSession(*openFolder(directory_)).findings.empty());
  verify();
}

TEST_F(ReferenceSession, IsStillOneAfterNetcowHasOpenedAndClosedIt) {
  const auto session = Session::open(directory_);
  EXPECT_EQ(session->uploadUuid(), kUuid);
  EXPECT_EQ(session->imageName(), "l");
  EXPECT_EQ(session->recovery(), "");
  EXPECT_EQ(session->dirtyCounts(Clock::Time::max()).old, 3U);
  ASSERT_FALSE(session->close());
  verify();
}

TEST_F(ReferenceSession, IsStillOneAfterItWasEdited) {
  SeededRandom random;
  FileSource base(base_, {"l", 1});
  for (int life = 0; life < 6 && !HasFailure(); ++life) {
    auto session = Session::open(directory_);
    {
      Image image(base, session.get());
      for (int i = 0; i < 60 && !HasFailure(); ++i) {
        edit(image, random);
      }
    }
    if (random.oneIn(3)) {
      session.reset();  // killed: the next opener recovers it
      session = Session::open(directory_);
    }
    ASSERT_FALSE(session->close());
    session.reset();
    verify();
    EXPECT_TRUE(checkSession(*openFolder(directory_)).sound());
  }
  const ReferenceReader reader(directory_, base_);
  EXPECT_EQ(reader.text(80), kUuid);
  EXPECT_EQ(reader.text(120), "l");
  EXPECT_EQ(reader.get<std::uint32_t>(reader.entryOf(2) + 16), 4U);
  EXPECT_EQ(reader.get<std::int32_t>(20), 0);
}

/// `data` of the reference client ends behind its last local block. What is zeroed in the rest of
/// that cluster is a hole, and must not lie behind the end all the same.
TEST_F(ReferenceSession, KeepsBlocksInsideOfDataThatWereZeroedBehindItsEnd) {
  const auto session = Session::open(directory_);
  ASSERT_FALSE(session->zero(1'023 * kCluster + 300 * kBlock, 2 * kBlock));
  auto bytes = model_.bytes(1'023 * kCluster + 300 * kBlock, 2 * kBlock);
  std::fill(bytes.begin(), bytes.end(), std::byte{});
  ASSERT_FALSE(session->close());
  verify();
}

}  // namespace
}  // namespace netcow::test
