// SPDX-License-Identifier: Apache-2.0
// A whole server as its clients see it over HTTP: who may what, whether it is well, and every form
// of a request that clients of the upload API use (docs/formats/upload-api.md).
#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/logging.h"
#include "base/whole_io.h"
#include "server/dnbd3_bytes.h"
#include "server/http_client.h"
#include "server/raw_client.h"
#include "server/server.h"
#include "server/test_files.h"
#include "server/upload_content.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using test::HttpAnswer;
using test::HttpClient;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;
using testing::UnorderedElementsAre;

constexpr const char* kUuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

class ServerOperationsTest : public testing::Test {
 protected:
  ServerOperationsTest() {
    fs::create_directory(images_);
    test::writeFile(images_ / "lab.r1", random_.bytes(100'000));
    options_.imagesFolder = images_;
    options_.blocksAddresses.front().port = 0;
    options_.httpAddresses.front().port = 0;
  }
  void start() { server_ = std::make_unique<Server>(options_); }
  void startWithTokens(const std::string& text) {
    options_.tokenFile = directory_ / "tokens.toml";
    replaceTextFile(options_.tokenFile, text, false);
    start();
  }
  HttpClient connect() { return HttpClient(server_->httpPort()); }

  /// Sends bytes as they are and takes one answer.
  HttpAnswer exchange(const std::string& bytes) {
    HttpClient client = connect();
    client.send(bytes);
    return client.receive();
  }
  HttpAnswer call(const std::string& method, const std::string& target, const std::string& token,
                  const std::string& body = {}) {
    return exchange(method + " " + target + " HTTP/1.1\r\nHost: x\r\n" +
                    (token.empty() ? "" : "Authorization: Bearer " + token + "\r\n") +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  std::string create() { return connect().post("/v1/file/create", std::string(kCreateForm)).body; }

  static constexpr const char* kCreateForm = "revision=1&bitfieldSize=40&imageName=lab";
  test::SeededRandom random_;
  test::TemporaryDirectory directory_;
  const fs::path images_ = directory_.path() / "images";
  ServerOptions options_;
  std::unique_ptr<Server> server_;
};

constexpr const char* kTwoTokens =
    "[alice]\ntoken = \"alice-secret-0001\"\nimages = [\"lab\"]\n"
    "[bob]\ntoken = \"bob-secret-000002\"\nimages = [\"lab\", \"pool/*\"]\n"
    "[carol]\ntoken = \"carol-secret-0003\"\nimages = [\"pool/*\"]\n";

TEST_F(ServerOperationsTest, OnlyTheOwnersTokenReachesAnUpload) {
  startWithTokens(kTwoTokens);
  const HttpAnswer nobody = call("POST", "/v1/file/create", "", kCreateForm);
  EXPECT_EQ(nobody.status, 401U);
  EXPECT_THAT(nobody.header, HasSubstr("WWW-Authenticate: Bearer"));
  EXPECT_EQ(call("POST", "/v1/file/create", "wrong-secret-0000", kCreateForm).status, 401U);
  const HttpAnswer carol = call("POST", "/v1/file/create", "carol-secret-0003", kCreateForm);
  EXPECT_EQ(carol.status, 403U);
  EXPECT_THAT(carol.body, HasSubstr("the image lab"));
  const std::string uuid = call("POST", "/v1/file/create", "alice-secret-0001", kCreateForm).body;
  ASSERT_THAT(uuid, MatchesRegex(kUuid));

  const auto status = call("GET", "/v1/file/status?uuid=" + uuid, "alice-secret-0001");
  EXPECT_EQ(nlohmann::json::parse(status.body)["owner"], "alice");
  const std::string update = "/v1/file/update?clusterindex=0&uuid=" + uuid;
  const std::string noBits(40, '\0');
  EXPECT_EQ(call("POST", update, "alice-secret-0001", noBits).status, 200U);
  const std::string merge = "originalFileSize=100352&newFileSize=100352&uuid=" + uuid;
  for (const char* token : {"bob-secret-000002", "carol-secret-0003"}) {
    EXPECT_EQ(call("GET", "/v1/file/status?uuid=" + uuid, token).status, 403U);
    EXPECT_EQ(call("GET", "/v1/file/gettopmodifiedblocks?amount=1&uuid=" + uuid, token).status,
              403U);
    EXPECT_EQ(call("POST", update, token, noBits).status, 403U);
    EXPECT_EQ(call("POST", "/v1/file/merge", token, merge).status, 403U);
    EXPECT_EQ(call("DELETE", "/v1/file/session?uuid=" + uuid, token).status, 403U);
  }
  EXPECT_EQ(call("GET", "/v1/file/status?uuid=" + uuid, "").status, 401U);
  EXPECT_EQ(call("POST", "/v1/file/merge", "alice-secret-0001", merge).status, 200U);
}

TEST_F(ServerOperationsTest, WithoutATokenOnlyHealthFiguresAndTheEmptyPageAreToBeHad) {
  startWithTokens(kTwoTokens);
  test::RawClient reader(server_->blocksPort());  // an image is in use, and has figures of its own
  reader.send(test::selectImage("lab", 1));
  reader.receive(test::selectReply("lab", 1, 102'400).size());
  const std::string image = "netcow_image_clients{image=\"lab\"} 1";

  EXPECT_EQ(call("GET", "/healthz", "").status, 200U);
  for (const char* path : {"/", "/page/page.js", "/page/page.css"}) {
    EXPECT_EQ(call("GET", path, "").status, 200U) << path;
  }
  const HttpAnswer figures = call("GET", "/metrics", "");
  EXPECT_EQ(figures.status, 200U);
  EXPECT_THAT(figures.body, HasSubstr("netcow_dnbd3_clients 1\n"));
  EXPECT_THAT(figures.body, Not(HasSubstr("netcow_image_clients{")));
  EXPECT_THAT(call("GET", "/metrics", "carol-secret-0003").body, HasSubstr(image));
  EXPECT_EQ(call("GET", "/metrics", "wrong-secret-0000").status, 401U);

  for (const char* path : {"/api/v1/overview", "/v1/file/status?uuid=x", "/cow//API/v1/overview",
                           "/v1/file/gettopmodifiedblocks?uuid=x&amount=1", "/nowhere"}) {
    EXPECT_EQ(call("GET", path, "").status, 401U) << path;
  }
  for (const char* path : {"/v1/file/create", "/v1/file/update?uuid=x&clusterindex=0",
                           "/v1/file/merge", "/v1/file/cancel", "/api/v1/uploads/merge",
                           "/api/v1/uploads/cancel", "/api/v1/uploads/delete"}) {
    EXPECT_EQ(call("POST", path, "").status, 401U) << path;
  }
  EXPECT_EQ(call("DELETE", "/v1/file/session?uuid=x", "").status, 401U);
}

TEST_F(ServerOperationsTest, WithoutTokensFiguresNameTheImages) {
  start();
  test::RawClient reader(server_->blocksPort());
  reader.send(test::selectImage("lab", 1));
  reader.receive(test::selectReply("lab", 1, 102'400).size());
  EXPECT_THAT(connect().get("/metrics").body, HasSubstr("netcow_image_clients{image=\"lab\"} 1"));
}

TEST_F(ServerOperationsTest, TokensChangeWhileItRunsAndABrokenFileChangesNothing) {
  startWithTokens(kTwoTokens);
  replaceTextFile(options_.tokenFile, "[alice]\nbroken\n", false);
  EXPECT_THROW(server_->reload(options_), UserError);
  EXPECT_EQ(call("POST", "/v1/file/create", "alice-secret-0001", kCreateForm).status, 200U);
  replaceTextFile(options_.tokenFile, "[new]\ntoken = \"new-secret-000004\"\nadmin = true\n",
                  false);
  server_->reload(options_);
  EXPECT_EQ(call("POST", "/v1/file/create", "alice-secret-0001", kCreateForm).status, 401U);
  EXPECT_EQ(call("POST", "/v1/file/create", "new-secret-000004", kCreateForm).status, 200U);
}

TEST_F(ServerOperationsTest, EachRequestIsALineOfTheAccessLogWithoutItsSecrets) {
  options_.accessLog = directory_ / "access.log";
  startWithTokens(kTwoTokens);
  const std::string uuid = call("POST", "/v1/file/create", "alice-secret-0001", kCreateForm).body;
  call("GET", "/v1/file/status?uuid=" + uuid, "alice-secret-0001");
  call("GET", "/v1/file/status?uuid=" + uuid, "");
  server_->stop();
  const std::string log = readTextFile(options_.accessLog);
  EXPECT_THAT(log, Not(HasSubstr(uuid)));
  EXPECT_THAT(log, Not(HasSubstr("secret")));
  std::vector<std::string> lines;
  std::istringstream stream(log);
  for (std::string text; std::getline(stream, text);) {
    const auto line = nlohmann::json::parse(text);
    lines.push_back(fmt::format("{} {} {}", line["token"].get<std::string>(),
                                line["path"].get<std::string>(), line["status"].get<int>()));
  }
  // A line is written when its answer was sent, so they come in any order.
  const std::string status = "/v1/file/status?uuid=" + uuid.substr(0, 8) + "...";
  EXPECT_THAT(lines, UnorderedElementsAre("alice /v1/file/create 200", "alice " + status + " 200",
                                          " " + status + " 401"));
}

TEST_F(ServerOperationsTest, TellsWhetherItIsWell) {
  start();
  EXPECT_EQ(connect().get("/healthz").body, "ok\n");
  EXPECT_EQ(connect().get("/cow/HEALTHZ").status, 200U);
  fs::rename(images_, directory_.path() / "moved");
  const HttpAnswer ill = connect().get("/healthz");
  EXPECT_EQ(ill.status, 503U);
  EXPECT_THAT(ill.body, HasSubstr("the folder of images cannot be read: No such file"));
  EXPECT_THAT(ill.body, HasSubstr("the folder for uploads cannot be written: No such file"));
}

TEST_F(ServerOperationsTest, LinksThatLeaveTheFolderLeadNowhere) {
  test::writeFile(directory_.path() / "secret.r1", random_.bytes(4096));
  fs::create_symlink("../secret.r1", images_ / "file.r1");
  fs::create_directory_symlink("..", images_ / "folder");
  fs::create_symlink("lab.r1", images_ / "inside.r1");
  start();
  for (const char* name : {"file", "folder/secret"}) {
    const HttpAnswer answer = connect().post(
        "/v1/file/create", "revision=1&bitfieldSize=40&imageName=" + std::string(name));
    EXPECT_EQ(answer.status, 404U) << name;
  }
  EXPECT_EQ(connect()
                .post("/v1/file/create", std::string("revision=1&bitfieldSize=40&imageName=inside"))
                .status,
            200U);
}

TEST_F(ServerOperationsTest, SizesAndNumbersOutOfRangeAreRefusedAndChangeNothing) {
  start();
  const std::string uuid = create();
  const std::vector<std::byte> noBits(40);
  for (const char* cluster : {"13421773", "4294967296", "18446744073709551615"}) {
    EXPECT_EQ(
        connect().post("/v1/file/update?uuid=" + uuid + "&clusterindex=" + cluster, noBits).status,
        400U)
        << cluster;
  }
  for (const char* sizes :
       {"originalFileSize=102401&newFileSize=102400", "originalFileSize=0&newFileSize=0",
        "originalFileSize=0&newFileSize=17592186044417", "originalFileSize=-1&newFileSize=1",
        "originalFileSize=1e3&newFileSize=1000",
        "originalFileSize=99999999999999999999&newFileSize=1"}) {
    EXPECT_EQ(connect().post("/v1/file/merge", sizes + ("&uuid=" + uuid)).status, 400U) << sizes;
  }
  const auto status = nlohmann::json::parse(connect().get("/v1/file/status?uuid=" + uuid).body);
  EXPECT_EQ(status["state"], "Active");
  EXPECT_EQ(status["updates"], 0);
}

// --- every form of a request ---------------------------------------------------------------------

TEST_F(ServerOperationsTest, CreateAnswersTheBareUuidAsPlainText) {
  start();
  const HttpAnswer answer = connect().post("/v1/file/create", std::string(kCreateForm));
  EXPECT_EQ(answer.status, 200U);
  EXPECT_THAT(answer.body, MatchesRegex(kUuid));  // no quotes, no newline
  EXPECT_THAT(answer.header, HasSubstr("Content-Type: text/plain"));
  const HttpAnswer missing =
      connect().post("/v1/file/create", std::string("revision=9&bitfieldSize=40&imageName=lab"));
  EXPECT_EQ(missing.status, 404U);
  EXPECT_EQ(missing.body, "Image not found");
  const HttpAnswer size =
      connect().post("/v1/file/create", std::string("revision=1&bitfieldSize=41&imageName=lab"));
  EXPECT_EQ(size.status, 400U);
}

TEST_F(ServerOperationsTest, PathsAreTakenInEveryFormThatClientsSend) {
  start();
  const std::string uuid = create();
  for (const char* path :
       {"/v1/file/status", "//v1/file/status", "/cow/v1/file/status", "/cow//v1/file/status",
        "//cow///V1/File/Status", "/COW/v1/FILE/STATUS", "/v1/file/st%61tus", "/%76%31/file/status",
        "http://localhost:5000/v1/file/status", "HTTP://x//cow/v1/file/status"}) {
    EXPECT_EQ(connect().get(path + std::string("?uuid=") + uuid).status, 200U) << path;
  }
  for (const char* path : {"/v1/file", "/v1/file/status/", "/v2/file/status", "/cow", "/cows"}) {
    EXPECT_NE(connect().get(path + std::string("?uuid=") + uuid).body.front(), '{') << path;
  }
}

TEST_F(ServerOperationsTest, ParametersAreTakenInAnyOrderAndLetterCase) {
  start();
  const std::string uuid = create();
  std::string capitals = uuid;
  std::ranges::transform(capitals, capitals.begin(),
                         [](unsigned char c) { return std::toupper(c); });
  const std::vector<std::byte> noBits(40);
  for (const std::string& query :
       {"uuid=" + uuid + "&clusterindex=0", "clusterindex=0&uuid=" + uuid,
        "CLUSTERINDEX=0&UuId=" + capitals, "&uuid=" + uuid + "&&clusterIndex=0&",
        "%75uid=" + uuid + "&clusterindex=%30", "other=1&uuid=" + uuid + "&clusterindex=0"}) {
    EXPECT_EQ(connect().post("/v1/file/update?" + query, noBits).status, 200U) << query;
  }
  for (const std::string& query :
       {"uuid=" + uuid, "uuid=" + uuid + "&clusterindex=-1", "uuid=" + uuid + "&clusterindex=0x1",
        "uuid=" + uuid + "&clusterindex=18446744073709551616",
        "uuid=" + uuid + "&clusterindex=", "uuid=" + uuid + "&uuid=" + uuid + "&clusterindex=0",
        std::string("uuid=%zz&clusterindex=0")}) {
    EXPECT_EQ(connect().post("/v1/file/update?" + query, noBits).status, 400U) << query;
  }
}

TEST_F(ServerOperationsTest, ACreateIsAFormInAnyOrderAndLetterCase) {
  start();
  for (const char* form :
       {"imageName=lab&bitfieldSize=40&revision=1", "IMAGENAME=l%61b&REVISION=1&BITFIELDSIZE=40"}) {
    EXPECT_EQ(connect().post("/cow/v1/file/create", std::string(form)).status, 200U) << form;
  }
}

TEST_F(ServerOperationsTest, AnUpdateIsInvitedAtOnceAndAnsweredWithNothing) {
  start();
  const std::string uuid = create();
  HttpClient client = connect();
  test::SeededRandom random;
  const auto body = test::updateBody(test::randomCluster(random, {0, 9}));
  client.send("POST /v1/file/update?uuid=" + uuid +
              "&clusterindex=0 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
              "Content-Type: application/octet-stream\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(client.receive().status, 100U);
  client.send(body);
  const HttpAnswer answer = client.receive();
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, "");
  const auto top = client.get("/v1/file/gettopmodifiedblocks?amount=5&uuid=" + uuid);
  EXPECT_EQ(nlohmann::json::parse(top.body),
            nlohmann::json::parse(R"([{"clusterNumber": 0, "modifications": 1}])"));
}

TEST_F(ServerOperationsTest, AnUpdateMayComeInChunks) {
  start();
  const std::string uuid = create();
  const std::string half(20, '\0');
  EXPECT_EQ(exchange("POST /v1/file/update?uuid=" + uuid +
                     "&clusterindex=0 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "14\r\n" +
                     half + "\r\n14\r\n" + half + "\r\n0\r\n\r\n")
                .status,
            200U);
}

TEST_F(ServerOperationsTest, AnUploadNobodyKnowsIsNotFound) {
  start();
  const std::string unknown = "uuid=01234567-89ab-cdef-0123-456789abcdef";
  EXPECT_EQ(connect().get("/v1/file/status?" + unknown).body, "Session not found");
  const auto update =
      connect().post("/v1/file/update?clusterindex=0&" + unknown, std::vector<std::byte>(40));
  EXPECT_EQ(update.status, 404U);
  EXPECT_EQ(update.body, "Session not found");
  EXPECT_EQ(connect().post("/v1/file/merge", "originalFileSize=1&newFileSize=1&" + unknown).status,
            404U);
}

TEST_F(ServerOperationsTest, StatusHasTheFieldsThatProgramsRead) {
  start();
  const auto status = nlohmann::json::parse(connect().get("/v1/file/status?uuid=" + create()).body);
  EXPECT_EQ(status["state"], "Active");
  EXPECT_EQ(status["imageName"], "lab");
  EXPECT_EQ(status["originalImageVersion"], 1);
  EXPECT_EQ(status["newImageVersion"], -1);
  EXPECT_TRUE(status["mergedClusters"].is_number());
  EXPECT_TRUE(status["totalClusters"].is_number());
}

TEST_F(ServerOperationsTest, AMergeIsAskedTwiceWithTheSameSizesOnly) {
  start();
  const std::string uuid = create();
  const std::string form = "uuid=" + uuid + "&newFileSize=100352&originalFileSize=";
  const HttpAnswer started = connect().post("/v1/file/merge", form + "100352");
  EXPECT_EQ(started.status, 200U);
  EXPECT_THAT(started.body, StartsWith("Merge "));
  EXPECT_EQ(connect().post("/v1/file/merge", form + "100352").status, 200U);
  EXPECT_EQ(connect().post("/v1/file/merge", form + "4096").status, 409U);
}

TEST_F(ServerOperationsTest, MethodsThatACallDoesNotTakeAreNamed) {
  start();
  const HttpAnswer answer = connect().get("/v1/file/create");
  EXPECT_EQ(answer.status, 405U);
  EXPECT_THAT(answer.header, HasSubstr("Allow: POST"));
  EXPECT_EQ(connect().head("/healthz").status, 200U);
}

}  // namespace
}  // namespace netcow
