// SPDX-License-Identifier: Apache-2.0
// Many clients of the upload service at once, over HTTP.
#include <gmock/gmock.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "server/http_client.h"
#include "server/server.h"
#include "server/test_files.h"
#include "server/upload_content.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using test::ClusterContent;
using test::HttpClient;

constexpr std::uint64_t kClusterBytes = 1'310'720;
constexpr std::uint64_t kClusters = 2;

/// One of many who upload, each with an upload of its own.
class Client {
 public:
  Client(std::uint16_t port, test::SeededRandom random) : http_(port), random_(std::move(random)) {}

  void create() {
    uuid_ = http_.post("/v1/file/create", "revision=1&bitfieldSize=40&imageName=win").body;
  }

  void update() {
    const std::uint64_t cluster = random_.between(0, kClusters - 1);
    sent_[cluster] = randomCluster(random_, {random_.between(0, 99), random_.between(100, 319)});
    const auto answer =
        http_.post("/v1/file/update?uuid=" + uuid_ + "&clusterindex=" + std::to_string(cluster),
                   test::updateBody(sent_[cluster]));
    EXPECT_EQ(answer.status, 200U) << answer.body;
  }

  /// Merges, and compares the new image.
  void merge(const test::Bytes& base, const fs::path& images) {
    const std::string size = std::to_string(base.size());
    http_.post("/v1/file/merge",
               "originalFileSize=" + size + "&newFileSize=" + size + "&uuid=" + uuid_);
    auto state = status();
    while (state["state"] == "Merging") {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      state = status();
    }
    ASSERT_EQ(state["state"], "Done") << state;
    const std::string file = "win.r" + std::to_string(state["newImageVersion"].get<int>());
    EXPECT_TRUE(test::readFile(images / file) ==
                test::expectedImage(base, base.size(), base.size(), sent_));
    fs::remove(images / file);
  }

 private:
  nlohmann::json status() {
    return nlohmann::json::parse(http_.get("/v1/file/status?uuid=" + uuid_).body);
  }

  HttpClient http_;
  test::SeededRandom random_;
  std::string uuid_;
  std::map<std::uint64_t, ClusterContent> sent_;
};

TEST(UploadLoad, TwoHundredUploadsAtOnceAllMakeProgress) {
  constexpr int kUploads = 200;
  test::SeededRandom random;
  const test::TemporaryDirectory directory;
  const fs::path images = directory.path() / "images";
  const auto base = random.bytes(kClusters * kClusterBytes);
  test::writeFile(images / "win.r1", base);
  ServerOptions options;
  options.imagesFolder = images;
  options.blocksAddresses.front().port = 0;
  options.httpAddresses.front().port = 0;
  Server server(options);

  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kUploads; ++i) {
    clients.push_back(std::make_unique<Client>(server.httpPort(), random.fork()));
  }
  std::atomic<int> inFirstRound = kUploads;
  std::vector<std::jthread> threads;
  for (const auto& client : clients) {
    threads.emplace_back([&] {
      client->create();
      client->update();
      // Nobody is served twice as long as somebody was not served at all.
      for (--inFirstRound; inFirstRound > 0;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      client->update();
      client->update();
    });
  }
  threads.clear();
  for (std::size_t i = 0; i < clients.size(); i += 20) {
    clients[i]->merge(base, images);
  }
  clients.clear();
  server.stop();
}

}  // namespace
}  // namespace netcow
