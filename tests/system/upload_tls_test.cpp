// SPDX-License-Identifier: Apache-2.0
//
// Uploads over https: certificates, tokens, and HTTP/2. `netcow serve` speaks HTTP/1.1, so HTTP/2
// is tried with nghttpd, which speaks nothing else.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "server/test_certificate.h"
#include "session/origin.h"
#include "session/session.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kClusters = 3;
constexpr const char* kSecret = "a-secret-of-enough-letters";

class UploadOverTls : public testing::Test {
 protected:
  UploadOverTls() { makeCertificate(certificate_, key_, 1); }

  std::string write(const std::string& name, const std::string& content) {
    const std::string path = temporary_ / name;
    std::ofstream(path) << content;
    return path;
  }
  /// A block in each cluster.
  std::string makeSession(const std::string& prefix) {
    const std::string folder = temporary_ / "session";
    NewSession settings;
    settings.imageName = "pc";
    settings.uploadUuid = "12345678-1234-1234-1234-123456789abc";
    settings.baseSize = kClusters * kClusterSize;
    const auto session = Session::create(folder, settings);
    const std::vector<std::byte> block(kBlockSize, std::byte{'x'});
    for (std::uint64_t cluster = 0; cluster < kClusters; ++cluster) {
      EXPECT_FALSE(session->write(block, cluster * kClusterSize));
    }
    Origin origin;
    origin.imageName = "pc";
    origin.revision = 1;
    origin.baseSize = settings.baseSize;
    origin.uploadPrefix = prefix;
    origin.save(folder);
    EXPECT_FALSE(session->close());
    return folder;
  }

  TemporaryDirectory temporary_;
  const std::string certificate_ = temporary_ / "certificate.pem";
  const std::string key_ = temporary_ / "key.pem";
};

class UploadToServe : public UploadOverTls {
 protected:
  UploadToServe() {
    std::filesystem::create_directory(images_);
    writeFile(images_ + "/pc.r1", std::vector<std::byte>(kClusters * kClusterSize));
    const std::string tokens = write(
        "tokens", std::string("[lecturer]\nimages = [\"pc\"]\ntoken = \"") + kSecret + "\"\n");
    server_ = std::make_unique<RunningServer>(
        images_, Arguments{"--tls-cert", certificate_, "--tls-key", key_, "--token-file", tokens});
    prefix_ = "https://localhost:" + server_->httpAddress().substr(sizeof "127.0.0.1");
  }

  const std::string images_ = temporary_ / "images";
  std::unique_ptr<RunningServer> server_;
  std::string prefix_;
};

TEST_F(UploadToServe, ReachesTheNewRevisionWithTheRightTokenAndCertificate) {
  const std::string token = write("token", std::string(kSecret) + "\n");
  RunningMount mount(temporary_ / "mnt",
                     {"-h", server_->blocksAddress(), "-i", "pc", "-c", temporary_ / "session",
                      "-C", prefix_, "-m", "--ca-file", certificate_, "--token-file", token});
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  const std::vector<std::byte> content(kBlockSize * 2, std::byte{'y'});
  {
    std::fstream image(mount.image(), std::ios::binary | std::ios::in | std::ios::out);
    image.seekp(kClusterSize - kBlockSize);
    image.write(reinterpret_cast<const char*>(content.data()),
                static_cast<std::streamsize>(content.size()));
    ASSERT_TRUE(image.flush());
  }
  const ProcessResult result = mount.unmount();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  std::vector<std::byte> expected(kClusters * kClusterSize);
  std::ranges::copy(content, expected.begin() + kClusterSize - kBlockSize);
  ASSERT_TRUE(waitUntil([&] { return std::filesystem::exists(images_ + "/pc.r2"); }));
  EXPECT_TRUE(readFile(images_ + "/pc.r2") == expected);
  EXPECT_THAT(result.output, Not(HasSubstr(kSecret)));
}

TEST_F(UploadToServe, SendsNothingToAServerThatItCannotTrust) {
  const std::string token = write("token", kSecret);
  const ProcessResult result = runNetcow({"upload", "--token-file", token, makeSession(prefix_)});
  EXPECT_EQ(result.exitStatus, 3) << result.output;
  EXPECT_THAT(result.output, HasSubstr("--ca-file"));
}

TEST_F(UploadToServe, SaysWhatIsWrongWithTheToken) {
  const std::string folder = makeSession(prefix_);
  const std::string other = write("token", "another-one-of-enough-letters");
  for (const Arguments& token : {Arguments{}, Arguments{"--token-file", other}}) {
    Arguments all = {"upload", "--ca-file", certificate_};
    all.insert(all.end(), token.begin(), token.end());
    all.push_back(folder);
    const ProcessResult result = runNetcow(all);
    EXPECT_EQ(result.exitStatus, 3) << result.output;
    EXPECT_THAT(result.output, HasSubstr("401"));
    EXPECT_THAT(result.output, HasSubstr("--token-file"));
  }
}

TEST_F(UploadOverTls, UsesHttp2WhereTheServerHasIt) {
  // A server of files answers a POST with the file of that name.
  const std::string files = temporary_ / "files";
  std::filesystem::create_directories(files + "/v1/file");
  for (const char* call : {"update", "merge"}) {
    write(std::string("files/v1/file/") + call, "");
  }
  write("files/v1/file/status", R"({"state":"Done"})");
  const std::string port = std::to_string(freePort());
  Process server({"/usr/sbin/nghttpd", "--verbose", "--address=127.0.0.1", "--htdocs=" + files,
                  port, key_, certificate_});
  ASSERT_TRUE(server.waitForOutput("listen")) << server.output();
  const std::string token = write("token", kSecret);
  const ProcessResult result = runNetcow({"upload", "-m", "--ca-file", certificate_, "--token-file",
                                          token, makeSession("https://localhost:" + port)});
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  const std::string seen = server.output();
  for (const char* path :
       {"/v1/file/update?uuid=12345678-1234-1234-1234-123456789abc&clusterindex=0",
        "clusterindex=1", "clusterindex=2", "/v1/file/merge"}) {
    EXPECT_THAT(seen, HasSubstr(path));
  }
  EXPECT_THAT(seen, HasSubstr(std::string("authorization: Bearer ") + kSecret));
  // Uploads share a connection; only the merge has one of its own.
  EXPECT_THAT(seen, Not(HasSubstr("[id=3]")));
}

}  // namespace
}  // namespace netcow::test
