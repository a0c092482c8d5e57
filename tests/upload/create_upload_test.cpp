// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "upload/fake_upload_service.h"
#include "upload/upload_requests.h"

namespace netcow {
namespace {

using test::FakeUploadService;
using test::HttpReply;
using test::HttpRequest;
using testing::HasSubstr;

std::string problemOfCreating(const std::string& prefix) {
  try {
    return "created " + createUpload(UploadPrefix(prefix), Credentials{}, {"win10", 7});
  } catch (const UserError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
}

std::string problemWithAnswer(int status, const std::string& body,
                              const std::vector<std::string>& headers = {}) {
  const FakeUploadService service([=](const HttpRequest&, HttpReply& reply) {
    reply.status = status;
    reply.body = body;
    reply.headers = headers;
  });
  return problemOfCreating(service.url());
}

TEST(CreateUpload, SendsNameAndRevisionAndReturnsTheUuid) {
  const FakeUploadService service;
  EXPECT_EQ(
      createUpload(UploadPrefix(service.url() + "/cow/"), Credentials{}, {"pool/win 10&x", 7}),
      FakeUploadService::kUuid);
  const HttpRequest request = service.taken("create").at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/cow/v1/file/create");
  EXPECT_EQ(request.body.substr(0, 38), "revision=7&bitfieldSize=40&imageName=p");
  EXPECT_EQ(request.value("imageName"), "pool/win 10&x");
  EXPECT_EQ(request.headers.at("content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(request.headers.at("accept"), "*/*") << "never asks for JSON";
}

TEST(CreateUpload, SaysWhenTheServerDoesNotKnowTheImage) {
  EXPECT_THAT(problemWithAnswer(404, "Image not found"),
              testing::AllOf(HasSubstr("win10.r7"), HasSubstr("HTTP 404 (Image not found)")));
}

TEST(CreateUpload, SaysWhenTheServerIsBusyOrRefuses) {
  EXPECT_THAT(problemWithAnswer(503, "", {"Retry-After: 9"}), HasSubstr("again in 9 seconds"));
  EXPECT_THAT(problemWithAnswer(500, "oops"), HasSubstr("HTTP 500 (oops)"));
  EXPECT_THAT(problemWithAnswer(400, "bitfieldSize"), HasSubstr("HTTP 400 (bitfieldSize)"));
  EXPECT_THAT(problemWithAnswer(301, ""), HasSubstr("HTTP 301"));
}

TEST(CreateUpload, RefusesAnAnswerThatIsNoUuid) {
  for (const char* body : {"", "<html>", "{\"uuid\":1}", "two words",
                           "0b0ea1c4-8d3f-4f2e-9d1e-7f5e0c6f1a2b-and-more"}) {
    EXPECT_THAT(problemWithAnswer(200, body), HasSubstr("is no upload uuid")) << body;
  }
}

TEST(CreateUpload, SaysWhenThereIsNoServer) {
  std::string url;
  {
    const FakeUploadService gone;
    url = gone.url();
  }
  EXPECT_THAT(problemOfCreating(url), testing::AllOf(HasSubstr(url), HasSubstr("connect")));
}

TEST(CreateUpload, SaysWhenTheConnectionBreaks) {
  const FakeUploadService service(
      [](const HttpRequest&, HttpReply& reply) { reply.fault = HttpReply::Fault::loseAnswer; });
  EXPECT_THAT(problemOfCreating(service.url()), HasSubstr("check that the server runs"));
}

}  // namespace
}  // namespace netcow
