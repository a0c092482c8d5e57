// SPDX-License-Identifier: Apache-2.0
#include "base/logging.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/errors.h"
#include "base/log_sinks.h"
#include "base/unique_fd.h"
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

TEST_F(Logging, LogsFromTheLevelAskedFor) {
  setUpLogging({file_, "warning", nullptr});
  spdlog::info("hidden");
  spdlog::warn("shown");
  EXPECT_FALSE(holds("hidden"));
  EXPECT_TRUE(holds("warning: shown\n"));
  try {
    setUpLogging({file_, "loud", nullptr});
    FAIL() << "did not throw";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "there is no log level 'loud'; it is debug, info, warning or error");
    EXPECT_EQ(error.status(), ExitStatus::usage);
  }
}

TEST_F(Logging, GoesOnInANewFileWhenTheOldOneWasRotated) {
  setUpLogging(file_, false);
  spdlog::info("one");
  std::filesystem::rename(file_, file_ + ".1");
  spdlog::info("two");
  EXPECT_NE(readTextFile(file_ + ".1").find("one"), std::string::npos);
  EXPECT_EQ(readTextFile(file_ + ".1").find("two"), std::string::npos);
  EXPECT_TRUE(holds("two"));
  std::filesystem::remove(file_);
  spdlog::info("three");
  EXPECT_TRUE(holds("three"));
  // copytruncate: the file stays the same.
  std::filesystem::resize_file(file_, 0);
  spdlog::info("four");
  EXPECT_EQ(logged().find("info: four\n"), logged().size() - 11);
  EXPECT_EQ(logged().find('\0'), std::string::npos);
}

TEST(JournalSinkTest, PutsThePriorityBeforeEachLine) {
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  spdlog::logger log("test", std::make_shared<JournalSink>(writer.get()));
  log.set_level(spdlog::level::debug);
  log.debug("a detail");
  log.info("\ntwo\nlines\n");
  log.warn("odd");
  log.error("bad");
  std::array<char, 256> text = {};
  const ssize_t length = ::read(reader.get(), text.data(), text.size());
  EXPECT_EQ(std::string(text.data(), static_cast<std::size_t>(length)),
            "<7>a detail\n<6>two\n<6>lines\n<4>odd\n<3>bad\n");
}

TEST(JournalSinkTest, IsForWhatTheServiceManagerConnected) {
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  struct stat status = {};
  ASSERT_EQ(::fstat(writer.get(), &status), 0);
  const std::string stream = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
  EXPECT_TRUE(isJournal(writer.get()));
  ::setenv("JOURNAL_STREAM", (stream + "1").c_str(), 1);
  EXPECT_FALSE(isJournal(writer.get()));
  ::unsetenv("JOURNAL_STREAM");
  EXPECT_FALSE(isJournal(writer.get()));
}

}  // namespace
}  // namespace netcow
