// SPDX-License-Identifier: Apache-2.0
#include "system/file_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/unique_fd.h"
#include "system/netcow_system.h"

namespace netcow::test {

namespace fs = std::filesystem;

std::string FileTree::someFile() {
  auto at = files_.begin();
  std::advance(at, random_.between(0, files_.size() - 1));
  return at->first;
}

void FileTree::create(const std::string& folder) {
  const std::string name =
      "folder" + std::to_string(random_.between(0, 9)) + "/file" + std::to_string(++next_);
  fs::create_directories(fs::path(folder + "/" + name).parent_path());
  Bytes& bytes = files_[name];
  bytes =
      random_.bytes(random_.oneIn(20) ? random_.between(1, 900'000) : random_.between(0, 20'000));
  writeFile(folder + "/" + name, bytes);
}

/// Writes over a part, behind the end, or cuts off.
void FileTree::edit(const std::string& folder, const std::string& name) {
  Bytes& bytes = files_[name];
  const UniqueFd fd(::open((folder + "/" + name).c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(fd) << name;
  if (random_.oneIn(4)) {
    bytes.resize(random_.between(0, bytes.size()));
    ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes.size())), 0);
    return;
  }
  const std::uint64_t offset = random_.between(0, bytes.size());
  const Bytes part = random_.bytes(random_.between(1, 9'000));
  ASSERT_EQ(::pwrite(fd.get(), part.data(), part.size(), static_cast<off_t>(offset)),
            static_cast<ssize_t>(part.size()));
  bytes.resize(std::max(bytes.size(), offset + part.size()));
  std::copy(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

void FileTree::change(const std::string& folder, int steps) {
  for (int step = 0; step < steps; ++step) {
    const std::uint64_t choice = random_.between(0, 9);
    if (files_.empty() || choice < 5) {
      create(folder);
      continue;
    }
    const std::string name = someFile();
    if (choice < 8) {
      edit(folder, name);
    } else if (choice < 9) {
      const std::string other = name + "-renamed";
      fs::rename(folder + "/" + name, folder + "/" + other);
      files_[other] = std::move(files_[name]);
      files_.erase(name);
    } else {
      fs::remove(folder + "/" + name);
      files_.erase(name);
    }
  }
}

void FileTree::expectIn(const std::string& folder) const {
  std::size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) {
      continue;
    }
    const std::string name = fs::relative(entry.path(), folder).string();
    const auto expected = files_.find(name);
    ASSERT_NE(expected, files_.end()) << name << " should not be there";
    EXPECT_TRUE(readFile(entry.path()) == expected->second) << name << " has another content";
    ++found;
  }
  EXPECT_EQ(found, files_.size()) << "files are missing";
}

namespace {

std::vector<std::byte> contentOf(std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<std::byte> bytes(1 + engine() % 30'000);
  std::generate(bytes.begin(), bytes.end(),
                [&engine] { return static_cast<std::byte>(engine() & 0xFFU); });
  return bytes;
}

/// fsync of the file and of its folder: from then on it must survive.
bool writeAndSync(const std::string& folder, const std::string& name,
                  const std::vector<std::byte>& bytes) {
  const UniqueFd fd(
      ::open((folder + "/" + name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const UniqueFd parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd && parent &&
         ::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
         ::fsync(fd.get()) == 0 && ::fsync(parent.get()) == 0;
}

}  // namespace

void SyncedFiles::writeUntilError(const std::string& folder, SeededRandom random) {
  while (true) {
    const std::uint64_t seed = random.between(0, UINT64_MAX);
    const std::string name = "synced" + std::to_string(seed);
    if (!writeAndSync(folder, name, contentOf(seed))) {
      return;
    }
    const MutexLock lock(mutex_);
    seeds_[name] = seed;
    changed_.notifyAll();
  }
}

void SyncedFiles::waitForMore(std::uint64_t count) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(90);
  MutexLock lock(mutex_);
  const std::size_t wanted = seeds_.size() + count;
  while (seeds_.size() < wanted) {
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "only " << seeds_.size() << " of " << wanted << " files were synced in time";
      return;
    }
    changed_.waitFor(lock, std::chrono::seconds(1));
  }
}

void SyncedFiles::expectIn(const std::string& folder) {
  const MutexLock lock(mutex_);
  EXPECT_FALSE(seeds_.empty());
  for (const auto& [name, seed] : seeds_) {
    const std::string path = folder + "/" + name;
    if (!fs::exists(path)) {
      ADD_FAILURE() << name << " was synced and is gone";
    } else {
      EXPECT_TRUE(readFile(path) == contentOf(seed)) << name << " has another content";
    }
  }
}

}  // namespace netcow::test
