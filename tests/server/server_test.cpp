// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/errors.h"
#include "server/dnbd3_bytes.h"
#include "server/http_client.h"
#include "server/raw_client.h"
#include "server/test_files.h"
#include "server/upload_content.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::ByteWriter;
using test::HttpClient;
using test::RawClient;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kClusterBytes = 1'310'720;

/// A whole server, spoken to by its two ports only.
class ServerTest : public testing::Test {
 protected:
  ServerTest() { fs::create_directory(images_); }

  ServerOptions options() {
    ServerOptions options;
    options.imagesFolder = images_;
    options.blocksAddresses.front().port = 0;
    options.httpAddresses.front().port = 0;
    return options;
  }
  void start() { server_ = std::make_unique<Server>(options()); }

  HttpClient http() { return HttpClient(server_->httpPort()); }
  std::string create(const std::string& name, int revision) {
    const auto answer = http().post("/v1/file/create", "revision=" + std::to_string(revision) +
                                                           "&bitfieldSize=40&imageName=" + name);
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return answer.body;
  }
  void send(const std::string& uuid, std::uint64_t cluster, const test::ClusterContent& content) {
    const auto answer =
        http().post("/v1/file/update?uuid=" + uuid + "&clusterindex=" + std::to_string(cluster),
                    test::updateBody(content));
    ASSERT_EQ(answer.status, 200U) << answer.body;
    sent_[cluster] = content;
  }
  /// Merges and waits; returns the new revision.
  int merge(const std::string& uuid, std::uint64_t originalSize, std::uint64_t newSize) {
    const auto answer = http().post(
        "/v1/file/merge", "originalFileSize=" + std::to_string(originalSize) +
                              "&newFileSize=" + std::to_string(newSize) + "&uuid=" + uuid);
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return waitForMerge(uuid);
  }
  int waitForMerge(const std::string& uuid) {
    HttpClient client = http();
    for (;;) {
      const auto state = nlohmann::json::parse(client.get("/v1/file/status?uuid=" + uuid).body);
      if (state["state"] != "Merging") {
        EXPECT_EQ(state["state"], "Done") << state;
        return state["newImageVersion"];
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  /// The whole image as a dnbd3 client sees it.
  Bytes download(const std::string& name, std::uint16_t revision, std::uint64_t servedSize) {
    RawClient client(server_->blocksPort());
    client.send(test::selectImage(name, revision));
    const Bytes expected = test::selectReply(name, revision, servedSize);
    EXPECT_EQ(client.receive(expected.size()), expected);
    client.send(test::getBlock(0, static_cast<std::uint32_t>(servedSize), 1));
    client.receive(16);
    return client.receive(servedSize);
  }

  test::SeededRandom random_;
  test::TemporaryDirectory directory_;
  const fs::path images_ = directory_.path() / "images";
  std::map<std::uint64_t, test::ClusterContent> sent_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, PublishesWhatWasUploadedAsANewRevision) {
  const Bytes base = random_.bytes(2 * kClusterBytes);
  test::writeFile(images_ / "sub/win.r1", base);
  start();
  const std::string uuid = create("sub%2Fwin", 1);
  send(uuid, 0, test::randomCluster(random_, {0, 1, 2, 300}));
  send(uuid, 1, test::randomCluster(random_, {319}));
  EXPECT_EQ(merge(uuid, base.size(), base.size()), 2);
  const Bytes expected = test::expectedImage(base, base.size(), base.size(), sent_);
  EXPECT_EQ(test::readFile(images_ / "sub/win.r2"), expected);
  EXPECT_EQ(download("sub/win", 2, expected.size()), expected);
  EXPECT_EQ(download("sub/win", 1, base.size()), base);
}

TEST_F(ServerTest, MergesAnImageOfAnOddSizeIntoTheRoundedSize) {
  const Bytes base = random_.bytes(10'000);  // clients see 12 288
  test::writeFile(images_ / "odd.r1", base);
  start();
  const std::string uuid = create("odd", 1);
  send(uuid, 0, test::randomCluster(random_, {1}));
  EXPECT_EQ(merge(uuid, 12'288, 12'288), 2);
  const Bytes expected = test::expectedImage(base, 12'288, 12'288, sent_);
  EXPECT_EQ(test::readFile(images_ / "odd.r2"), expected);
  EXPECT_EQ(download("odd", 2, 12'288), expected);
}

TEST_F(ServerTest, MergesAnImageThatGrew) {
  const Bytes base = random_.bytes(100'000);
  test::writeFile(images_ / "win.r1", base);
  start();
  const std::string uuid = create("win", 1);
  const std::uint64_t grown = 2 * kClusterBytes + 777;
  send(uuid, 2, test::randomCluster(random_, {0}));  // only its first 777 bytes lie in the image
  send(uuid, 1, test::randomCluster(random_, {5}));
  EXPECT_EQ(merge(uuid, 102'400, grown), 2);
  EXPECT_EQ(test::readFile(images_ / "win.r2"), test::expectedImage(base, 102'400, grown, sent_));
}

TEST_F(ServerTest, MergesAnImageThatWasCutAndGrewAgain) {
  const Bytes base = random_.bytes(2 * kClusterBytes);
  test::writeFile(images_ / "win.r1", base);
  start();
  const std::string uuid = create("win", 1);
  send(uuid, 0, test::randomCluster(random_, {0, 100}));
  EXPECT_EQ(merge(uuid, 50'001, kClusterBytes), 2);
  EXPECT_EQ(test::readFile(images_ / "win.r2"),
            test::expectedImage(base, 50'001, kClusterBytes, sent_));
}

TEST_F(ServerTest, MergesAnImageThatShrank) {
  const Bytes base = random_.bytes(2 * kClusterBytes);
  test::writeFile(images_ / "win.r1", base);
  start();
  const std::string uuid = create("win", 1);
  send(uuid, 1, test::randomCluster(random_, {0, 100}));  // wholly beyond the new end
  send(uuid, 0, test::randomCluster(random_, {4, 200}));
  EXPECT_EQ(merge(uuid, 20'000, 20'000), 2);
  EXPECT_EQ(test::readFile(images_ / "win.r2"), test::expectedImage(base, 20'000, 20'000, sent_));
}

TEST_F(ServerTest, GoesOnWhereAKilledServerStopped) {
  const Bytes base = random_.bytes(kClusterBytes);
  test::writeFile(images_ / "win.r1", base);
  start();
  const std::string uuid = create("win", 1);
  send(uuid, 0, test::randomCluster(random_, {0, 1, 2}));
  server_.reset();  // without stop(): what a kill leaves
  start();
  send(uuid, 1, test::randomCluster(random_, {7}));
  http().post("/v1/file/merge", "originalFileSize=1310720&newFileSize=2621440&uuid=" + uuid);
  server_.reset();
  start();
  EXPECT_EQ(waitForMerge(uuid), 2);
  EXPECT_EQ(test::readFile(images_ / "win.r2"),
            test::expectedImage(base, kClusterBytes, 2 * kClusterBytes, sent_));
}

TEST_F(ServerTest, ServesAnImageThatAppearsByItself) {
  start();
  RawClient early(server_->blocksPort());
  early.send(test::selectImage("late", 0));
  EXPECT_THAT(early.receiveUntilClosed(), IsEmpty());
  const Bytes content = random_.bytes(8192);
  test::writeFile(images_ / "late.r3", content);
  EXPECT_EQ(download("late", 3, 8192), content);
}

TEST_F(ServerTest, KeepsServingAnImageWhoseNameIsRemoved) {
  const Bytes content = random_.bytes(8192);
  test::writeFile(images_ / "win.r1", content);
  start();
  RawClient client(server_->blocksPort());
  client.send(test::selectImage("win", 1));
  client.receive(test::selectReply("win", 1, 8192).size());
  fs::remove(images_ / "win.r1");
  client.send(test::getBlock(0, 8192, 9));
  EXPECT_EQ(client.receive(16 + 8192), test::reply(1, 9, content));
}

TEST_F(ServerTest, ServesNothingOutsideItsFolder) {
  test::writeFile(directory_.path() / "secret.r1", random_.bytes(4096));
  fs::create_directory(images_ / "sub");
  start();
  for (const std::string name : {"../secret", "sub/../../secret", "/secret", ".netcow/registry"}) {
    RawClient client(server_->blocksPort());
    client.send(test::selectImage(name, 1));
    EXPECT_THAT(client.receiveUntilClosed(), IsEmpty()) << name;
    const auto answer =
        http().post("/v1/file/create", "revision=1&bitfieldSize=40&imageName=" + name);
    EXPECT_EQ(answer.status, 404U) << name;
  }
  for (const std::string path : {"/../../secret.r1", "/cow/../secret.r1", "/%2e%2e/secret.r1"}) {
    EXPECT_EQ(http().get(path).status, 404U) << path;
  }
}

TEST_F(ServerTest, ShowsAPageAndWhatIsOnIt) {
  test::writeFile(images_ / "<win>.r1", random_.bytes(4096));
  start();
  const std::string uuid = create("%3Cwin%3E", 1);
  for (const std::string prefix : {"/", "/cow/"}) {
    const auto page = http().get(prefix);
    EXPECT_EQ(page.status, 200U);
    EXPECT_THAT(page.header, HasSubstr("Content-Type: text/html"));
    EXPECT_THAT(page.header, HasSubstr("Content-Security-Policy: default-src 'none'"));
    EXPECT_EQ(http().get(prefix + "page/page.js").status, 200U);
    const auto overview = http().get(prefix + "api/v1/overview");
    EXPECT_THAT(overview.header, HasSubstr("Content-Type: application/json"));
    EXPECT_THAT(overview.body, testing::Not(HasSubstr(uuid)));
    const auto json = nlohmann::json::parse(overview.body);
    EXPECT_EQ(json["images"]["list"][0]["name"], "<win>");
    EXPECT_EQ(json["uploads"]["list"][0]["state"], "Active");
  }
  EXPECT_EQ(http().post("/", "").status, 405U);
}

TEST_F(ServerTest, ButtonsOfThePageDoTheirWork) {
  test::writeFile(images_ / "win.r1", random_.bytes(8192));
  start();
  const std::string uuid = create("win", 1);
  const auto before = nlohmann::json::parse(http().get("/api/v1/overview").body);
  const std::string form = "key=" + before["uploads"]["list"][0]["key"].get<std::string>() +
                           "&originalFileSize=8192&newFileSize=4096";
  HttpClient client = http();
  client.send(
      "POST /api/v1/uploads/merge HTTP/1.1\r\nHost: x\r\nX-Netcow-Page: 1\r\n"
      "Content-Length: " +
      std::to_string(form.size()) + "\r\n\r\n" + form);
  const auto answer = client.receive();
  EXPECT_EQ(answer.status, 200U) << answer.body;
  EXPECT_EQ(waitForMerge(uuid), 2);
  EXPECT_EQ(fs::file_size(images_ / "win.r2"), 4096U);
}

TEST_F(ServerTest, RefusesChangesThatAPageOfAnotherSiteAsksFor) {
  test::writeFile(images_ / "win.r1", random_.bytes(8192));
  start();
  const std::string form = "imageName=win&revision=1&bitfieldSize=40";
  HttpClient client = http();
  client.send(
      "POST /v1/file/create HTTP/1.1\r\nHost: netcow:5000\r\nOrigin: http://other\r\n"
      "Content-Length: " +
      std::to_string(form.size()) + "\r\n\r\n" + form);
  EXPECT_EQ(client.receive().status, 403U);
  const auto overview = nlohmann::json::parse(http().get("/api/v1/overview").body);
  EXPECT_EQ(overview["uploads"]["total"], 0);
}

TEST_F(ServerTest, TellsMetrics) {
  test::writeFile(images_ / "win.r1", random_.bytes(8192));
  start();
  download("win", 1, 8192);
  create("win", 1);
  const auto metrics = http().get("/cow/metrics");
  EXPECT_EQ(metrics.status, 200U);
  EXPECT_THAT(metrics.header, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(metrics.body, HasSubstr("\nnetcow_dnbd3_sent_bytes_total 8192\n"));
  EXPECT_THAT(metrics.body, HasSubstr("\nnetcow_uploads{state=\"active\"} 1\n"));
  EXPECT_THAT(metrics.body,
              HasSubstr("\nnetcow_http_requests_total{call=\"create\",code=\"2xx\"} 1\n"));
  EXPECT_EQ(http().post("/metrics", "").status, 405U);
}

TEST_F(ServerTest, TellsWhatItServesWhere) {
  start();
  EXPECT_THAT(server_->describe(),
              testing::ElementsAre(HasSubstr("127.0.0.1:" + std::to_string(server_->blocksPort())),
                                   HasSubstr("127.0.0.1:" + std::to_string(server_->httpPort()))));
}

/// The line that the user sees when a server cannot start.
std::string whyNot(const ServerOptions& options) {
  try {
    const Server server(options);
    return "it started";
  } catch (const UserError& error) {
    return error.what();
  }
}

TEST_F(ServerTest, RefusesAStateFolderInUse) {
  start();
  EXPECT_THAT(whyNot(options()), HasSubstr("in use by another netcow serve"));
  server_->stop();
  server_.reset();
  EXPECT_NO_THROW(start());
}

TEST_F(ServerTest, RefusesAPortInUse) {
  start();
  ServerOptions other = options();
  other.stateFolder = directory_ / "state";
  other.blocksAddresses.front().port = server_->blocksPort();
  EXPECT_THAT(whyNot(other), HasSubstr("cannot listen on 127.0.0.1:"));
  other.blocksAddresses.front().port = 0;
  other.httpAddresses.front().port = server_->httpPort();
  EXPECT_THAT(whyNot(other), HasSubstr("Address already in use"));
}

TEST_F(ServerTest, RefusesFoldersThatCannotBeUsed) {
  ServerOptions missing = options();
  missing.imagesFolder = directory_ / "nowhere";
  EXPECT_THAT(whyNot(missing), HasSubstr(missing.imagesFolder + ": No such file"));
  ServerOptions state = options();
  state.stateFolder = directory_ / "nowhere/state";
  EXPECT_THAT(whyNot(state), HasSubstr("--state"));
  test::writeFile(directory_ / "file", {});
  state.stateFolder = directory_ / "file";
  EXPECT_THAT(whyNot(state), HasSubstr("--state"));
}

}  // namespace
}  // namespace netcow
