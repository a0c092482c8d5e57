// SPDX-License-Identifier: Apache-2.0
#include "server/access/upload_access.h"

#include <gmock/gmock.h>

#include <map>
#include <span>

namespace netcow {
namespace {

using testing::HasSubstr;

const std::map<std::string, UploadIdentity> kUploads = {
    {"u-alice", {"lab/a", "alice"}},
    {"u-bob", {"lab/a", "bob"}},
    {"u-old", {"lab/a", "192.0.2.1"}},
    {"u-old-other", {"other", ""}},
};

class UploadAccessTest : public testing::Test {
 protected:
  static std::shared_ptr<const AccessTokens> tokens() {
    return std::make_shared<const AccessTokens>(AccessTokens::parse(
        "t",
        "[alice]\ntoken = \"alice-secret-0001\"\nimages = [\"lab/*\"]\n"
        "[bob]\ntoken = \"bob-secret-000002\"\nimages = [\"lab/*\", \"other\"]\n"
        "[root]\ntoken = \"root-secret-00003\"\nadmin = true\n"));
  }

  static HttpRequest request(const std::string& secret, const std::string& target,
                             const std::string& body = {}) {
    HttpRequest request = {.method = "POST", .target = target, .body = {}, .client = "192.0.2.9"};
    const auto bytes = std::as_bytes(std::span(body));
    request.body.assign(bytes.begin(), bytes.end());
    if (!secret.empty()) {
      request.fields = {{"authorization", "Bearer " + secret}};
    }
    return request;
  }
  /// 200 for a request that may go on.
  unsigned statusOf(const HttpRequest& request) {
    const auto verdict = access_.check(request);
    const auto* refusal = std::get_if<HttpResponse>(&verdict);
    return refusal != nullptr ? refusal->status : 200;
  }

  UploadAccess access_{tokens(), [](const std::string& uuid) -> std::optional<UploadIdentity> {
                         const auto found = kUploads.find(uuid);
                         return found != kUploads.end() ? std::optional(found->second)
                                                        : std::nullopt;
                       }};
  const std::string alice_ = "alice-secret-0001";
  const std::string bob_ = "bob-secret-000002";
  const std::string root_ = "root-secret-00003";
};

TEST_F(UploadAccessTest, WithoutTokensEverybodyMayAndIsKnownByAddress) {
  access_.replaceTokens(nullptr);
  const auto verdict = access_.check(request("", "/v1/file/create", "imageName=x"));
  EXPECT_EQ(std::get<std::string>(verdict), "192.0.2.9");
}

TEST_F(UploadAccessTest, ACallNeedsATokenThatTheServerKnows) {
  for (const char* secret : {"", "alice-secret-0002"}) {
    const auto verdict = access_.check(request(secret, "/v1/file/status?uuid=u-alice"));
    const auto& refusal = std::get<HttpResponse>(verdict);
    EXPECT_EQ(refusal.status, 401U);
    EXPECT_EQ(refusal.fields.at(0).first, "WWW-Authenticate");
    EXPECT_THAT(refusal.fields.at(0).second, HasSubstr("Bearer"));
  }
}

TEST_F(UploadAccessTest, AnUploadBeginsForImagesOfTheTokenOnly) {
  EXPECT_EQ(statusOf(request(alice_, "/v1/file/create", "imageName=lab/a")), 200U);
  const auto verdict = access_.check(request(alice_, "/v1/file/create", "IMAGENAME=oth%65r"));
  EXPECT_EQ(std::get<HttpResponse>(verdict).status, 403U);
  EXPECT_THAT(std::get<HttpResponse>(verdict).body, HasSubstr("may not change the image other"));
  EXPECT_EQ(statusOf(request(root_, "/v1/file/create", "imageName=other")), 200U);
}

TEST_F(UploadAccessTest, AnUploadBelongsToTheTokenThatBeganIt) {
  for (const char* call : {"/v1/file/status?uuid=", "/v1/file/update?clusterindex=1&UUID=",
                           "/cow//V1/file/getTopModifiedBlocks?uuid=", "/v1/file/session?uuid="}) {
    EXPECT_EQ(statusOf(request(alice_, call + std::string("u-alice"))), 200U) << call;
    EXPECT_EQ(statusOf(request(alice_, call + std::string("u-bob"))), 403U) << call;
    EXPECT_EQ(statusOf(request(alice_, call + std::string("U-BOB"))), 403U) << call;
    EXPECT_EQ(statusOf(request(root_, call + std::string("u-bob"))), 200U) << call;
  }
  EXPECT_EQ(statusOf(request(alice_, "/v1/file/merge", "uuid=u-bob")), 403U);
}

TEST_F(UploadAccessTest, NoUploadHidesBehindAnother) {
  EXPECT_EQ(statusOf(request(alice_, "/v1/file/cancel?uuid=u-alice", "uuid=u-bob")), 403U);
  EXPECT_EQ(statusOf(request(alice_, "/v1/file/cancel?uuid=u-bob", "uuid=u-alice")), 403U);
}

TEST_F(UploadAccessTest, UploadsFromBeforeThereWereTokensGoByTheirImage) {
  EXPECT_EQ(statusOf(request(alice_, "/v1/file/status?uuid=u-old")), 200U);
  EXPECT_EQ(statusOf(request(alice_, "/v1/file/status?uuid=u-old-other")), 403U);
  EXPECT_EQ(statusOf(request(bob_, "/v1/file/status?uuid=u-old-other")), 200U);
}

TEST_F(UploadAccessTest, ATokenThatWasTakenAwayIsRefusedFromThenOn) {
  access_.replaceTokens(std::make_shared<const AccessTokens>(
      AccessTokens::parse("t", "[bob]\ntoken = \"bob-secret-000002\"\nadmin = true\n")));
  EXPECT_EQ(statusOf(request(alice_, "/v1/file/status?uuid=u-alice")), 401U);
  EXPECT_EQ(statusOf(request(bob_, "/v1/file/status?uuid=u-alice")), 200U);
}

}  // namespace
}  // namespace netcow
