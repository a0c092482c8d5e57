// SPDX-License-Identifier: Apache-2.0
#include "base/logging.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/errors.h"
#include "base/whole_io.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

class Logging : public testing::Test {
 protected:
  ~Logging() override { spdlog::set_default_logger(before_); }

  [[nodiscard]] std::string logged() const { return readTextFile(file_); }
  [[nodiscard]] bool holds(const std::string& text) const {
    return logged().find(text) != std::string::npos;
  }

  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  test::TemporaryDirectory folder_;
  std::string file_ = folder_ / "log";
};

TEST_F(Logging, WritesEveryLineAtOnce) {
  setUpLogging(file_, false);
  spdlog::info("mounted {}", "demo");
  EXPECT_TRUE(holds("info: mounted demo\n"));
}

TEST_F(Logging, LeavesOutDebugMessagesUnlessAskedForThem) {
  setUpLogging(file_, false);
  spdlog::debug("hidden");
  setUpLogging(file_, true);
  spdlog::debug("shown");
  spdlog::info("last");
  EXPECT_FALSE(holds("hidden"));
  EXPECT_TRUE(holds("shown"));
}

TEST_F(Logging, AppendsToTheFile) {
  replaceTextFile(file_, "from an earlier run\n", false);
  setUpLogging(file_, false);
  spdlog::warn("now");
  EXPECT_EQ(logged().find("from an earlier run\n"), 0U);
  EXPECT_TRUE(holds("now"));
}

TEST_F(Logging, SaysWhichFileCannotBeWritten) {
  // A file cannot have files in it, not even for root.
  replaceTextFile(file_, "", false);
  try {
    setUpLogging(file_ + "/log", false);
    FAIL() << "did not throw";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find(file_ + "/log"), std::string::npos);
  }
}

}  // namespace
}  // namespace netcow
