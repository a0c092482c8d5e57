// SPDX-License-Identifier: Apache-2.0
#include "server/http/access_log.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/whole_io.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(AccessLogLine, HoldsNoSecret) {
  EXPECT_EQ(withoutSecrets("/cow//V1/file/update?clusterIndex=7&UUID=01234567-89ab"),
            "/v1/file/update?clusterindex=7&uuid=01234567...");
  EXPECT_EQ(withoutSecrets("/?token=geheim"), "/?token");
  EXPECT_EQ(withoutSecrets("/a?geheim=%"), "/a??");
  EXPECT_EQ(withoutSecrets(""), "/");
}

TEST(AccessLogLine, IsOneLineOfJsonWhateverIsAsked) {
  const HttpExchange exchange = {.client = "2001:db8::1",
                                 .caller = "alice",
                                 .method = "GET",
                                 .target = "/a%0a\"\xff?uuid=%0a",
                                 .status = 404,
                                 .bytesReceived = 1,
                                 .bytesSent = 2,
                                 .took = std::chrono::milliseconds(1500)};
  const std::string line = accessLogLine(exchange, "2026-01-02T03:04:05.678Z");
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["client"], "2001:db8::1");
  EXPECT_EQ(parsed["token"], "alice");
  EXPECT_EQ(parsed["status"], 404);
  EXPECT_EQ(parsed["seconds"], 1.5);
  EXPECT_EQ(parsed["time"], "2026-01-02T03:04:05.678Z");
}

TEST(AccessLog, GoesOnInANewFileWhenTheOldOneWasMoved) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.path() / "access.log";
  AccessLog log(path);
  log.write({.target = "/first"});
  std::filesystem::rename(path, path + ".1");
  log.write({.target = "/second"});
  log.reopen(path);
  log.write({.target = "/third"});
  EXPECT_THAT(readTextFile(path + ".1"), HasSubstr("/second"));
  EXPECT_THAT(readTextFile(path), HasSubstr("/third"));
  EXPECT_THAT(readTextFile(path), Not(HasSubstr("/second")));
  EXPECT_THROW(log.reopen("/nowhere/access.log"), UserError);
  log.write({.target = "/fourth"});
  EXPECT_THAT(readTextFile(path), HasSubstr("/fourth"));
}

}  // namespace
}  // namespace netcow
