// SPDX-License-Identifier: Apache-2.0
// A real mount against a plain buffer: random reads, writes and truncates at odd offsets, with a
// base that answers late and out of order, unmounted and loaded again in between.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/unique_fd.h"
#include "format/geometry.h"
#include "support/plain_image.h"
#include "support/scripted_dnbd3_server.h"
#include "support/seeded_random.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kBaseSize = kTableSpan + 3 * kClusterSize + 2 * kBlockSize;
/// Where things can go wrong: the borders of clusters and tables, and the end.
constexpr std::array kFocus = {std::uint64_t{0},          kClusterSize,
                               kTableSpan - kClusterSize, kTableSpan,
                               kTableSpan + kClusterSize, kBaseSize};
/// Everything happens this near to one of them.
constexpr std::uint64_t kSurroundings = 128 * 1024;

/// Calls use(begin, end) for the surroundings of each focus, cut at `size`.
template <class Use>
void forEachFocus(std::uint64_t size, Use use) {
  for (const std::uint64_t center : kFocus) {
    const std::uint64_t begin = center > kSurroundings ? center - kSurroundings : 0;
    use(std::min(size, begin), std::min(size, center + kSurroundings));
  }
}

/// A sparse file with the pattern round each focus.
void writeBase(const std::string& path, std::uint64_t size) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  forEachFocus(size, [&fd](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::byte> pattern(end - begin);
    for (std::uint64_t i = begin; i < end; ++i) {
      pattern[i - begin] = patternByte(i);
    }
    ASSERT_EQ(::pwrite(fd.get(), pattern.data(), pattern.size(), static_cast<off_t>(begin)),
              static_cast<ssize_t>(pattern.size()));
  });
}

/// O_DIRECT wants its memory aligned.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(std::size_t size)
      : memory_(static_cast<std::byte*>(std::aligned_alloc(4096, roundUp(size + 1, 4096)))),
        size_(size) {}
  ~AlignedBuffer() { std::free(memory_); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  [[nodiscard]] std::span<std::byte> bytes() { return {memory_, size_}; }

 private:
  std::byte* memory_;
  std::size_t size_;
};

