// SPDX-License-Identifier: Apache-2.0
#include "base/terminal_line.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace netcow {
namespace {

/// A terminal of 40 columns, and what a person sees on it.
class Terminal : public testing::Test {
 protected:
  Terminal() {
    int person = -1;
    int program = -1;
    EXPECT_EQ(::openpty(&person, &program, nullptr, nullptr, nullptr), 0);
    person_.reset(person);
    program_.reset(program);
    resize(40);
  }

  void resize(unsigned short columns) {
    const winsize size = {24, columns, 0, 0};
    ::ioctl(program_.get(), TIOCSWINSZ, &size);
  }
  /// What has been sent since this was asked last, to the very end.
  std::string sent() {
    constexpr char kMark = '\x01';
    EXPECT_EQ(::write(program_.get(), &kMark, 1), 1);
    std::string text;
    for (char next = 0; ::read(person_.get(), &next, 1) == 1 && next != kMark;) {
      text += next;
    }
    return text;
  }
  /// The lines on the screen: what "\r\033[K" does to what was there.
  std::vector<std::string> screen() {
    all_ += sent();
    std::vector<std::string> lines = {""};
    for (std::size_t at = 0; at < all_.size(); ++at) {
      if (all_.compare(at, 4, "\r\033[K") == 0) {
        lines.back().clear();
        at += 3;
      } else if (all_[at] == '\n') {
        lines.emplace_back();
      } else if (all_[at] != '\r') {
        lines.back() += all_[at];
      }
    }
    return lines;
  }

  UniqueFd person_;
  UniqueFd program_;
  std::string all_;
};

using Lines = std::vector<std::string>;

TEST_F(Terminal, HasOneLineThatChangesBelowTheLog) {
  TerminalLine line(program_.get());
  EXPECT_TRUE(line.isTerminal());
  line.writeAbove("first\n");
  line.show("10 %");
  line.show("20 %");
  EXPECT_EQ(screen(), (Lines{"first", "20 %"}));
  line.writeAbove("two\nlines\n");
  EXPECT_EQ(screen(), (Lines{"first", "two", "lines", "20 %"}));
  line.show("5 %");
  EXPECT_EQ(screen(), (Lines{"first", "two", "lines", "5 %"}));
  line.clear();
  line.writeAbove("last\n");
  EXPECT_EQ(screen(), (Lines{"first", "two", "lines", "last", ""}));
}

TEST_F(Terminal, IsNeverFilledToItsLastColumnHoweverNarrowItGets) {
  TerminalLine line(program_.get());
  line.show(std::string(100, 'x'));
  EXPECT_EQ(screen(), Lines{std::string(39, 'x')});
  resize(10);
  EXPECT_EQ(line.width(), 9U);
  line.show(std::string(100, 'y'));
  EXPECT_EQ(screen(), Lines{std::string(9, 'y')});
}

TEST_F(Terminal, ThatIsStoppedHoldsUpNobody) {
  TerminalLine line(program_.get());
  ASSERT_EQ(::tcflow(program_.get(), TCOOFF), 0);  // Ctrl-S
  line.show("10 %");
  ASSERT_EQ(::tcflow(program_.get(), TCOON), 0);
  line.show("20 %");
  EXPECT_EQ(sent(), "\r\033[K20 %");
}

TEST(NoTerminal, GetsTheLogAndNothingElse) {
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  TerminalLine line(writer.get());
  EXPECT_FALSE(line.isTerminal());
  line.show("10 %");
  line.writeAbove("logged\n");
  line.clear();
  std::array<char, 64> text = {};
  const ssize_t length = ::read(reader.get(), text.data(), text.size());
  EXPECT_EQ(std::string(text.data(), static_cast<std::size_t>(length)), "logged\n");
}

}  // namespace
}  // namespace netcow
