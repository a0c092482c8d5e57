// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload_api.h"

#include <gmock/gmock.h>

#include <future>
#include <nlohmann/json.hpp>

#include "server/http/request_path.h"
#include "server/test_files.h"
#include "server/upload_content.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::bytesOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kBaseSize = 1'310'720;

/// The API without sockets.
class UploadApiTest : public testing::Test {
 protected:
  HttpResponse ask(const std::string& method, const std::string& target, const Bytes& body = {}) {
    std::promise<HttpResponse> answer;
    api_.handle(canonicalPath(target).value(),
                {.method = method, .target = target, .body = body, .sequence = ++sequence_},
                "lab 7",
                HttpReply([&](HttpResponse response) { answer.set_value(std::move(response)); }));
    return answer.get_future().get();
  }
  HttpResponse post(const std::string& target, const std::string& form) {
    return ask("POST", target, bytesOf(form));
  }
  std::string newUpload() {
    return post("/v1/file/create", "revision=1&bitfieldSize=40&imageName=my+win").body;
  }
  HttpResponse update(const std::string& uuid, const std::string& cluster, const Bytes& body) {
    return ask("POST", "/v1/file/update?uuid=" + uuid + "&clusterindex=" + cluster, body);
  }
  nlohmann::json status(const std::string& uuid) {
    return nlohmann::json::parse(ask("GET", "/v1/file/status?uuid=" + uuid).body);
  }
  /// Without what depends on the clock; that must be there.
  static nlohmann::json withoutTimes(nlohmann::json answer) {
    EXPECT_LE(answer.at("created"), answer.at("lastActivity"));
    EXPECT_GE(answer.at("mergeSeconds"), 0.0);
    for (const char* time : {"created", "lastActivity", "mergeSeconds"}) {
      answer.erase(time);
    }
    return answer;
  }
  static void expectOneClearLine(const HttpResponse& response, unsigned status) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_FALSE(response.body.empty());
    EXPECT_THAT(response.body, Not(HasSubstr("\n")));
  }

  test::SeededRandom random_;
  test::TemporaryDirectory directory_;
  const fs::path images_ = directory_.path() / "images";
  const fs::path state_ = directory_.path() / "state";
  ImageCatalog catalog_ = [this] {
    test::writeFile(images_ / "my win.r1", random_.bytes(kBaseSize));
    return ImageCatalog(images_);
  }();
  const bool made_ = fs::create_directory(state_);
  std::uint64_t sequence_ = 0;
  UploadService service_{state_, catalog_};
  UploadApi api_{service_};
};

TEST_F(UploadApiTest, AnswersCreateWithTheBareUuid) {
  const HttpResponse response =
      post("/v1/file/create", "revision=1&bitfieldSize=40&imageName=my%20win");
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(response.contentType, "text/plain");
  EXPECT_EQ(response.body.size(), 36U);
}

TEST_F(UploadApiTest, TakesTheWholeLifeOfAnUpload) {
  const std::string uuid = newUpload();
  EXPECT_EQ(withoutTimes(status(uuid)),
            nlohmann::json::parse(R"({"state": "Active", "imageName": "my win",
                                      "originalImageVersion": 1, "newImageVersion": -1,
                                      "mergedClusters": 0, "totalClusters": 0,
                                      "owner": "lab 7", "updates": 0, "bytes": 0})"));
  const HttpResponse updated =
      update(uuid, "0", test::updateBody(test::randomCluster(random_, {0, 7, 319})));
  EXPECT_EQ(updated.status, 200U);
  EXPECT_EQ(updated.body, "");
  EXPECT_EQ(ask("GET", "/v1/file/getTopModifiedBlocks?uuid=" + uuid + "&amount=3").body,
            R"([{"clusterNumber":0,"modifications":1}])");
  const HttpResponse merged =
      post("/v1/file/merge", "originalFileSize=1310720&newFileSize=1310720&uuid=" + uuid);
  EXPECT_EQ(merged.status, 200U);
  EXPECT_EQ(merged.body, "Merge started");
  while (status(uuid)["state"] == "Merging") {
  }
  EXPECT_EQ(withoutTimes(status(uuid)),
            nlohmann::json::parse(R"({"state": "Done", "imageName": "my win",
                                      "originalImageVersion": 1, "newImageVersion": 2,
                                      "mergedClusters": 1, "totalClusters": 1,
                                      "owner": "lab 7", "updates": 1, "bytes": 12328})"));
}

