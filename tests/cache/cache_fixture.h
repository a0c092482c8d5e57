// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <memory>
#include <vector>

#include "base/errors.h"
#include "base/mutex.h"
#include "cache/caching_source.h"
#include "session/hooked_folder.h"
#include "support/fake_clock.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow::test {

/// An image in memory; counts what it is asked. Thread-safe.
class MemorySource : public Source {
 public:
  explicit MemorySource(std::shared_ptr<const std::vector<std::byte>> content)
      : content_(std::move(content)) {}

  [[nodiscard]] const ImageName& image() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return content_->size(); }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override {
    reads += 1;
    bytes += buffer.size();
    if (failing || stopped_ || offset + buffer.size() > content_->size()) {
      done(errnoCode(EIO));
      return;
    }
    std::memcpy(buffer.data(), content_->data() + offset, buffer.size());
    done({});
  }
  void stop() override { stopped_ = true; }
  [[nodiscard]] std::string statusText() const override { return "memory\n"; }

  std::atomic<bool> failing = false;
  std::atomic<std::uint64_t> reads = 0;
  std::atomic<std::uint64_t> bytes = 0;  ///< asked for

 private:
  const std::shared_ptr<const std::vector<std::byte>> content_;
  const ImageName name_{"lab/pc", 3};
  std::atomic<bool> stopped_ = false;
};

/// Reads and waits; the errno value.
inline int readNow(Source& source, std::span<std::byte> buffer, std::uint64_t offset) {
  std::promise<int> ended;
  source.read(buffer, offset,
              [&ended](const std::error_code& error) { ended.set_value(error.value()); });
  return ended.get_future().get();
}

/// An image, and caches of it in one folder, one after the other.
class CacheRig {
 public:
  explicit CacheRig(SeededRandom& random, std::uint64_t size = 6 * kClusterSize + 5 * kBlockSize)
      : content(std::make_shared<const std::vector<std::byte>>(random.bytes(size))) {}

  /// Opens the folder's session through `hook`; makes it if there is none.
  void open(std::uint64_t limit = UINT64_MAX / 2) {
    auto lock = CacheLock::take(folder.path());
    ASSERT_TRUE(lock);
    std::unique_ptr<Session> session;
    if (std::filesystem::exists(folder / "meta")) {
      session = Session::open(openHookedFolder(folder.path(), hook), clock);
    } else {
      NewSession settings;
      settings.imageName = "lab/pc";
      settings.baseSize = content->size();
      settings.maxImageSize = kTableSpan;
      session = Session::create(openHookedFolder(folder.path(), hook), settings, clock);
    }
    auto owned = std::make_unique<OwnedCache>(std::move(*lock), std::move(session), content->size(),
                                              [limit](std::uint64_t) { return limit; });
    cache = owned.get();
    auto memory = std::make_unique<MemorySource>(content);
    inner = memory.get();
    inner->failing = failing;
    source = std::make_unique<CachingSource>(std::move(memory), std::move(owned), options);
  }
  void close() { source.reset(); }
  /// As SIGKILL: nothing is closed.
  void kill() {
    cache->queue().drain();
    cache->abandon();
    source.reset();
  }
  /// Reads a range and says what is wrong with it.
  std::string check(std::uint64_t offset, std::uint64_t length) {
    std::vector<std::byte> buffer(length, std::byte{0xEE});
    if (const int error = readNow(*source, buffer, offset)) {
      return "a read failed with " + std::to_string(error);
    }
    return std::memcmp(buffer.data(), content->data() + offset, length) == 0
               ? ""
               : "wrong bytes at " + std::to_string(offset) + ", length " + std::to_string(length);
  }

  TemporaryDirectory folder;
  FakeClock clock;
  FileHook hook;
  CacheOptions options;  ///< for the next open()
  bool failing = false;  ///< the source's first state at the next open()
  const std::shared_ptr<const std::vector<std::byte>> content;
  OwnedCache* cache = nullptr;
  MemorySource* inner = nullptr;
  std::unique_ptr<CachingSource> source;
};

}  // namespace netcow::test