class MountModel {
 public:
  MountModel(const Arguments& source, std::uint64_t baseSize, SeededRandom& random)
      : random_(random), source_(source), model_(4 * kTableSpan, baseSize) {
    forEachFocus(baseSize, [this](std::uint64_t begin, std::uint64_t end) {
      for (std::uint64_t i = begin; i < end; ++i) {
        model_.bytes(i, 1)[0] = patternByte(i);
      }
    });
    mount({"-c", session_});
  }

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFatalFailure(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      const std::uint64_t choice = random_.between(0, 99);
      if (choice < 45) {
        write();
      } else if (choice < 90) {
        read();
      } else if (choice < 98) {
        truncate();
      } else if (random_.oneIn(20)) {
        remount();
      } else {
        zeroLength();
      }
    }
    checkAll();
  }

 private:
  void mount(const Arguments& session) {
    Arguments all = source_;
    all.insert(all.end(), session.begin(), session.end());
    mount_ = std::make_unique<RunningMount>(temporary_ / "mnt", all);
    ASSERT_TRUE(mount_->mounted()) << mount_->process().output();
    open();
  }
  void open() {
    cached_.reset(::open(mount_->image().c_str(), O_RDWR | O_CLOEXEC));
    direct_.reset(::open(mount_->image().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    ASSERT_TRUE(cached_ && direct_);
  }
  void remount() {
    cached_.reset();
    direct_.reset();
    const ProcessResult result = mount_->unmount();
    ASSERT_EQ(result.exitStatus, 0) << result.output;
    mount_.reset();  // its end would unmount what comes next
    mount({"-L", session_});
  }

  std::uint64_t someOffset() {
    const std::uint64_t center = kFocus[random_.between(0, kFocus.size() - 1)];
    const std::uint64_t spread = random_.oneIn(4) ? 16'000 : 5'000;
    return random_.between(center > spread ? center - spread : 0, center + spread);
  }
  std::uint64_t someLength() {
    return random_.oneIn(8) ? random_.between(1, 60'000) : random_.between(1, 5'000);
  }
  /// Half of the accesses go past the page cache, at sector borders.
  bool chooseDirect(std::uint64_t& offset, std::uint64_t& length) {
    constexpr std::uint64_t kSector = 512;
    if (random_.oneIn(2)) {
      return false;
    }
    offset = roundDown(offset, kSector);
    length = roundUp(length, kSector);
    return true;
  }

  void write() {
    std::uint64_t offset = someOffset();
    std::uint64_t length = someLength();
    const bool direct = chooseDirect(offset, length);
    AlignedBuffer buffer(length);
    const auto content = random_.bytes(length);
    std::copy(content.begin(), content.end(), buffer.bytes().begin());
    const ssize_t put = ::pwrite(direct ? direct_.get() : cached_.get(), buffer.bytes().data(),
                                 length, static_cast<off_t>(offset));
    ASSERT_EQ(put, static_cast<ssize_t>(length)) << std::strerror(errno);
    model_.write(content, offset);
  }

  void read() {
    std::uint64_t offset = someOffset();
    std::uint64_t length = someLength();
    const bool direct = chooseDirect(offset, length);
    expectSame(direct ? direct_.get() : cached_.get(), offset, length);
  }

  void expectSame(int fd, std::uint64_t offset, std::uint64_t length) {
    AlignedBuffer buffer(length);
    const ssize_t got = ::pread(fd, buffer.bytes().data(), length, static_cast<off_t>(offset));
    const std::uint64_t inside =
        offset < model_.size() ? std::min(length, model_.size() - offset) : 0;
    ASSERT_EQ(got, static_cast<ssize_t>(inside)) << "read at " << offset;
    const auto expected = model_.bytes(offset, inside);
    const auto mismatch = std::mismatch(expected.begin(), expected.end(), buffer.bytes().begin());
    ASSERT_EQ(mismatch.first, expected.end())
        << "first wrong byte at "
        << offset + static_cast<std::uint64_t>(mismatch.first - expected.begin());
  }

  void truncate() {
    const std::uint64_t size = someOffset();
    ASSERT_EQ(::ftruncate(cached_.get(), static_cast<off_t>(size)), 0) << std::strerror(errno);
    model_.resize(size);
  }

  void zeroLength() {
    char byte = 0;
    const auto offset = static_cast<off_t>(someOffset());
    ASSERT_EQ(::pwrite(cached_.get(), &byte, 0, offset), 0);
    ASSERT_EQ(::pread(cached_.get(), &byte, 0, offset), 0);
  }

  void checkAll() {
    ASSERT_EQ(::lseek(cached_.get(), 0, SEEK_END), static_cast<off_t>(model_.size()));
    forEachFocus(model_.size(), [this](std::uint64_t begin, std::uint64_t end) {
      expectSame(cached_.get(), begin, end - begin);
    });
  }

  SeededRandom& random_;
  TemporaryDirectory temporary_;
  const std::string session_ = temporary_ / "session";
  Arguments source_;
  PlainImage model_;
  std::unique_ptr<RunningMount> mount_;
  UniqueFd cached_;
  UniqueFd direct_;
};

TEST(MountModel, AgreesWithAPlainBufferOverALateAndUnorderedBase) {
  SeededRandom random;
  ScriptedDnbd3Server::Script script;
  script.reorder = true;
  script.delay = std::chrono::microseconds(200);
  script.seed = random.seed();
  ScriptedDnbd3Server server(
      {"model", 3}, kBaseSize,
      [](std::uint64_t offset, std::span<std::byte> buffer) {
        for (std::size_t i = 0; i < buffer.size(); ++i) {
          buffer[i] = patternByte(offset + i);
        }
      },
      script);
  MountModel model({"-h", server.host().text(), "-i", "model"}, kBaseSize, random);
  model.run(30'000);
}

TEST(MountModel, AgreesWithAPlainBufferOverALocalFileOfOddSize) {
  SeededRandom random;
  const TemporaryDirectory temporary;
  const std::string file = temporary / "odd.r7";
  const std::uint64_t size = kBaseSize - 1234;
  writeBase(file, size);
  MountModel model({"--source", "file://" + file}, size, random);
  model.run(30'000);
}

}  // namespace
}  // namespace netcow::test
