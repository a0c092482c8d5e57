// SPDX-License-Identifier: Apache-2.0
// A real mount against a plain buffer: everything that programs do to a file, at odd offsets,
// through the page cache, past it and in memory maps, with a base that answers late and out of
// order, unmounted and loaded again in between. NETCOW_LONG=1 in the environment makes it long, and
// TMPDIR=/dev/shm fast, where syncs cost nothing.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <thread>

#include "base/unique_fd.h"
#include "format/geometry.h"
#include "support/fault_proxy.h"
#include "support/file_access.h"
#include "support/plain_image.h"
#include "support/scripted_dnbd3_server.h"
#include "support/seeded_cases.h"
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

int steps() {
  return longRun() ? 2'000'000 : 15'000;
}

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

/// The surroundings of a focus, in memory, for as long as the image is mounted.
struct MappedFocus {
  MappedFocus(int fd, std::uint64_t mapBegin, std::uint64_t mapEnd)
      : begin(mapBegin), end(mapEnd), map(fd, mapEnd - mapBegin, mapBegin) {}
  const std::uint64_t begin;
  const std::uint64_t end;
  const SharedMap map;
};

class MountModel {
 public:
  /// `tries`: how often a mount is tried, as one that meets no server with the image ends at once.
  MountModel(const Arguments& source, std::uint64_t baseSize, SeededRandom& random, int tries = 1)
      : random_(random), source_(source), tries_(tries), model_(4 * kTableSpan, baseSize) {
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
      if (step > 0 && step % 100'000 == 0) {
        std::cout << step << " operations" << std::endl;
      }
      const std::uint64_t choice = random_.between(0, 99);
      if (choice < 32) {
        write();
      } else if (choice < 64) {
        read();
      } else if (choice < 72) {
        writeMapped();
      } else if (choice < 80) {
        allocate();
      } else if (choice < 86) {
        seek();
      } else if (choice < 90) {
        copy();
      } else if (choice < 97) {
        truncate();
      } else if (choice < 98) {
        sync();
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
    for (int left = tries_; left > 0 && (!mount_ || !mount_->mounted()); --left) {
      mount_ = std::make_unique<RunningMount>(temporary_ / "mnt", all);
    }
    ASSERT_TRUE(mount_->mounted()) << mount_->process().output();
    open();
  }
  void open() {
    cached_.reset(::open(mount_->image().c_str(), O_RDWR | O_CLOEXEC));
    direct_.reset(::open(mount_->image().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    ASSERT_TRUE(cached_ && direct_);
    for (const std::uint64_t center : kFocus) {
      const std::uint64_t begin = center > kSurroundings ? center - kSurroundings : 0;
      maps_.push_back(std::make_unique<MappedFocus>(cached_.get(), roundDown(begin, kBlockSize),
                                                    center + kSurroundings));
    }
  }
  void remount() {
    maps_.clear();
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
    const AlignedBytes buffer(length);
    const auto content = random_.bytes(length);
    std::memcpy(buffer.data(), content.data(), length);
    const ssize_t put = ::pwrite(direct ? direct_.get() : cached_.get(), buffer.data(), length,
                                 static_cast<off_t>(offset));
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
    const AlignedBytes buffer(length);
    const ssize_t got = ::pread(fd, buffer.data(), length, static_cast<off_t>(offset));
    const std::uint64_t inside =
        offset < model_.size() ? std::min(length, model_.size() - offset) : 0;
    ASSERT_EQ(got, static_cast<ssize_t>(inside)) << "read at " << offset;
    expectSame(buffer.data(), offset, inside);
    for (const auto& focus : maps_) {
      if (offset >= focus->begin && offset + inside <= focus->end && inside > 0) {
        SCOPED_TRACE("in the map");
        expectSame(focus->map.data() + (offset - focus->begin), offset, inside);
      }
    }
  }
  void expectSame(const char* found, std::uint64_t offset, std::uint64_t length) {
    const auto expected = model_.bytes(offset, length);
    const auto mismatch =
        std::mismatch(expected.begin(), expected.end(), reinterpret_cast<const std::byte*>(found));
    ASSERT_EQ(mismatch.first, expected.end())
        << "first wrong byte at "
        << offset + static_cast<std::uint64_t>(mismatch.first - expected.begin());
  }

  void writeMapped() {
    const auto& focus = *maps_[random_.between(0, maps_.size() - 1)];
    const std::uint64_t end = std::min(focus.end, model_.size());
    if (end <= focus.begin) {
      return;
    }
    const std::uint64_t offset = random_.between(focus.begin, end - 1);
    const auto content = random_.bytes(std::min(someLength(), end - offset));
    std::memcpy(focus.map.data() + (offset - focus.begin), content.data(), content.size());
    model_.write(content, offset);
    if (random_.oneIn(20)) {
      ASSERT_EQ(focus.map.sync(), 0) << std::strerror(errno);
    }
  }

  void allocate() {
    constexpr std::array kModes = {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
                                   FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_KEEP_SIZE,
                                   0};
    // Mostly zeros: space that is reserved shows nowhere.
    const int mode = kModes[random_.oneIn(4) ? random_.between(3, 4) : random_.between(0, 2)];
    const std::uint64_t offset = someOffset();
    const std::uint64_t length = random_.oneIn(10) ? 3 * kClusterSize : someLength();
    ASSERT_EQ(::fallocate(random_.oneIn(2) ? cached_.get() : direct_.get(), mode,
                          static_cast<off_t>(offset), static_cast<off_t>(length)),
              0)
        << std::strerror(errno);
    if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0 && offset < model_.size()) {
      const auto zeroed = model_.bytes(offset, std::min(length, model_.size() - offset));
      std::fill(zeroed.begin(), zeroed.end(), std::byte{0});
    }
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && offset + length > model_.size()) {
      model_.resize(offset + length);
    }
    ASSERT_EQ(::lseek(cached_.get(), 0, SEEK_END), static_cast<off_t>(model_.size()));
  }

  /// Every byte that is not zero must lie in what is called data.
  void seek() {
    const int fd = random_.oneIn(2) ? cached_.get() : direct_.get();
    const std::uint64_t offset = someOffset();
    const off_t data = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
    const off_t hole = ::lseek(fd, static_cast<off_t>(offset), SEEK_HOLE);
    if (offset >= model_.size()) {
      ASSERT_TRUE(data == -1 && hole == -1);
      return;
    }
    expectHole(offset, data);
    ASSERT_GE(hole, static_cast<off_t>(offset));
    ASSERT_LE(hole, static_cast<off_t>(model_.size()));
    if (hole < static_cast<off_t>(model_.size())) {
      expectHole(static_cast<std::uint64_t>(hole), ::lseek(fd, hole, SEEK_DATA));
    }
  }
  /// `end`: as SEEK_DATA told; -1 for the end of the image.
  void expectHole(std::uint64_t begin, off_t end) {
    const std::uint64_t until = end < 0 ? model_.size() : static_cast<std::uint64_t>(end);
    forEachFocus(until, [&](std::uint64_t from, std::uint64_t to) {
      from = std::max(from, begin);
      for (; from < to; ++from) {
        ASSERT_EQ(model_.bytes(from, 1)[0], std::byte{0}) << "no hole at " << from;
      }
    });
  }

  void copy() {
    std::uint64_t from = someOffset();
    std::uint64_t length = someLength();
    const bool direct = chooseDirect(from, length);
    const std::uint64_t to = direct ? roundDown(someOffset(), 512) : someOffset();
    if (from >= model_.size() || (from < to + length && to < from + length)) {
      return;
    }
    const std::uint64_t inside = std::min(length, model_.size() - from);
    const int fd = direct ? direct_.get() : cached_.get();
    auto source = static_cast<off_t>(from);
    auto target = static_cast<off_t>(to);
    for (std::uint64_t left = inside; left > 0;) {
      const ssize_t copied = ::copy_file_range(fd, &source, fd, &target, left, 0);
      ASSERT_GT(copied, 0) << std::strerror(errno);
      left -= static_cast<std::uint64_t>(copied);
    }
    const auto content = model_.bytes(from, inside);
    model_.write(std::vector<std::byte>(content.begin(), content.end()), to);
  }

  void truncate() {
    const std::uint64_t size = someOffset();
    const int fd = random_.oneIn(2) ? cached_.get() : direct_.get();
    ASSERT_EQ(::ftruncate(fd, static_cast<off_t>(size)), 0) << std::strerror(errno);
    model_.resize(size);
  }

  void sync() {
    const int fd = random_.oneIn(2) ? cached_.get() : direct_.get();
    ASSERT_EQ(random_.oneIn(2) ? ::fsync(fd) : ::fdatasync(fd), 0) << std::strerror(errno);
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
  const int tries_;
  PlainImage model_;
  std::unique_ptr<RunningMount> mount_;
  UniqueFd cached_;
  UniqueFd direct_;
  std::vector<std::unique_ptr<MappedFocus>> maps_;
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
  model.run(steps());
}

/// Kills one of two servers and starts it again, then the other, all the time.
void killInTurns(const std::stop_token& stop, RunningServer& first, RunningServer& second) {
  const auto pause = std::chrono::milliseconds(longRun() ? 1000 : 200);
  for (int turn = 0; !stop.stop_requested(); ++turn) {
    std::this_thread::sleep_for(pause);
    RunningServer& server = turn % 2 == 0 ? first : second;
    server.kill();
    server.start();
  }
}

// Two servers that are killed in turns, behind networks that cut every connection within moments,
// in the middle of replies.
TEST(MountModel, AgreesWithAPlainBufferOverServersThatAreKilledAndANetworkThatIsCut) {
  SeededRandom random;
  const TemporaryDirectory temporary;
  for (const char* const name : {"first", "second"}) {
    std::filesystem::create_directory(temporary / name);
    writeBase(temporary / name + "/model.r3", kBaseSize);
  }
  RunningServer firstServer(temporary / "first");
  RunningServer secondServer(temporary / "second");
  NetworkFaults faults;
  faults.delay = std::chrono::microseconds(100);
  faults.reorder = true;
  faults.seed = random.seed();
  faults.cutEvery = std::chrono::milliseconds(longRun() ? 1000 : 100);
  FaultProxy first(firstServer.blocksPort(), faults);
  faults.cutEvery = std::chrono::milliseconds(0);
  faults.cutAfterBytes = 1'234'567;
  FaultProxy second(secondServer.blocksPort(), faults);
  MountModel model({"-h", first.host().text() + " " + second.host().text(), "-i", "model"},
                   kBaseSize, random, 10);
  {
    const std::jthread killer(
        [&](const std::stop_token& stop) { killInTurns(stop, firstServer, secondServer); });
    model.run(steps());
  }
  EXPECT_GT(first.counts().cuts + second.counts().cuts, 3U);
}

TEST(MountModel, AgreesWithAPlainBufferOverALocalFileOfOddSize) {
  SeededRandom random;
  const TemporaryDirectory temporary;
  const std::string file = temporary / "odd.r7";
  const std::uint64_t size = kBaseSize - 1234;
  writeBase(file, size);
  MountModel model({"--source", "file://" + file}, size, random);
  model.run(steps());
}

}  // namespace
}  // namespace netcow::test
