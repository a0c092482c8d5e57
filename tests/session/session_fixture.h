// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "session/hooked_folder.h"
#include "session/session.h"
#include "support/fake_clock.h"
#include "support/temporary_directory.h"

namespace netcow::test {

/// Settings of a session with an upload.
inline NewSession sessionSettings(std::uint64_t baseSize) {
  NewSession result;
  result.imageName = "lab/windows";
  result.uploadUuid = "11111111-2222-3333-4444-555555555555";
  result.baseSize = baseSize;
  return result;
}

/// A block full of one value.
inline std::vector<std::byte> blockOf(unsigned value) {
  return std::vector<std::byte>(kBlockSize, static_cast<std::byte>(value));
}

/// What a session says a local block holds; nothing if it is not local.
inline std::optional<std::vector<std::byte>> localBlock(const Session& session,
                                                        std::uint64_t number) {
  const auto run = session.runAt(number * kBlockSize, kBlockSize);
  if (!run.local) {
    return std::nullopt;
  }
  std::vector<std::byte> content(kBlockSize);
  EXPECT_FALSE(session.readData(content, run.dataOffset));
  return content;
}

/// A session in a real folder in which `hook` decides what fails.
class HookedSessionTest : public testing::Test {
 protected:
  std::unique_ptr<Session> create(std::uint64_t baseSize = 3 * kTableSpan) {
    return create(sessionSettings(baseSize));
  }
  std::unique_ptr<Session> create(const NewSession& settings) {
    return Session::create(openHookedFolder(temporary_.path(), hook_), settings, clock_);
  }
  std::unique_ptr<Session> open() {
    return Session::open(openHookedFolder(temporary_.path(), hook_), clock_);
  }

  /// What `data` takes on the disk, in bytes.
  [[nodiscard]] std::uint64_t allocated() const {
    struct stat status{};
    EXPECT_EQ(::stat((temporary_ / "data").c_str(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

  /// Sends everything to a server that takes everything.
  void uploadAll(Session& session) {
    while (const auto cluster = session.takeDirty(clock_.now())) {
      EXPECT_TRUE(session.acknowledgeUpload(*cluster, session.snapshot(*cluster).changes));
    }
  }
  static bool anyDirty(const Session& session) { return session.oldestDirty().has_value(); }

  TemporaryDirectory temporary_;
  FakeClock clock_;
  FileHook hook_;
};

}  // namespace netcow::test
