// SPDX-License-Identifier: Apache-2.0
// docs/man against what the program says of itself.
#include <gmock/gmock.h>

#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "base/whole_io.h"
#include "support/process.h"

namespace netcow {
namespace {

using Names = std::set<std::string>;

std::string helpOf(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {NETCOW_PROGRAM};
  all.insert(all.end(), arguments.begin(), arguments.end());
  all.emplace_back("--help");
  const test::ProcessResult result = test::runProcess(all);
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  return result.output;
}

Names allMatches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  Names names;
  for (std::sregex_iterator match(text.begin(), text.end(), regex), end; match != end; ++match) {
    names.insert(match->str(1));
  }
  return names;
}

Names commands() {
  return allMatches(helpOf({}), "\n  netcow (\\S+) ");
}

/// The options of a command, long and short: in its help, lines that begin with one.
Names optionsInHelp(const std::string& command) {
  Names names;
  const std::regex line("\n  (-[^ \n]*)");
  const std::string help = helpOf({command});
  for (std::sregex_iterator match(help.begin(), help.end(), line), end; match != end; ++match) {
    names.merge(allMatches(match->str(1), "(--?[A-Za-z][A-Za-z-]*)"));
  }
  return names;
}

std::string page(const std::string& name) {
  const std::string text = readTextFile(NETCOW_MAN_PAGES "/" + name + ".1");
  return std::regex_replace(text, std::regex("\\\\-"), "-");
}

/// Those that a page describes: the heads of its entries.
Names optionsInPage(const std::string& command) {
  Names names;
  const std::regex head("\n\\.TP\n(.*)\n");
  const std::string text = page("netcow-" + command);
  for (std::sregex_iterator match(text.begin(), text.end(), head), end; match != end; ++match) {
    names.merge(allMatches(match->str(1), "\\\\fB(--?[A-Za-z][A-Za-z-]*)"));
  }
  return names;
}

TEST(ManPages, DescribeEveryOptionOfEveryCommandAndNoOther) {
  const Names all = commands();
  EXPECT_GE(all.size(), 9U);
  for (const std::string& command : all) {
    const Names options = optionsInHelp(command);
    EXPECT_GE(options.size(), 2U) << command;
    EXPECT_EQ(optionsInPage(command), options) << "docs/man/netcow-" << command << ".1";
  }
}

TEST(ManPages, AreThereForEachCommandAndListed) {
  Names files = {"netcow.1"};
  const std::string overview = page("netcow");
  for (const std::string& command : commands()) {
    files.insert("netcow-" + command + ".1");
    EXPECT_NE(overview.find("\n.BR netcow-" + command + " (1)\n"), std::string::npos) << command;
  }
  Names found;
  for (const auto& entry : std::filesystem::directory_iterator(NETCOW_MAN_PAGES)) {
    found.insert(entry.path().filename());
  }
  EXPECT_EQ(found, files);
}

}  // namespace
}  // namespace netcow
