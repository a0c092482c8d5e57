// SPDX-License-Identifier: Apache-2.0
// Writes go on at full speed while uploads run; then the image is unmounted at once. The merged
// revision must be what was written, byte for byte. Many more cases, without a mount, are in
// tests/upload/upload_load_test.cpp: here each takes as long as an uploader may sleep.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/unique_fd.h"
#include "format/geometry.h"
#include "session/session.h"
#include "support/seeded_cases.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kImageSize = 3 * kClusterSize + 7 * kBlockSize;
constexpr std::uint64_t kWriters = 2;

/// Writes to every kWriters-th block, so that writers share clusters and no block, until told.
class Writer {
 public:
  Writer(const std::string& path, std::vector<std::byte>& content, std::uint64_t number,
         SeededRandom random)
      : fd_(::open(path.c_str(), O_WRONLY | O_CLOEXEC | (number == 0 ? O_DIRECT : 0))),
        content_(content),
        number_(number),
        random_(std::move(random)),
        thread_([this] { run(); }) {}
  /// False if a write failed.
  bool end() {
    stop_ = true;
    thread_.join();
    return good_;
  }

 private:
  void run() {
    alignas(4096) std::array<std::byte, kBlockSize> block;
    const bool direct = number_ == 0;
    while (!stop_ && good_) {
      const std::uint64_t all = kImageSize / kBlockSize / kWriters;
      const std::uint64_t offset = (random_.between(0, all - 1) * kWriters + number_) * kBlockSize;
      const std::uint64_t length = direct ? kBlockSize : random_.between(1, kBlockSize);
      const auto bytes = random_.bytes(length);
      std::copy(bytes.begin(), bytes.end(), block.begin());
      good_ = ::pwrite(fd_.get(), block.data(), length, static_cast<off_t>(offset)) ==
              static_cast<ssize_t>(length);
      std::copy(bytes.begin(), bytes.end(), content_.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    fd_.reset();
  }

  UniqueFd fd_;
  std::vector<std::byte>& content_;
  const std::uint64_t number_;
  SeededRandom random_;
  std::atomic<bool> stop_ = false;
  bool good_ = true;
  std::thread thread_;
};

/// Successful uploads of a session that is mounted.
std::uint64_t uploadsOf(const std::string& session) {
  return inspectSession(session).uploads;
}

TEST(UploadLoad, WritesAtFullSpeedUpToTheUnmountAreInTheMergedRevision) {
  const TemporaryDirectory temporary;
  const std::string images = temporary / "images";
  std::filesystem::create_directories(images);
  SeededCases cases;
  std::vector<std::byte> content;
  std::unique_ptr<RunningServer> server;
  for (int i = 0; i < (longRun() ? 500 : 4); ++i) {
    const std::string name = "pc" + std::to_string(i);
    cases.run([&](SeededRandom& random) -> std::string {
      content = random.bytes(kImageSize);
      writeFile(images + "/" + name + ".r1", content);
      if (!server) {
        server = std::make_unique<RunningServer>(images);
      }
      const std::string session = temporary / ("session-" + name);
      RunningMount mount(temporary / ("mnt-" + name),
                         {"-h", server->blocksAddress(), "-i", name, "-c", session, "-C",
                          server->httpAddress(), "-m", "--min-age", "0"});
      if (!mount.mounted()) {
        return mount.process().output();
      }
      Writer direct(mount.image(), content, 0, random.fork());
      Writer cached(mount.image(), content, 1, random.fork());
      const std::uint64_t wanted = random.between(1, 6);
      const bool uploaded = waitUntil([&] { return uploadsOf(session) >= wanted; });
      const bool written = direct.end() && cached.end();
      const ProcessResult result = mount.unmount();
      if (!uploaded || !written || result.exitStatus != 0) {
        return "not uploaded, not written, or not ended: " + result.output;
      }
      const std::string merged = images + "/" + name + ".r2";
      if (!waitUntil([&] { return std::filesystem::exists(merged); })) {
        return "no merged image";
      }
      const bool same = readFile(merged) == content;
      std::filesystem::remove(merged);
      std::filesystem::remove_all(session);
      return same ? "" : "the merged image differs from what was written";
    });
  }
}

}  // namespace
}  // namespace netcow::test
