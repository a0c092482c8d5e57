// SPDX-License-Identifier: Apache-2.0
#include "system/kill_rig.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <ostream>

#include "base/unique_fd.h"
#include "format/geometry.h"
#include "system/folder_watch.h"
#include "system/sector_buffer.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kBaseSize = kTableSpan + 4 * kClusterSize + 3 * kBlockSize;
const std::vector<SectorOracle::Range> kRanges = {
    {0, 3 * kClusterSize}, {kTableSpan - 2 * kClusterSize, kTableSpan + 8 * kClusterSize}};
constexpr LoadArea kArea = {{0, 16 * kBlockSize}, kClusterSize, kTableSpan + 8 * kClusterSize};

/// Stamps in the ranges, zeros elsewhere.
void baseContent(std::uint64_t offset, std::span<std::byte> buffer) {
  std::fill(buffer.begin(), buffer.end(), std::byte{0});
  for (const auto& range : kRanges) {
    const std::uint64_t begin = std::max(offset, range.begin);
    const std::uint64_t end = std::min({offset + buffer.size(), range.end, kBaseSize});
    if (begin < end) {
      fillStamps(buffer.subspan(begin - offset, end - begin), begin, 0, 0);
    }
  }
}

void writeBaseFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(kBaseSize)), 0);
  for (const auto& range : kRanges) {
    std::vector<std::byte> content(std::min(range.end, kBaseSize) - range.begin);
    baseContent(range.begin, content);
    ASSERT_EQ(::pwrite(fd.get(), content.data(), content.size(), static_cast<off_t>(range.begin)),
              static_cast<ssize_t>(content.size()));
  }
}

ScriptedDnbd3Server::Script lateAndUnordered(std::uint64_t seed) {
  ScriptedDnbd3Server::Script script;
  script.delay = std::chrono::microseconds(200);
  script.reorder = true;
  script.seed = seed;
  return script;
}

/// Every extent of a sparse file that lies outside the ranges must be zeros.
void expectZerosElsewhere(int fd, std::uint64_t size) {
  std::vector<std::byte> buffer(1U << 20U);
  off_t at = ::lseek(fd, 0, SEEK_DATA);
  while (at >= 0 && static_cast<std::uint64_t>(at) < size) {
    auto offset = static_cast<std::uint64_t>(at);
    const auto* const range = std::find_if(kRanges.data(), kRanges.data() + kRanges.size(),
                                           [offset](const auto& r) { return offset < r.end; });
    const bool last = range == kRanges.data() + kRanges.size();
    if (!last && offset >= range->begin) {
      offset = range->end;
    } else {
      const std::uint64_t end = last ? size : range->begin;
      const ssize_t got = ::pread(fd, buffer.data(), std::min(buffer.size(), end - offset), at);
      ASSERT_GT(got, 0);
      ASSERT_TRUE(std::all_of(buffer.begin(), buffer.begin() + got,
                              [](std::byte byte) { return byte == std::byte{0}; }))
          << "something at " << offset << " that was never written";
      offset += static_cast<std::uint64_t>(got);
    }
    at = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
  }
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const KillCounts& counts) {
  return out << counts.mountKills << " mounts killed under load, " << counts.recoveryKills
             << " in recovery, " << counts.uploadKills << " uploads, " << counts.serverKills
             << " servers; " << counts.operations << " operations acknowledged";
}

KillRig::KillRig(SeededRandom& random, Uploads uploads, KillCounts& counts,
                 const std::string& sessionParent)
    : random_(random),
      uploads_(uploads),
      counts_(counts),
      session_((sessionParent.empty() ? temporary_.path().string() : sessionParent) + "/session"),
      oracle_(kRanges, kBaseSize, baseContent),
      blocks_(
          std::make_unique<ScriptedDnbd3Server>(ImageName{"killed", 1}, kBaseSize, baseContent,
                                                lateAndUnordered(random.between(1, 1U << 30U)))) {
  std::filesystem::create_directories(images_);
  std::filesystem::create_directories(mountpoint_);
  writeBaseFile(images_ + "/killed.r1");
  if (uploads != Uploads::none) {
    server_ = std::make_unique<RunningServer>(images_);
  }
}

KillRig::~KillRig() {
  mount_.reset();
  clearMountpoint();
}

