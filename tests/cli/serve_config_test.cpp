// SPDX-License-Identifier: Apache-2.0
#include "cli/serve_config.h"

#include <gmock/gmock.h>

#include <fstream>
#include <set>

#include "base/errors.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ServeConfigTest : public testing::Test {
 protected:
  ServeOptions read(const std::string& text, const std::set<std::string>& given = {}) {
    std::ofstream(path_) << text;
    ServeOptions options;
    options.config = path_;
    options.images = "/of/the/command/line";
    completeFromConfig(options, [&](const std::string& name) { return given.contains(name); });
    return options;
  }
  std::string refusalOf(const std::string& text, const std::set<std::string>& given = {}) {
    try {
      read(text, given);
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  }

  test::TemporaryDirectory directory_;
  const std::string path_ = directory_.path() / "netcow.toml";
};

TEST_F(ServeConfigTest, SetsEveryKindOfOption) {
  const ServeOptions options = read(
      "images = \"/srv/images\"\nlisten = \"0.0.0.0\"\nhttp = [\"127.0.0.1:80\", \"[::1]:80\"]\n"
      "debug = true\nmax-http-clients = 7\n");
  EXPECT_EQ(options.images, "/srv/images");
  EXPECT_THAT(options.listen, ElementsAre("0.0.0.0"));
  EXPECT_THAT(options.http, ElementsAre("127.0.0.1:80", "[::1]:80"));
  EXPECT_TRUE(options.debug);
  EXPECT_EQ(options.maxHttpClients, 7U);
  EXPECT_TRUE(options.state.empty());
}

TEST_F(ServeConfigTest, TakesSizesAsBytesOrWithAUnit) {
  EXPECT_EQ(read("checksum-rate = \"2M\"\n").checksumRate.bytes, 2'097'152U);
  EXPECT_EQ(read("checksum-rate = 5\n").checksumRate.bytes, 5U);
  for (const char* wrong : {"-5", "\"x\"", "true", "\"-1M\""}) {
    EXPECT_THAT(refusalOf("checksum-rate = " + std::string(wrong) + "\n"),
                HasSubstr("must be a number of bytes, or a string like"));
  }
}

TEST_F(ServeConfigTest, TheCommandLineWinsButTheFileMustBeRightAllTheSame) {
  EXPECT_EQ(read("images = \"/of/the/file\"\n", {"images"}).images, "/of/the/command/line");
  EXPECT_THAT(refusalOf("images = 5\n", {"images"}), HasSubstr("\"images\" must be a string"));
}

TEST_F(ServeConfigTest, SaysInWhichLineWhatIsWrongAndWhatIsAllowed) {
  EXPECT_EQ(refusalOf("debug = true\nimages = 5\n"), path_ + ":2: \"images\" must be a string");
  EXPECT_THAT(refusalOf("\n\nimage = \"x\"\n"),
              HasSubstr(path_ + ":3: unknown key \"image\"; known are images, listen, http"));
  EXPECT_THAT(refusalOf("debug = \"yes\"\n"), HasSubstr("must be true or false"));
  EXPECT_THAT(refusalOf("http = [1]\n"), HasSubstr("must be a string or a list of strings"));
  for (const char* number : {"-1", "0", "1.5", "\"7\""}) {
    EXPECT_THAT(refusalOf("max-http-clients = " + std::string(number) + "\n"),
                HasSubstr("must be a number, at least 1"));
  }
  EXPECT_THAT(refusalOf("images = \n"), HasSubstr(path_ + ":1: "));
  EXPECT_THAT(refusalOf("[serve]\nimages = \"x\"\n"), HasSubstr("unknown key \"serve\""));
}

TEST_F(ServeConfigTest, SaysWhichFileCannotBeRead) {
  ServeOptions options;
  options.config = "/nowhere/netcow.toml";
  EXPECT_THROW(completeFromConfig(options, [](const std::string&) { return false; }), UserError);
}

/// Every option of the command line is one of the file, and the other way round.
TEST_F(ServeConfigTest, TheFileKnowsEveryOptionOfTheCommandLine) {
  CLI::App app;
  ServeOptions options;
  addServeOptions(app, options);
  std::set<std::string> onCommandLine;
  for (const CLI::Option* option : app.get_options()) {
    onCommandLine.insert(option->get_lnames().front());
  }
  std::set<std::string> inFile = {"config", "help"};
  for (const ServeOption& option : describeServeOptions(options)) {
    inFile.insert(option.name);
  }
  EXPECT_EQ(onCommandLine, inFile);
}

TEST(ServeOptionsTest, ServerOptionsTakeThemAll) {
  ServeOptions given;
  EXPECT_THROW(serverOptions(given), UserError);
  given.images = "/srv/images";
  given.http = {"[::]:80", "10.0.0.1"};
  given.maxHttpClients = 5;
  given.tlsCertificate = "c";
  EXPECT_THROW(serverOptions(given), UserError);  // a key is missing
  given.tlsKey = "k";
  EXPECT_EQ(serverOptions(given).uploads.reserve, std::nullopt);
  given.reserve = ByteCount{0};
  const ServerOptions options = serverOptions(given);
  EXPECT_EQ(options.uploads.reserve, 0U);
  EXPECT_THAT(options.httpAddresses,
              ElementsAre(ListenAddress{"::", 80}, ListenAddress{"10.0.0.1", 5000}));
  EXPECT_THAT(options.blocksAddresses, ElementsAre(ListenAddress{"127.0.0.1", 5003}));
  EXPECT_EQ(options.httpLimits.clients, 5U);
  EXPECT_EQ(options.tls.key, "k");
}

}  // namespace
}  // namespace netcow
