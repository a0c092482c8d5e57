// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/checksum_download.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "source/dnbd3/dnbd3_fixture.h"
#include "support/checksummed_file.h"

namespace netcow::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Servers with lists of an image of four spans.
class ChecksumDownload : public Dnbd3Fixture {
 protected:
  ChecksumDownload() { options_.timing.connectLimit = std::chrono::seconds(30); }

  static Dnbd3Script withList(dnbd3::Bytes list) {
    Dnbd3Script script;
    script.checksums = std::move(list);
    return script;
  }
  FoundChecksums download(const std::vector<const Server*>& servers) {
    options_.hosts.clear();
    for (const Server* server : servers) {
      options_.hosts.push_back(server->host());
    }
    return downloadChecksums(options_, image_, kSize);
  }
  std::string refusal(const std::vector<const Server*>& servers) {
    try {
      download(servers);
    } catch (const UserError& error) {
      const std::string line = error.what();
      EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 0);
      return line;
    }
    return "none";
  }
  std::string refusalOf(Dnbd3Script script) {
    const auto server = makeServer(std::move(script));
    return refusal({server.get()});
  }

  const dnbd3::Bytes good_ = checksumListOf({11, 22, 33, 44});
};

TEST_F(ChecksumDownload, GivesTheListAndTellsWhoseItIs) {
  const auto server = makeServer(withList(good_));
  const FoundChecksums found = download({server.get()});
  ASSERT_EQ(found.list.spans(), 4U);
  EXPECT_EQ(found.list.checksum(0), 11U);
  EXPECT_EQ(found.list.checksum(3), 44U);
  EXPECT_EQ(found.from, server->host().text());
}

TEST_F(ChecksumDownload, SaysThatThereIsNoListAndWhatToDo) {
  EXPECT_THAT(refusalOf({}), AllOf(HasSubstr("no server gives a list of checksums of lab/test "
                                             "revision 3"),
                                   HasSubstr("has no list of checksums"),
                                   HasSubstr("put a sound lab/test.r3.crc beside the image")));
}

TEST_F(ChecksumDownload, RefusesAListWhoseOwnChecksumIsWrong) {
  dnbd3::Bytes list = good_;
  list[7] ^= std::byte{1};
  EXPECT_THAT(refusalOf(withList(list)), HasSubstr("own checksum is wrong"));
}

TEST_F(ChecksumDownload, RefusesAListOfAnotherLength) {
  EXPECT_THAT(refusalOf(withList(checksumListOf({11, 22, 33}))),
              HasSubstr("of 16 bytes instead of 20"));
  EXPECT_THAT(refusalOf(withList(checksumListOf({11, 22, 33, 44, 55}))),
              HasSubstr("of 24 bytes instead of 20"));
}

TEST_F(ChecksumDownload, RefusesAListThatEndsTooEarly) {
  for (const std::size_t length : {0U, 1U, 19U}) {
    Dnbd3Script script = withList(good_);
    script.cutChecksumsAt = length;
    EXPECT_THAT(refusalOf(script), HasSubstr("closed the connection")) << length;
  }
}

TEST_F(ChecksumDownload, TakesNoListOfAnotherImage) {
  Dnbd3Script script = withList(good_);
  script.revision = 4;
  EXPECT_THAT(refusalOf(script), HasSubstr("offers revision 4 instead of 3"));
  script = withList(good_);
  script.size = kSize - 4096;
  EXPECT_THAT(refusalOf(script), HasSubstr("instead of 67108864"));
}

TEST_F(ChecksumDownload, TakesTheListOfAnyServerThatHasASoundOne) {
  dnbd3::Bytes broken = good_;
  broken[0] ^= std::byte{1};
  const auto without = makeServer();
  const auto wrong = makeServer(withList(broken));
  const auto right = makeServer(withList(good_));
  const FoundChecksums found = download({without.get(), wrong.get(), right.get()});
  EXPECT_EQ(found.from, right->host().text());
}

TEST_F(ChecksumDownload, NamesEveryServerThatIsOfNoUse) {
  const auto without = makeServer();
  const auto away = makeServer();
  away->stop();
  const std::string line = refusal({without.get(), away.get()});
  EXPECT_THAT(line, AllOf(HasSubstr(without->host().text() + ": has no list"),
                          HasSubstr(away->host().text() + ": cannot be reached"),
                          Not(HasSubstr("administrator"))));
}

TEST_F(ChecksumDownload, GivesUpAServerThatSaysNothing) {
  options_.timing.connectLimit = std::chrono::milliseconds(50);
  Dnbd3Script script;
  script.silent = true;
  EXPECT_THAT(refusalOf(script), HasSubstr("does not answer"));
  script.select = Dnbd3Script::Select::staySilent;
  EXPECT_THAT(refusalOf(script), HasSubstr("does not answer"));
}

}  // namespace
}  // namespace netcow::test
