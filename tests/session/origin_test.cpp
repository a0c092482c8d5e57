// SPDX-License-Identifier: Apache-2.0
#include "session/origin.h"

#include <gtest/gtest.h>

#include "base/errors.h"

namespace netcow {
namespace {

std::string originText(const std::string& revision, const std::string& baseSize) {
  return R"({"imageName": "lab", "revision": )" + revision + R"(, "baseSize": )" + baseSize +
         R"(, "source": "host", "uploadPrefix": "", "merge": "none"})";
}

TEST(Origin, IsUnderstoodAsItWasWritten) {
  const Origin origin{"pool/lab",
                      65'535,
                      std::uint64_t{16} << 40U,
                      "one two",
                      "http://host/",
                      MergeState::asked,
                      "11111111-2222-3333-4444-555555555555"};
  EXPECT_EQ(Origin::parse(origin.toJson(), "origin.json"), origin);
}

TEST(Origin, OfAnOlderVersionSpeaksOfTheUploadTheSessionNames) {
  const Origin origin = Origin::parse(originText("2", "4096"), "origin.json");
  EXPECT_EQ(origin.uploadUuid, "");
}

TEST(Origin, SaysNothingOfAnotherUpload) {
  Origin origin;
  origin.merge = MergeState::done;
  EXPECT_EQ(origin.mergeOf("any"), MergeState::done) << "it does not say which";
  origin.uploadUuid = "11111111-2222-3333-4444-555555555555";
  EXPECT_EQ(origin.mergeOf(origin.uploadUuid), MergeState::done);
  EXPECT_EQ(origin.mergeOf("11111111-2222-3333-4444-555555555556"), MergeState::none);
  // As the reference client stored it for a while.
  origin.uploadUuid.pop_back();
  EXPECT_EQ(origin.mergeOf("11111111-2222-3333-4444-555555555555"), MergeState::done);
}

TEST(Origin, WithANumberThatDoesNotFitIsRefusedAndNotCut) {
  EXPECT_EQ(Origin::parse(originText("2", "4096"), "origin.json").revision, 2);
  for (const char* revision : {"65538", "-1", "1.5", "\"1\""}) {
    EXPECT_THROW(Origin::parse(originText(revision, "4096"), "origin.json"), UserError) << revision;
  }
  for (const char* baseSize : {"-4096", "17592186044417", "1e30"}) {
    EXPECT_THROW(Origin::parse(originText("1", baseSize), "origin.json"), UserError) << baseSize;
  }
}

TEST(Origin, WithAMergeStateOfSeveralLinesIsRefusedWithOne) {
  const std::string text = R"({"imageName": "lab", "revision": 1, "baseSize": 1, "source": "",
                              "uploadPrefix": "", "merge": "no\nne"})";
  try {
    Origin::parse(text, "origin.json");
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace netcow
