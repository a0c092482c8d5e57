// SPDX-License-Identifier: Apache-2.0
#include "system/mount_load.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstring>
#include <fstream>

#include "system/file_writer.h"
#include "system/map_writer.h"

namespace netcow::test {
namespace {

constexpr std::size_t kFileWriters = 5;
constexpr std::chrono::seconds kLimit(90);

}  // namespace

void LoadState::countBegun() {
  const MutexLock lock(mutex);
  ++begun;
  changed.notifyAll();
}

void LoadState::countAcknowledged() {
  ++operations;
  const MutexLock lock(mutex);
  ++acknowledged;
  changed.notifyAll();
}

void LoadState::failed(const std::string& what, int error) {
  if (!errorsExpected) {
    ADD_FAILURE() << what << " of " << image << ": " << std::strerror(error);
  }
  stopping = true;
}

MountLoad::MountLoad(const std::string& image, const LoadArea& area, LoadOpens opens,
                     SectorOracle& oracle, SeededRandom& random)
    : state_(image, area, opens, oracle, random.between(0, 1U << 30U)) {
  struct stat status{};
  if (::stat(image.c_str(), &status) == 0) {
    connection_ = "/sys/fs/fuse/connections/" + std::to_string(minor(status.st_dev));
  }
  {
    const MutexLock lock(state_.mutex);
    state_.running = kFileWriters + (opens == LoadOpens::directAndCached ? 1 : 0);
  }
  const auto start = [this](auto writer) {
    threads_.emplace_back([this, writer = std::move(writer)]() mutable {
      writer->run();
      writer.reset();
      const MutexLock lock(state_.mutex);
      --state_.running;
      state_.changed.notifyAll();
    });
  };
  for (std::size_t number = 1; number <= kFileWriters; ++number) {
    start(std::make_unique<FileWriter>(state_, number, random.fork()));
  }
  if (opens == LoadOpens::directAndCached) {
    start(std::make_unique<MapWriter>(state_, kFileWriters + 1, random.fork()));
  }
}

MountLoad::~MountLoad() {
  expectErrors();
  stop();
}

void MountLoad::waitFor(Count which, std::uint64_t operations) {
  const auto end = std::chrono::steady_clock::now() + kLimit;
  MutexLock lock(state_.mutex);
  while ((which == Count::begun ? state_.begun : state_.acknowledged) < operations &&
         state_.running > 0) {
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "only " << state_.acknowledged << " of " << operations
                    << " operations were acknowledged in time";
      return;
    }
    state_.changed.waitFor(lock, std::chrono::seconds(1));
  }
}

void MountLoad::stop() {
  state_.stopping = true;
  const auto end = std::chrono::steady_clock::now() + kLimit;
  {
    MutexLock lock(state_.mutex);
    while (state_.running > 0) {
      if (std::chrono::steady_clock::now() > end) {
        ADD_FAILURE() << state_.running << " threads hang in the mount";
        expectErrors();
        abortConnection();
        break;
      }
      state_.changed.waitFor(lock, std::chrono::seconds(1));
    }
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
}

void MountLoad::abortConnection() const {
  std::ofstream(connection_ + "/abort") << "1\n";
}

}  // namespace netcow::test
