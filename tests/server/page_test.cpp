// SPDX-License-Identifier: Apache-2.0
#include "server/page/page.h"

#include <gmock/gmock.h>

#include <future>
#include <nlohmann/json.hpp>

#include "server/page/page_files.h"
#include "server/test_files.h"

namespace netcow {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// The page over a fake upload API, which notes what it is called with.
class PageTest : public testing::Test {
 protected:
  HttpResponse ask(const std::string& method, const std::string& target,
                   const std::string& body = {}, HttpFields fields = {}) {
    std::promise<HttpResponse> answer;
    page_.handle(
        target.substr(0, target.find('?')),
        {.method = method, .target = target, .body = test::bytesOf(body), .fields = fields},
        HttpReply([&answer](HttpResponse response) { answer.set_value(response); }));
    return answer.get_future().get();
  }
  HttpResponse press(const std::string& button, const std::string& form) {
    return ask("POST", "/api/v1/uploads/" + button, form, {{"x-netcow-page", "1"}});
  }
  void call(const std::string& path, HttpRequest&& request, HttpReply reply) {
    path_ = path;
    request_ = std::move(request);
    reply({.status = 409, .body = "not now"});
  }
  [[nodiscard]] std::string body() const {
    return {reinterpret_cast<const char*>(request_.body.data()), request_.body.size()};
  }

  UploadKeys keys_;
  const std::string key_ = keys_.keyOf("the-uuid");
  OverviewKeeper overviews_ = OverviewKeeper([] { return Overview(); });
  std::string path_;
  HttpRequest request_;
  Page page_ = Page(overviews_, keys_,
                    [this](const std::string& path, HttpRequest&& request, HttpReply reply) {
                      call(path, std::move(request), std::move(reply));
                    });
};

TEST_F(PageTest, HandsOutItsFilesAndNoOthers) {
  EXPECT_THAT(ask("GET", "/").body, HasSubstr("<!DOCTYPE html>"));
  EXPECT_EQ(ask("GET", "/").contentType, "text/html; charset=utf-8");
  EXPECT_EQ(ask("GET", "/page/page.js").contentType, "text/javascript; charset=utf-8");
  EXPECT_EQ(ask("GET", "/page/page.css").contentType, "text/css; charset=utf-8");
  EXPECT_EQ(ask("GET", "/page/icon.svg").contentType, "image/svg+xml");
  for (const char* path : {"/page/", "/page/none.js", "/page/../page.js", "/api/", "/api/v1"}) {
    EXPECT_EQ(ask("GET", path).status, 404U) << path;
  }
  EXPECT_EQ(ask("POST", "/").status, 405U);
}

TEST_F(PageTest, EveryAnswerIsSafeInABrowser) {
  for (const char* target : {"/", "/page/page.js", "/api/v1/overview", "/api/v1/none"}) {
    const HttpResponse response = ask("GET", target);
    EXPECT_THAT(response.fields, testing::IsSupersetOf(browserSafetyFields())) << target;
  }
}

TEST_F(PageTest, TellsTheOverview) {
  const HttpResponse response = ask("GET", "/api/v1/overview?filter=win&limit=3");
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(nlohmann::json::parse(response.body)["images"]["total"], 0);
  EXPECT_EQ(ask("GET", "/api/v1/overview?limit=many").status, 400U);
  EXPECT_EQ(ask("GET", "/api/v1/overview?limit=%zz").status, 400U);
  EXPECT_EQ(ask("POST", "/api/v1/overview").status, 405U);
}

TEST_F(PageTest, AButtonIsACallOfTheUploadApi) {
  const HttpResponse response = press("merge", "key=" + key_ + "&originalFileSize=5&newFileSize=6");
  EXPECT_EQ(response.status, 409U);  // what the API answers
  EXPECT_EQ(response.body, "not now");
  EXPECT_EQ(path_, "/v1/file/merge");
  EXPECT_EQ(body(), "uuid=the-uuid&originalFileSize=5&newFileSize=6");
  press("cancel", "key=" + key_);
  EXPECT_EQ(path_, "/v1/file/cancel");
  EXPECT_EQ(body(), "uuid=the-uuid");
  press("delete", "key=" + key_);
  EXPECT_EQ(request_.method, "DELETE");
  EXPECT_EQ(path_, "/v1/file/session");
  EXPECT_EQ(request_.target, "/v1/file/session?uuid=the-uuid");
}

TEST_F(PageTest, AButtonHandsOnWhoAsks) {
  ask("POST", "/api/v1/uploads/cancel", "key=" + key_,
      {{"x-netcow-page", "1"}, {"authorization", "Bearer abc"}});
  ASSERT_NE(request_.field("authorization"), nullptr);
  EXPECT_EQ(*request_.field("authorization"), "Bearer abc");
}

TEST_F(PageTest, RefusesWhatIsNoButton) {
  EXPECT_EQ(press("merge", "key=" + key_).status, 400U);
  EXPECT_EQ(press("merge", "key=" + key_ + "&originalFileSize=1&newFileSize=2%26uuid=x").status,
            400U);
  EXPECT_EQ(press("explode", "key=" + key_).status, 400U);
  EXPECT_EQ(press("delete", "").status, 400U);
  EXPECT_EQ(press("delete", "%").status, 400U);
  EXPECT_EQ(press("delete", "key=the-uuid").status, 404U);
  EXPECT_EQ(ask("GET", "/api/v1/uploads/delete?key=" + key_).status, 405U);
  EXPECT_THAT(path_, IsEmpty());
}

TEST_F(PageTest, AButtonNeedsTheFieldThatOnlyThePageCanSend) {
  EXPECT_EQ(ask("POST", "/api/v1/uploads/delete", "key=" + key_).status, 403U);
  EXPECT_THAT(path_, IsEmpty());
}

}  // namespace
}  // namespace netcow