TEST_F(UploadApiTest, DeletesAnUpload) {
  const std::string uuid = newUpload();
  EXPECT_EQ(ask("DELETE", "/v1/file/session?uuid=" + uuid).status, 200U);
  for (const HttpResponse& response :
       {ask("DELETE", "/v1/file/session?uuid=" + uuid), ask("GET", "/v1/file/status?uuid=" + uuid),
        update(uuid, "0", Bytes(40)), post("/v1/file/cancel", "uuid=" + uuid)}) {
    expectOneClearLine(response, 404);
  }
  EXPECT_EQ(ask("GET", "/v1/file/session?uuid=" + uuid).allow, "DELETE");
}

TEST_F(UploadApiTest, TakesAWishToCancelAsFormAndAsQuery) {
  const std::string uuid = newUpload();
  expectOneClearLine(post("/v1/file/cancel", "uuid=" + uuid), 409);
  expectOneClearLine(ask("POST", "/V1/File/Cancel?UUID=" + uuid), 409);
  expectOneClearLine(post("/v1/file/cancel", ""), 400);
}

TEST_F(UploadApiTest, TellsWhyAMergeFailed) {
  const std::string uuid = newUpload();
  fs::remove(images_ / "my win.r1");
  post("/v1/file/merge", "originalFileSize=0&newFileSize=1&uuid=" + uuid);
  while (status(uuid)["state"] == "Merging") {
  }
  EXPECT_EQ(status(uuid)["state"], "Failed");
  EXPECT_EQ(status(uuid)["newImageVersion"], -1);
  EXPECT_THAT(status(uuid)["message"].get<std::string>(), HasSubstr("my win.r1"));
}

TEST_F(UploadApiTest, MatchesPathsAndParameterNamesWithoutRegardToCase) {
  const std::string uuid =
      post("/COW//V1/File/CREATE", "REVISION=1&bitfieldsize=40&ImageName=my+win").body;
  ASSERT_EQ(uuid.size(), 36U);
  const Bytes body = test::updateBody({});
  EXPECT_EQ(ask("POST", "//v1/file/Update?UUID=" + uuid + "&ClusterIndex=0", body).status, 200U);
  EXPECT_EQ(ask("GET", "/cow/v1/file/STATUS?Uuid=" + uuid).status, 200U);
}

TEST_F(UploadApiTest, TakesAnUpdateWithoutBlocks) {
  EXPECT_EQ(update(newUpload(), "0", Bytes(40)).status, 200U);
}

TEST_F(UploadApiTest, RefusesABodyOfTheWrongLength) {
  const std::string uuid = newUpload();
  Bytes body = test::updateBody(test::randomCluster(random_, {0, 7, 319}));
  body.push_back(std::byte{0});
  expectOneClearLine(update(uuid, "0", body), 400);
  body.resize(body.size() - 2);
  expectOneClearLine(update(uuid, "0", body), 400);
  body.resize(39);
  expectOneClearLine(update(uuid, "0", body), 400);
  expectOneClearLine(update(uuid, "0", {}), 400);
  EXPECT_EQ(status(uuid)["totalClusters"], 0);
}

TEST_F(UploadApiTest, RefusesABadCluster) {
  const std::string uuid = newUpload();
  const Bytes body(40);
  for (const char* cluster : {"13421773", "18446744073709551615", "18446744073709551616", "-1", "x",
                              "", "0x1", "1+", "%31%"}) {
    expectOneClearLine(update(uuid, cluster, body), 400);
  }
  expectOneClearLine(ask("POST", "/v1/file/update?uuid=" + uuid, body), 400);
  expectOneClearLine(ask("POST", "/v1/file/update?clusterindex=1", body), 400);
  expectOneClearLine(
      ask("POST", "/v1/file/update?clusterindex=1&clusterIndex=2&uuid=" + uuid, body), 400);
}

