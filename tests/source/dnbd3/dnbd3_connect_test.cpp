// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "source/dnbd3/dnbd3_fixture.h"

namespace netcow::test {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Select = Dnbd3Script::Select;

class Dnbd3ConnectTest : public Dnbd3Fixture {
 protected:
  /// Why no server could be used.
  std::string complaint(const std::vector<const Server*>& servers) {
    try {
      connect(servers);
    } catch (const UserError& error) {
      return error.what();
    }
    return "connected";
  }
};

TEST_F(Dnbd3ConnectTest, KnowsImageSizeAndRevision) {
  const auto server = makeServer();
  const auto source = connect({server.get()});
  EXPECT_EQ(source->image(), image_);
  EXPECT_EQ(source->size(), kSize);
}

TEST_F(Dnbd3ConnectTest, RevisionZeroIsTheLatest) {
  const auto server = makeServer();
  options_.image.revision = 0;
  EXPECT_EQ(connect({server.get()})->image(), image_);
}

TEST_F(Dnbd3ConnectTest, StatusBeginsAsScriptsExpect) {
  const auto server = makeServer();
  const auto source = connect({server.get()});
  EXPECT_THAT(source->statusText(), StartsWith("Image:    lab/test\nRevision: 3\n"));
  EXPECT_THAT(source->statusText(), AllOf(HasSubstr(server->host().text()), HasSubstr("connected"),
                                          HasSubstr("Reconnects: 0\n")));
}

TEST_F(Dnbd3ConnectTest, FirstThatAnswersWins) {
  const auto slow = makeServer({.select = Select::staySilent});
  const auto gone = makeServer();
  gone->stop();
  const auto good = makeServer();
  const auto source = connect({slow.get(), gone.get(), good.get()});
  EXPECT_THAT(source->statusText(), HasSubstr(good->host().text()));
  EXPECT_TRUE(reads(*source, 4096, 0));
}

TEST_F(Dnbd3ConnectTest, NamesEveryHostAndWhyItIsOfNoUse) {
  options_.timing.connectLimit = milliseconds(1000);
  const auto gone = makeServer();
  gone->stop();
  const auto unknown = makeServer({.select = Select::closeConnection});
  const auto web = makeServer({.select = Select::garbage});
  const auto silent = makeServer({.select = Select::staySilent});
  const auto other = makeServer({.revision = 4});
  EXPECT_THAT(complaint({gone.get(), unknown.get(), web.get(), silent.get(), other.get()}),
              AllOf(HasSubstr("lab/test revision 3"),
                    HasSubstr(gone->host().text() + " cannot be reached (Connection refused)"),
                    HasSubstr(unknown->host().text() +
                              " does not have image lab/test revision 3, or is no dnbd3 server"),
                    HasSubstr(web->host().text() + " is no dnbd3 server"),
                    HasSubstr(silent->host().text() + " did not answer in time"),
                    HasSubstr(other->host().text() + " offers revision 4 instead of 3"),
                    Not(HasSubstr("\n"))));
}

TEST_F(Dnbd3ConnectTest, NamesAHostWithoutAnAddress) {
  const auto complain = [this](std::vector<Host> hosts) -> std::string {
    options_.hosts = std::move(hosts);
    try {
      connectDnbd3(options_);
      return "connected";
    } catch (const UserError& error) {
      return error.what();
    }
  };
  const Host nowhere{"bad..name", 5003};
  const std::string without = "revision 3: bad..name:5003 has no address (";
  EXPECT_THAT(complain({nowhere}), AllOf(HasSubstr(without), EndsWith("); check the hosts")));
  const auto gone = makeServer();
  gone->stop();
  EXPECT_THAT(complain({nowhere, gone->host()}),
              AllOf(HasSubstr(without), HasSubstr("); " + gone->host().text() + " cannot")));
}

TEST_F(Dnbd3ConnectTest, RefusesImpossibleSizes) {
  for (const std::uint64_t size : {std::uint64_t{0}, kSize + 512, ~std::uint64_t{4095}}) {
    const auto server = makeServer({.size = size});
    EXPECT_THAT(complaint({server.get()}), HasSubstr(std::to_string(size) + " bytes")) << size;
  }
}

TEST_F(Dnbd3ConnectTest, ReadsOverIpv6) {
  const auto server = makeServer();
  // The server listens on IPv4 alone; a mapped address makes the client use an IPv6 socket.
  options_.hosts = {Host{"::ffff:127.0.0.1", server->port()}};
  const auto source = connectDnbd3(options_);
  EXPECT_TRUE(reads(*source, 4096, 8192));
}

TEST_F(Dnbd3ConnectTest, MeasuresTheWayToItsServerSeveralTimesAtFirst) {
  options_.learnServers = false;
  const auto server = makeServer();
  const auto source = connect({server.get()});
  EXPECT_TRUE(server->waitUntil([](const auto& counts) { return counts.keepAlives == 5; }));
  // The last answer comes before that of a read.
  EXPECT_TRUE(reads(*source, 4096, 0));
  EXPECT_NE(source->shortestRoundTrip(), std::nullopt);
  EXPECT_EQ(server->counts().keepAlives, 5U);
}

TEST_F(Dnbd3ConnectTest, AsksForServersUnlessSticky) {
  const auto server = makeServer();
  {
    const auto source = connect({server.get()});
    EXPECT_TRUE(server->waitUntil([](const auto& counts) { return counts.serverAsks == 1; }));
  }
  options_.learnServers = false;
  const auto source = connect({server.get()});
  EXPECT_TRUE(reads(*source, 4096, 0));
  EXPECT_EQ(server->counts().serverAsks, 1U);
}

}  // namespace
}  // namespace netcow::test
