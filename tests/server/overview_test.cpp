// SPDX-License-Identifier: Apache-2.0
#include "server/page/overview.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace netcow {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using Json = nlohmann::json;

Overview::Image image(const std::string& name, std::size_t revisions) {
  Overview::Image made = {.name = name, .revisions = {}};
  for (std::size_t i = revisions; i > 0; --i) {
    made.revisions.push_back({.revision = static_cast<std::uint16_t>(i), .size = 4096 * i});
  }
  return made;
}

Overview::Upload upload(UploadState state) {
  Overview::Upload made;
  made.key = "key";
  made.record.base = {"win", 3};
  made.record.state = state;
  return made;
}

Json json(const Overview& overview, const OverviewQuery& query = {}) {
  return Json::parse(overviewJson(overview, query));
}

std::vector<std::string> namesOf(const Json& overview) {
  std::vector<std::string> names;
  for (const auto& entry : overview["images"]["list"]) {
    names.push_back(entry["name"]);
  }
  return names;
}

TEST(Overview, SumsUpTheRevisionsOfAnImage) {
  Overview overview;
  overview.images = {image("win", 2)};
  overview.images[0].revisions[0].clients = 3;
  overview.images[0].revisions[1].clients = 4;
  overview.images[0].revisions[0].bytesServed = 10;
  overview.images[0].revisions[1].bytesServed = 20;
  const Json shown = json(overview)["images"]["list"][0];
  EXPECT_EQ(shown["clients"], 7);
  EXPECT_EQ(shown["bytesServed"], 30);
  EXPECT_EQ(shown["revisionCount"], 2);
  EXPECT_EQ(shown["revisions"][0],
            Json::parse(R"({"revision": 2, "size": 8192, "clients": 3, "bytesServed": 10})"));
}

TEST(Overview, KeepsToTheFilterAndTheLimit) {
  Overview overview;
  overview.images = {image("Physics/a", 1), image("chemistry", 1), image("physics/b", 1)};
  EXPECT_THAT(namesOf(json(overview, {.filter = "pHYSICS/"})),
              ElementsAre("Physics/a", "physics/b"));
  const Json limited = json(overview, {.filter = "physics", .imageLimit = 1});
  EXPECT_THAT(namesOf(limited), ElementsAre("Physics/a"));
  EXPECT_EQ(limited["images"]["matching"], 2);
  EXPECT_EQ(limited["images"]["total"], 3);
  EXPECT_THAT(namesOf(json(overview, {.filter = "", .imageLimit = 0})), SizeIs(0));
}

TEST(Overview, IsBoundedWhateverThereIs) {
  Overview overview;
  for (int i = 0; i < 3000; ++i) {
    overview.images.push_back(image("image" + std::to_string(i), 5));
    overview.uploads.push_back(upload(UploadState::active));
    overview.history.push_back(upload(UploadState::done));
  }
  const Json shown = json(overview, {.filter = "", .imageLimit = 1'000'000});
  EXPECT_THAT(shown["images"]["list"], SizeIs(kMostImagesInOverview));
  EXPECT_THAT(shown["uploads"]["list"], SizeIs(kMostUploadsInOverview));
  EXPECT_THAT(shown["history"]["list"], SizeIs(kMostHistoryInOverview));
  EXPECT_EQ(shown["uploads"]["total"], 3000);
  std::size_t revisions = 0;
  for (const auto& entry : shown["images"]["list"]) {
    EXPECT_FALSE(entry["revisions"].empty());  // each shows at least its newest one
    EXPECT_EQ(entry["revisionCount"], 5);
    revisions += entry["revisions"].size();
  }
  EXPECT_LE(revisions, kMostRevisionsInOverview + kMostImagesInOverview);
}

TEST(Overview, OffersTheButtonsThatFitTheState) {
  Overview overview;
  overview.uploads = {upload(UploadState::active), upload(UploadState::merging),
                      upload(UploadState::failed), upload(UploadState::copying)};
  overview.history = {upload(UploadState::done)};
  const Json shown = json(overview);
  EXPECT_EQ(shown["uploads"]["list"][0]["actions"], Json({"merge", "delete"}));
  EXPECT_EQ(shown["uploads"]["list"][1]["actions"], Json::array({"cancel"}));
  EXPECT_EQ(shown["uploads"]["list"][2]["actions"], Json({"merge", "delete"}));
  EXPECT_EQ(shown["uploads"]["list"][3]["actions"], Json::array());
  EXPECT_EQ(shown["history"]["list"][0]["actions"], Json::array());
}

TEST(Overview, OffersToCancelOnce) {
  Overview overview;
  overview.uploads = {upload(UploadState::merging)};
  overview.uploads[0].record.cancelRequested = true;
  EXPECT_EQ(json(overview)["uploads"]["list"][0]["actions"], Json::array());
}

TEST(Overview, CountsThoseThatWaitToBeMerged) {
  std::vector<Overview::Upload> uploads(4, upload(UploadState::merging));
  uploads[0].record.changedAt = 30;
  uploads[1].record.changedAt = 10;
  uploads[1].record.mergeMilliseconds = 1;  // runs
  uploads[2].record.changedAt = 20;
  uploads[3] = upload(UploadState::active);
  setQueuePositions(uploads);
  EXPECT_EQ(uploads[0].queuePosition, 2U);
  EXPECT_EQ(uploads[1].queuePosition, 0U);
  EXPECT_EQ(uploads[2].queuePosition, 1U);
  EXPECT_EQ(uploads[3].queuePosition, 0U);
}

TEST(Overview, TellsOfAnUploadOnlyWhatIsKnown) {
  Overview overview;
  overview.uploads = {upload(UploadState::active)};
  overview.history = {upload(UploadState::done)};
  overview.history[0].record.sizes = MergeSizes{.originalFileSize = 1, .newFileSize = 2};
  overview.history[0].record.newRevision = 4;
  const Json shown = json(overview);
  const Json& active = shown["uploads"]["list"][0];
  EXPECT_FALSE(active.contains("newFileSize") || active.contains("newRevision") ||
               active.contains("message"));
  EXPECT_EQ(shown["history"]["list"][0]["newRevision"], 4);
  EXPECT_EQ(shown["history"]["list"][0]["newFileSize"], 2);
}

TEST(Overview, IsJsonWhateverNamesHold) {
  Overview overview;
  overview.images = {image("\"</script>\n\x01\xff\xfe", 1)};
  overview.uploads = {upload(UploadState::failed)};
  overview.uploads[0].record.message = "\xc3(\\";
  const Json shown = json(overview);
  EXPECT_EQ(shown["images"]["list"][0]["name"], "\"</script>\n\x01\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(shown["uploads"]["list"][0]["message"], "\xEF\xBF\xBD(\\");
}

}  // namespace
}  // namespace netcow