TEST_F(UploadApiTest, RefusesABadCreate) {
  for (const char* form :
       {"", "revision=1&bitfieldSize=40", "revision=1&imageName=my+win",
        "bitfieldSize=40&imageName=my+win", "revision=1&bitfieldSize=41&imageName=my+win",
        "revision=0&bitfieldSize=40&imageName=my+win", "revision=x&bitfieldSize=40&imageName=x",
        "revision=65537&bitfieldSize=40&imageName=my+win", "revision=1&bitfieldSize=40&imageName=",
        "revision=1&bitfieldSize=40&imageName=my%2", "not a form at all=%"}) {
    expectOneClearLine(post("/v1/file/create", form), 400);
  }
}

TEST_F(UploadApiTest, AnswersNotFoundForAnImageThatIsNotThere) {
  const std::string outside = "..%2F" + images_.filename().string() + "%2Fmy+win";
  for (const std::string& name :
       {std::string("mac"), std::string("my+win.r1"), outside, std::string("..%2Fx"),
        std::string("%2Fetc%2Fpasswd"), std::string(".netcow"), std::string("my+win%00")}) {
    const HttpResponse response =
        post("/v1/file/create", "revision=1&bitfieldSize=40&imageName=" + name);
    EXPECT_EQ(response.status, 404U) << name;
    EXPECT_EQ(response.body, "Image not found");
  }
}

TEST_F(UploadApiTest, AnswersNotFoundForAnUploadThatIsNotThere) {
  newUpload();
  for (const std::string uuid : {"00000000-0000-0000-0000-000000000000", "..", "..%2F..", "%2F"}) {
    for (const HttpResponse& response :
         {update(uuid, "0", Bytes(40)), ask("GET", "/v1/file/status?uuid=" + uuid),
          ask("GET", "/v1/file/gettopmodifiedblocks?amount=1&uuid=" + uuid),
          post("/v1/file/merge", "originalFileSize=1&newFileSize=1&uuid=" + uuid)}) {
      EXPECT_EQ(response.status, 404U) << uuid;
      EXPECT_EQ(response.body, "Session not found");
    }
  }
}

TEST_F(UploadApiTest, RefusesABadMerge) {
  const std::string uuid = newUpload();
  for (const std::string& form :
       {std::string("originalFileSize=1&newFileSize=1"), "newFileSize=1&uuid=" + uuid,
        "originalFileSize=1&uuid=" + uuid, "originalFileSize=-1&newFileSize=1&uuid=" + uuid,
        "originalFileSize=1310721&newFileSize=1310721&uuid=" + uuid,
        "originalFileSize=1310720&newFileSize=0&uuid=" + uuid,
        "originalFileSize=1310720&newFileSize=17592186044417&uuid=" + uuid}) {
    expectOneClearLine(post("/v1/file/merge", form), 400);
  }
  EXPECT_EQ(status(uuid)["state"], "Active");
}

TEST_F(UploadApiTest, AnswersConflictToAnotherMergeAndToLateUpdates) {
  const std::string uuid = newUpload();
  const std::string form = "originalFileSize=1310720&newFileSize=4096&uuid=" + uuid;
  EXPECT_EQ(post("/v1/file/merge", form).status, 200U);
  EXPECT_EQ(post("/v1/file/merge", form).status, 200U);
  expectOneClearLine(
      post("/v1/file/merge", "originalFileSize=1310720&newFileSize=8192&uuid=" + uuid), 409);
  expectOneClearLine(update(uuid, "0", Bytes(40)), 409);
}

TEST_F(UploadApiTest, TakesAUuidInCapitals) {
  std::string uuid = newUpload();
  std::ranges::transform(uuid, uuid.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  EXPECT_EQ(ask("GET", "/v1/file/status?uuid=" + uuid).status, 200U);
}

TEST_F(UploadApiTest, TellsWhichMethodACallTakes) {
  const HttpResponse response = ask("GET", "/v1/file/create");
  EXPECT_EQ(response.status, 405U);
  EXPECT_EQ(response.allow, "POST");
  EXPECT_EQ(ask("POST", "/v1/file/status").allow, "GET");
  EXPECT_EQ(ask("GET", "/v1/file/other").status, 404U);
  EXPECT_EQ(ask("GET", "/v1/file/../file/create").status, 404U);
}

}  // namespace
}  // namespace netcow
