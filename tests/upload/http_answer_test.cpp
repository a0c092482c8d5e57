// SPDX-License-Identifier: Apache-2.0
#include "upload/http_answer.h"

#include <gtest/gtest.h>

namespace netcow {
namespace {

using std::chrono::seconds;

HttpAnswer withStatus(long status, const std::string& body = {}) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = body;
  return answer;
}

TEST(RetryAfter, CountsWholeSecondsUpToTwoMinutes) {
  EXPECT_EQ(parseRetryAfter("1"), seconds(1));
  EXPECT_EQ(parseRetryAfter(" 30\r\n"), seconds(30));
  EXPECT_EQ(parseRetryAfter("120"), seconds(120));
  EXPECT_EQ(parseRetryAfter("121"), seconds(120));
  EXPECT_EQ(parseRetryAfter("99999999999999999999999"), seconds(120));
}

TEST(RetryAfter, IgnoresZeroDatesAndAnythingElse) {
  for (const char* value :
       {"", " ", "0", "-5", "1.5", "5s", "soon", "+3", "0x10", "Wed, 21 Oct 2026 07:28:00 GMT"}) {
    EXPECT_EQ(parseRetryAfter(value), std::nullopt) << value;
  }
}

TEST(Verdict, AcceptsAnyTwoHundred) {
  for (const long status : {200L, 201L, 202L, 204L, 299L}) {
    EXPECT_EQ(judge(withStatus(status)), Verdict::accepted) << status;
  }
}

TEST(Verdict, TriesAgainWhatMayPass) {
  for (const long status : {0L, 408L, 425L, 429L, 500L, 502L, 503L, 504L}) {
    EXPECT_EQ(judge(withStatus(status)), Verdict::again) << status;
  }
}

TEST(Verdict, EndsOnWhatStaysAsItIs) {
  for (const long status : {301L, 302L, 400L, 401L, 403L, 409L, 410L, 413L}) {
    EXPECT_EQ(judge(withStatus(status)), Verdict::refused) << status;
  }
  EXPECT_EQ(judge(withStatus(404)), Verdict::unknown);
}

TEST(Verdict, TakesAPauseAskedForWithAnyFailureAsAPause) {
  for (const long status : {403L, 404L, 429L, 500L, 503L}) {
    HttpAnswer answer = withStatus(status);
    answer.retryAfter = seconds(3);
    EXPECT_EQ(judge(answer), Verdict::pause) << status;
  }
  HttpAnswer success = withStatus(200);
  success.retryAfter = seconds(3);
  EXPECT_EQ(judge(success), Verdict::accepted);
}

TEST(Description, IsOneShortLine) {
  EXPECT_EQ(describe(withStatus(503)), "HTTP 503");
  EXPECT_EQ(describe(withStatus(404, "Session not found\r\n")), "HTTP 404 (Session not found)");
  EXPECT_EQ(describe(withStatus(500, "a\nb\x1b[31m")), "HTTP 500 (a b [31m)");
  EXPECT_LT(describe(withStatus(500, std::string(5000, 'x'))).size(), 250U);
  HttpAnswer lost;
  lost.error = "connection refused";
  EXPECT_EQ(describe(lost), "connection refused");
}

TEST(ServerState, IsReadFromJson) {
  EXPECT_EQ(parseServerState(withStatus(200, R"({"state":"Merging","mergedClusters":3})")),
            "Merging");
}

TEST(ServerState, IsEmptyForAnythingElse) {
  EXPECT_EQ(parseServerState(withStatus(404, R"({"state":"Done"})")), "");
  for (const char* body : {"", "Done", "[]", "{}", R"({"state":3})", R"({"state":"Do)"}) {
    EXPECT_EQ(parseServerState(withStatus(200, body)), "") << body;
  }
}

}  // namespace
}  // namespace netcow
