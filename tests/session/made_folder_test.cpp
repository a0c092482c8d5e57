// SPDX-License-Identifier: Apache-2.0
// The folder of a new session survives a power cut, and so do those above it that were made.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>

#include "session/session.h"
#include "support/temporary_directory.h"

namespace {

std::set<std::string>* syncedPaths = nullptr;

}  // namespace

/// In place of the C library's, for this whole program: notes what is synced.
extern "C" int fsync(int descriptor) {
  if (syncedPaths != nullptr) {
    syncedPaths->insert(
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor)));
  }
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

namespace netcow::test {
namespace {

TEST(MadeFolder, IsSyncedInAllThatGotANewName) {
  const TemporaryDirectory temporary;
  const std::string root = std::filesystem::canonical(temporary / ".");
  NewSession settings;
  settings.imageName = "image";
  settings.maxImageSize = kTableSpan;
  for (const std::string name : {"/a/b/c", "/d/e/"}) {
    std::set<std::string> paths;
    syncedPaths = &paths;
    Session::create(root + name, settings);
    syncedPaths = nullptr;
    const bool slash = name.back() == '/';
    const auto folder = std::filesystem::path(slash ? name.substr(0, name.size() - 1) : name);
    for (auto above = folder.parent_path(); above != "/"; above = above.parent_path()) {
      EXPECT_TRUE(paths.contains(root + above.string())) << above;
    }
    EXPECT_TRUE(paths.contains(root));
  }
}

}  // namespace
}  // namespace netcow::test
