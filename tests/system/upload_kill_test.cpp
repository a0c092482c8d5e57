// SPDX-License-Identifier: Apache-2.0
// Clients of the upload service go through whole lives of uploads while the server is killed again
// and again. Each client asks again until it is answered, as netcow's own does, and knows from the
// answers what the new images must be.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "server/http_client.h"
#include "server/upload_content.h"
#include "support/seeded_cases.h"
#include "support/temporary_directory.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kClusterBytes = 1'310'720;
constexpr std::uint64_t kClusters = 3;

std::uint16_t portOf(const RunningServer& server) {
  const std::string address = server.httpAddress();
  return static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
}

/// What all clients found, together.
struct Findings {
  std::mutex mutex;
  std::vector<std::string> wrong;
  std::set<int> revisions;  ///< that came of merges
  std::map<std::string, int> ends;

  void complain(const std::string& what) {
    const std::lock_guard lock(mutex);
    wrong.push_back(what);
  }
};

class Client {
 public:
  Client(std::uint16_t port, std::string images, const std::vector<std::byte>& base,
         SeededRandom random, Findings& findings)
      : port_(port),
        images_(std::move(images)),
        base_(base),
        random_(std::move(random)),
        findings_(findings) {}

  /// One upload from its beginning to its end.
  void live() {
    sent_.clear();
    const HttpAnswer created =
        insist("POST", "/v1/file/create", "revision=1&bitfieldSize=40&imageName=win");
    uuid_ = created.body;
    for (;;) {
      for (std::uint64_t left = random_.between(1, 6); left > 0; --left) {
        update();
      }
      if (random_.oneIn(8)) {
        end("deleted");
        const unsigned status = insist("DELETE", "/v1/file/session?uuid=" + uuid_, "").status;
        // 404 when the answer to the first try was lost.
        expect(status == 200 || status == 404, "DELETE gave " + std::to_string(status));
        expect(insist("GET", "/v1/file/status?uuid=" + uuid_, "").status == 404,
               "a deleted upload is still there");
        return;
      }
      if (merge()) {
        return;
      }
    }
  }

 private:
  void expect(bool good, const std::string& what) {
    if (!good) {
      findings_.complain("upload " + uuid_ + ": " + what);
    }
  }
  void end(const std::string& how) {
    const std::lock_guard lock(findings_.mutex);
    ++findings_.ends[how];
  }

  /// Asks until there is an answer.
  HttpAnswer insist(const std::string& method, const std::string& target, const std::string& body) {
    for (;;) {
      try {
        if (!http_) {
          http_ = std::make_unique<HttpClient>(port_);
        }
        http_->send(method + " " + target + " HTTP/1.1\r\nHost: test\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body);
        const HttpAnswer answer = http_->receive();
        if (answer.status != 503) {
          return answer;
        }
      } catch (const std::exception&) {
        http_.reset();
      }
      pauseBetweenLooks();
    }
  }

  void update() {
    const std::uint64_t cluster = random_.between(0, kClusters - 1);
    const ClusterContent content =
        randomCluster(random_, {random_.between(0, 9), random_.between(10, 319)});
    const auto body = updateBody(content);
    const HttpAnswer answer =
        insist("POST", "/v1/file/update?uuid=" + uuid_ + "&clusterindex=" + std::to_string(cluster),
               {reinterpret_cast<const char*>(body.data()), body.size()});
    expect(answer.status == 200, "an update gave " + std::to_string(answer.status) + answer.body);
    sent_[cluster] = content;
  }

  /// False if the merge was cancelled.
  bool merge() {
    const std::uint64_t size = base_.size() - 4096 * random_.between(0, 500);
    const std::string form = "originalFileSize=" + std::to_string(size) +
                             "&newFileSize=" + std::to_string(size) + "&uuid=" + uuid_;
    expect(insist("POST", "/v1/file/merge", form).status == 200, "a merge was refused");
    if (random_.oneIn(3)) {
      insist("POST", "/v1/file/cancel?uuid=" + uuid_, "");  // 409 if it is too late
    }
    nlohmann::json status;
    do {
      pauseBetweenLooks();
      status = nlohmann::json::parse(insist("GET", "/v1/file/status?uuid=" + uuid_, "").body);
    } while (status["state"] == "Merging");
    if (status["state"] == "Active") {
      end("cancelled");
      return false;
    }
    end("merged");
    expect(status["state"] == "Done", status.dump());
    compare(status["newImageVersion"], size);
    return true;
  }

  void compare(int revision, std::uint64_t size) {
    {
      const std::lock_guard lock(findings_.mutex);
      expectOnlyOnce(findings_.revisions.insert(revision).second, revision);
    }
    const std::string file = images_ + "/win.r" + std::to_string(revision);
    expect(readFile(file) == expectedImage(base_, size, size, sent_),
           file + " is not what was uploaded");
  }
  void expectOnlyOnce(bool first, int revision) {
    if (!first) {
      findings_.wrong.push_back("two merges made revision " + std::to_string(revision));
    }
  }

  const std::uint16_t port_;
  const std::string images_;
  const std::vector<std::byte>& base_;
  SeededRandom random_;
  Findings& findings_;
  std::unique_ptr<HttpClient> http_;
  std::string uuid_;
  std::map<std::uint64_t, ClusterContent> sent_;  ///< and acknowledged
};

/// Every file of the folder that is neither the state folder nor an image that somebody merged.
std::vector<std::string> strangeFiles(const std::string& images, const std::set<int>& revisions) {
  std::vector<std::string> strange;
  for (const auto& entry : fs::directory_iterator(images)) {
    const std::string name = entry.path().filename();
    const bool known = name == ".netcow" || name == "win.r1" ||
                       (name.starts_with("win.r") && !name.ends_with(".crc") &&
                        revisions.contains(std::stoi(name.substr(5)))) ||
                       name.ends_with(".crc");
    if (!known) {
      strange.push_back(name);
    }
  }
  return strange;
}

TEST(UploadKill, AtAnyMomentLosesNothingAndMergesExactlyOnce) {
  SeededRandom random;
  const TemporaryDirectory directory;
  const std::string images = directory / "images";
  fs::create_directory(images);
  const auto base = random.bytes(kClusters * kClusterBytes);
  writeFile(images + "/win.r1", base);
  RunningServer server(images);
  Findings findings;
  std::atomic<bool> stop = false;
  std::vector<std::jthread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, seeded = random.fork()]() mutable {
      Client client(portOf(server), images, base, std::move(seeded), findings);
      while (!stop) {
        client.live();
      }
    });
  }
  for (int kills = longRun() ? 1'000 : 15; kills > 0; --kills) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random.between(1, 400)));
    server.kill();
    server.start();
  }
  stop = true;
  clients.clear();
  server.stop();
  for (const std::string& wrong : findings.wrong) {
    ADD_FAILURE() << wrong;
  }
  EXPECT_EQ(strangeFiles(images, findings.revisions), std::vector<std::string>());
  for (const char* end : {"merged", "cancelled", "deleted"}) {
    std::cout << findings.ends[end] << " uploads " << end << "\n";
  }
  EXPECT_GT(findings.ends["merged"], 0);
}

}  // namespace
}  // namespace netcow::test