void KillRig::clearMountpoint() const {
  while (::umount2(mountpoint_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
}

void KillRig::expectSound() const {
  const ProcessResult result = runNetcow({"check", session_});
  EXPECT_EQ(result.exitStatus, 0) << result.output;
}

Arguments KillRig::mountArguments(const Arguments& more) const {
  const bool again = std::filesystem::exists(session_ + "/meta");
  Arguments all = {"-h", blocks_->host().text(), again ? "-L" : "-c", session_};
  if (!again) {
    all.insert(all.end(), {"-i", "killed"});
    if (server_) {
      all.insert(all.end(), {"-C", server_->httpAddress()});
    }
  }
  if (uploads_ == Uploads::whileMounted) {
    all.insert(all.end(), {"--min-age", "0"});
  }
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void KillRig::mountAndCheck(const Arguments& more) {
  clearMountpoint();
  mount_ = std::make_unique<RunningMount>(mountpoint_, mountArguments(more));
  ASSERT_TRUE(mount_->mounted()) << mount_->process().output();
  check();
}

void KillRig::check() {
  const int flags = O_RDONLY | O_CLOEXEC | (random_.oneIn(2) ? O_DIRECT : 0);
  const UniqueFd fd(::open(mount_->image().c_str(), flags));
  struct stat status{};
  ASSERT_TRUE(fd && ::fstat(fd.get(), &status) == 0);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  EXPECT_EQ(oracle_.observeSize(size), "");
  const SectorBuffer buffer(1U << 20U);
  for (const auto& range : kRanges) {
    const std::uint64_t end = std::min(range.end, size);
    for (std::uint64_t at = range.begin; at < end; at += buffer.bytes().size()) {
      const std::uint64_t part = std::min<std::uint64_t>(end - at, buffer.bytes().size());
      ASSERT_EQ(::pread(fd.get(), buffer.data(), roundUp(part, SectorOracle::kSector),
                        static_cast<off_t>(at)),
                static_cast<ssize_t>(part));
      EXPECT_EQ(oracle_.observe(at, buffer.bytes().first(part)), "");
    }
  }
}

void KillRig::killUnderLoad(bool serverToo) {
  const LoadOpens opens = random_.oneIn(2) ? LoadOpens::direct : LoadOpens::directAndCached;
  MountLoad load(mount_->image(), kArea, opens, oracle_, random_);
  if (serverToo) {
    load.waitFor(MountLoad::Count::acknowledged, random_.between(10, 100));
    server_->kill();
    server_->start();
    ++counts_.serverKills;
  }
  const auto which = random_.oneIn(2) ? MountLoad::Count::begun : MountLoad::Count::acknowledged;
  load.waitFor(which, random_.oneIn(8) ? random_.between(1, 5) : random_.between(20, 600));
  load.expectErrors();
  mount_->process().signal(SIGKILL);
  load.stop();
  killIdle();
  oracle_.crash();
  expectSound();
  ++counts_.mountKills;
  counts_.operations += load.operations();
}

void KillRig::killIdle() {
  mount_->process().signal(SIGKILL);
  const ProcessResult result = mount_->wait();
  EXPECT_EQ(result.exitStatus, 128 + SIGKILL) << result.output;
  mount_.reset();
}

bool KillRig::killInRecovery(std::size_t event) {
  clearMountpoint();
  Arguments all = {NETCOW_PROGRAM, "mount", "-f"};
  const Arguments more = mountArguments({});
  all.insert(all.end(), more.begin(), more.end());
  all.push_back(mountpoint_);
  const FolderWatch watch(session_);
  Process process(all);
  const bool inRecovery = watch.waitForEvents(event, [&process] {
    return !process.running() || process.output().find("mounted ") != std::string::npos;
  });
  process.signal(SIGKILL);
  const ProcessResult result = process.wait();
  EXPECT_EQ(result.exitStatus, 128 + SIGKILL) << result.output;
  clearMountpoint();
  expectSound();
  counts_.recoveryKills += inRecovery ? 1 : 0;
  return inRecovery;
}

bool KillRig::killUpload(std::size_t event) {
  const FolderWatch watch(session_);
  Process process({NETCOW_PROGRAM, "upload", session_, "-m"});
  watch.waitForEvents(event, [&process] { return !process.running(); });
  process.signal(SIGKILL);
  const ProcessResult result = process.wait();
  const bool killed = result.exitStatus == 128 + SIGKILL;
  expectSound();
  counts_.uploadKills += killed ? 1 : 0;
  if (!killed) {
    EXPECT_EQ(result.exitStatus, 0) << result.output;
  }
  return !killed;
}

void KillRig::upload() {
  const ProcessResult result = runNetcow({"upload", session_, "-m"});
  EXPECT_EQ(result.exitStatus, 0) << result.output;
}

void KillRig::unmount() {
  const ProcessResult result = mount_->unmount();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  mount_.reset();
  expectSound();
}

void KillRig::expectIsImage(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  ASSERT_TRUE(fd && ::fstat(fd.get(), &status) == 0) << path;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  EXPECT_EQ(oracle_.observeSize(size), "") << path;
  for (const auto& range : kRanges) {
    const std::uint64_t end = std::min(range.end, size);
    if (end <= range.begin) {
      continue;
    }
    std::vector<std::byte> content(end - range.begin);
    ASSERT_EQ(::pread(fd.get(), content.data(), content.size(), static_cast<off_t>(range.begin)),
              static_cast<ssize_t>(content.size()));
    EXPECT_EQ(oracle_.observe(range.begin, content), "") << path;
  }
  expectZerosElsewhere(fd.get(), size);
}

void KillRig::expectMerged() {
  ASSERT_TRUE(waitUntil([this] { return std::filesystem::exists(images_ + "/killed.r2"); }));
  expectIsImage(images_ + "/killed.r2");
  EXPECT_FALSE(std::filesystem::exists(images_ + "/killed.r3")) << "merged twice";
}

void KillRig::expectMergesOffline() {
  const std::string output = temporary_ / "merged";
  const ProcessResult result =
      runNetcow({"merge", session_, "--base", images_ + "/killed.r1", "--output", output});
  ASSERT_EQ(result.exitStatus, 0) << result.output;
  expectIsImage(output);
  std::filesystem::remove(output);
}

}  // namespace netcow::test
