// SPDX-License-Identifier: Apache-2.0
#include "cli/verification_text.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace netcow {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Ten spans, the last of which is one block.
VerifiedImage verified() {
  VerifiedImage verified;
  verified.image = {"lab/pc", 7};
  verified.size = 9 * (std::uint64_t{16} << 20U) + 4096;
  verified.listFrom = "server:5003";
  verified.report.spans = 10;
  verified.report.checked = 10;
  verified.duration = std::chrono::milliseconds(1'234);
  return verified;
}

TEST(VerificationText, OfAGoodImageIsOneLine) {
  EXPECT_EQ(verificationText(verified()),
            "lab/pc revision 7: good; all 10 checksums compared in 1.2 s\n");
}

TEST(VerificationText, NamesTheBytesOfBadSpansNeighboursTogether) {
  VerifiedImage image = verified();
  image.report.bad = {1, 2, 9};
  EXPECT_EQ(verificationText(image),
            "bytes 16777216 to 50331647: bad: not what the list says, also when read a second "
            "time\n"
            "bytes 150994944 to 150999039: bad: not what the list says, also when read a second "
            "time\n"
            "lab/pc revision 7: bad: 3 spans of 16 MiB differ from the list of server:5003; all "
            "10 checksums compared in 1.2 s; bring a good copy to the server, or, if the image is "
            "the right one, a new list\n");
}

TEST(VerificationText, TellsWhatCannotBeReadAndWhatWasWrongOnce) {
  VerifiedImage image = verified();
  image.report.unreadable = {0};
  image.report.onlyOnce = {4};
  const std::string text = verificationText(image);
  EXPECT_THAT(text, HasSubstr("bytes 0 to 16777215: cannot be read, tried twice\n"));
  EXPECT_THAT(text, HasSubstr("bytes 67108864 to 83886079: wrong or not readable at first"));
  EXPECT_THAT(text, HasSubstr("not good: 1 span of 16 MiB cannot be read"));
  image.report.unreadable = {};
  EXPECT_THAT(verificationText(image), HasSubstr("lab/pc revision 7: good;"));
}

TEST(VerificationText, OfOneThatWasStoppedSaysSo) {
  VerifiedImage image = verified();
  image.report.checked = 4;
  image.report.stopped = true;
  EXPECT_THAT(verificationText(image),
              HasSubstr("nothing bad so far; 4 of 10 checksums compared in 1.2 s; stopped"));
  image.report.bad = {3};
  EXPECT_THAT(verificationText(image), HasSubstr("bad: 1 span of 16 MiB differs from"));
  EXPECT_THAT(verificationText(image), Not(HasSubstr("so far")));
}

TEST(VerificationJson, HoldsTheSame) {
  VerifiedImage image = verified();
  image.report.bad = {1, 2, 9};
  image.report.onlyOnce = {5};
  const auto json = nlohmann::json::parse(verificationJson(image));
  EXPECT_EQ(json["image"], "lab/pc");
  EXPECT_EQ(json["revision"], 7);
  EXPECT_EQ(json["good"], false);
  EXPECT_EQ(json["stopped"], false);
  EXPECT_EQ(json["checked"], 10);
  ASSERT_EQ(json["bad"].size(), 2U);
  EXPECT_EQ(json["bad"][0]["offset"], 16777216);
  EXPECT_EQ(json["bad"][0]["length"], 33554432);
  EXPECT_EQ(json["bad"][1]["length"], 4096);
  EXPECT_EQ(json["unreadable"].size(), 0U);
  EXPECT_EQ(json["wrongOnlyOnce"][0]["offset"], 5 * 16777216);
}

}  // namespace
}  // namespace netcow
