// SPDX-License-Identifier: Apache-2.0
// `netcow serve` as an administrator runs it: its file of options, its signals.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include "server/http_client.h"
#include "support/temporary_directory.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using testing::HasSubstr;

class Serve : public testing::Test {
 protected:
  Serve() {
    std::filesystem::create_directories(images_);
    writeFile(images_ + "/lab.r1", std::vector<std::byte>(8192));
  }
  void configure(const std::string& more) {
    std::ofstream(config_) << "images = \"" << images_ << "\"\nlisten = \"127.0.0.1:0\"\n"
                           << "http = \"127.0.0.1:0\"\n"
                           << more;
  }
  void start() {
    server_ = std::make_unique<Process>(
        std::vector<std::string>{NETCOW_PROGRAM, "serve", "--config", config_});
    ASSERT_TRUE(server_->waitForOutput("takes uploads on http://")) << server_->output();
    std::smatch found;
    const std::string output = server_->output();
    ASSERT_TRUE(std::regex_search(output, found, std::regex("http://127.0.0.1:([0-9]+)/")));
    port_ = static_cast<std::uint16_t>(std::stoi(found[1]));
  }
  unsigned statusOfCreate(const std::string& token) {
    HttpClient client(port_);
    const std::string form = "revision=1&bitfieldSize=40&imageName=lab";
    client.send("POST /v1/file/create HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token +
                "\r\nContent-Length: " + std::to_string(form.size()) + "\r\n\r\n" + form);
    return client.receive().status;
  }
  void writeToken(const std::string& secret) {
    std::ofstream(tokens_) << "[admin]\ntoken = \"" << secret << "\"\nadmin = true\n";
    std::filesystem::permissions(
        tokens_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }

  TemporaryDirectory directory_;
  const std::string images_ = directory_ / "images";
  const std::string config_ = directory_ / "serve.toml";
  const std::string tokens_ = directory_ / "tokens.toml";
  std::unique_ptr<Process> server_;
  std::uint16_t port_ = 0;
};

TEST_F(Serve, ReadsItsFileAgainAtSighup) {
  writeToken("first-secret-0001");
  configure("token-file = \"" + tokens_ + "\"\n");
  start();
  EXPECT_EQ(statusOfCreate("first-secret-0001"), 200U);

  writeToken("other-secret-0002");
  configure("token-file = \"" + tokens_ + "\"\nstate = \"/elsewhere\"\ndebug = true\n");
  server_->signal(SIGHUP);
  ASSERT_TRUE(server_->waitForOutput("read the configuration again")) << server_->output();
  EXPECT_THAT(server_->output(), HasSubstr("state changed in the configuration: that takes a"));
  EXPECT_EQ(statusOfCreate("first-secret-0001"), 401U);
  EXPECT_EQ(statusOfCreate("other-secret-0002"), 200U);

  configure("max-http-clients = \"many\"\n");
  server_->signal(SIGHUP);
  ASSERT_TRUE(server_->waitForOutput("keeps the old configuration")) << server_->output();
  EXPECT_THAT(server_->output(),
              HasSubstr(config_ + ":4: \"max-http-clients\" must be a number, at least 1"));
  EXPECT_EQ(statusOfCreate("other-secret-0002"), 200U);

  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait().exitStatus, 0);
}

TEST_F(Serve, AClientThatIsSlowDoesNotHoldUpItsEnd) {
  configure("");
  start();
  HttpClient idle(port_);
  EXPECT_EQ(idle.get("/healthz").status, 200U);
  HttpClient half(port_);
  half.send(std::string("POST /v1/file/create HTTP/1.1\r\nContent-Length: 1000\r\n\r\nx"));
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(std::chrono::seconds(20)).exitStatus, 0);
}

TEST_F(Serve, WarnsOfATokenFileThatOthersCanReadAndOfNoneOnAnOpenPort) {
  writeToken("first-secret-0001");
  std::filesystem::permissions(tokens_, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  configure("token-file = \"" + tokens_ + "\"\n");
  start();
  EXPECT_THAT(server_->output(), HasSubstr("chmod 600 " + tokens_));
  server_.reset();
  configure("");
  server_ = std::make_unique<Process>(std::vector<std::string>{NETCOW_PROGRAM, "serve", "--config",
                                                               config_, "--http", "0.0.0.0:0"});
  ASSERT_TRUE(server_->waitForOutput("takes uploads on"));
  EXPECT_THAT(server_->output(), HasSubstr("see --token-file"));
}

TEST_F(Serve, SaysInOneLineWhyItDoesNotStart) {
  configure("colour = 1\n");
  const ProcessResult unknown = runNetcow({"serve", "--config", config_});
  EXPECT_EQ(unknown.exitStatus, 1);
  EXPECT_THAT(unknown.output, HasSubstr(config_ + ":4: unknown key \"colour\"; known are images"));
  EXPECT_EQ(std::ranges::count(unknown.output, '\n'), 1);
  const ProcessResult nothing = runNetcow({"serve"});
  EXPECT_EQ(nothing.exitStatus, 2);
  EXPECT_THAT(nothing.output, HasSubstr("--images"));
  const ProcessResult half = runNetcow({"serve", "--images", images_, "--tls-cert", "/x"});
  EXPECT_EQ(half.exitStatus, 2);
  EXPECT_THAT(half.output, HasSubstr("--tls-key"));
  const ProcessResult cert =
      runNetcow({"serve", "--images", images_, "--tls-cert", config_, "--tls-key", config_,
                 "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0"});
  EXPECT_EQ(cert.exitStatus, 1);
  EXPECT_THAT(cert.output, HasSubstr("cannot use the certificate " + config_));
}

}  // namespace
}  // namespace netcow::test
