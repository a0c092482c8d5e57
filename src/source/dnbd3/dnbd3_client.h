// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/wake_up.h"
#include "source/dnbd3/client_status.h"
#include "source/dnbd3/dnbd3_source.h"
#include "source/dnbd3/known_servers.h"
#include "source/dnbd3/name_refresher.h"
#include "source/dnbd3/patience.h"
#include "source/dnbd3/reply_reader.h"
#include "source/dnbd3/request_channel.h"
#include "source/dnbd3/server_finder.h"
#include "source/dnbd3/server_prober.h"

namespace netcow {

/// The source behind connectDnbd3().
///
/// Reads go from any thread through the RequestChannel straight to the server. Everything else is
/// done by one thread, the receiver, which sleeps in poll() on the connection, on a search for
/// servers and on measurements of them. It is in one of these states:
///
///     connected        the normal one; now and then all servers are measured (ServerProber), and
///                      one that is clearly faster takes over
///     late             connected, but blocks are due and nothing of them comes: the other servers
///                      are tried, again and again. The first that gives a block takes over; if
///                      the old one goes on before, all is as it was
///     refused          connected, but the server refused a block (ERROR): another server that has
///                      the image takes over; if there is none, the block is EIO
///     withheld         connected, but one block is kept back while others come: another server
///                      takes over; if there is none, the connection is made anew
///     lost             the connection was lost, garbled or dead: all known servers are tried,
///                      again and again, the same one too; names are looked up again
///     stopped          by stop()
///
/// Whoever takes over is asked again for everything that is pending. What the old connection still
/// sends is never looked at, so nothing is answered twice. Only the receiver changes servers and
/// lets reads expire, so what it receives goes into memory nobody else writes.
class Dnbd3Client final : public Source, private ReplyHandler {
 public:
  /// Goes on with the connection that was found. `options.image` need not be what was found.
  Dnbd3Client(const Dnbd3Options& options, KnownServers servers, ServerFinder::Found found);
  ~Dnbd3Client() override;
  Dnbd3Client(const Dnbd3Client&) = delete;
  Dnbd3Client& operator=(const Dnbd3Client&) = delete;

  [[nodiscard]] const ImageName& image() const override { return image_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override;
  [[nodiscard]] std::optional<std::chrono::steady_clock::duration> shortestRoundTrip()
      const override {
    return channel_.shortestRoundTrip();
  }
  void beginBatch() override { channel_.beginBatch(); }
  void endBatch() override { channel_.endBatch(); }
  void stop() override;
  [[nodiscard]] std::string statusText() const override;

 private:
  struct Connection {
    std::size_t server = 0;
    std::shared_ptr<const UniqueFd> socket;
    Clock::Time since;
  };
  /// Why servers are searched; the names of the states above.
  enum class Reason { late, refused, withheld, lost };
  struct Search {
    Reason reason;
    ServerFinder finder;
  };

  // ReplyHandler
  std::span<std::byte> beginBlock(std::uint64_t handle) override;
  void endBlock(std::uint64_t handle) override;
  bool refuseBlock(std::uint64_t handle) override;
  void takeServers(std::span<const dnbd3::ServerEntry> servers) override;
  bool takePlainReply(dnbd3::Command command) override;

  // dnbd3_client.cpp: the loop and the connection
  void run();
  [[nodiscard]] short waitForEvents();
  void serve(short events, Clock::Time now);
  void receive(Clock::Time now);
  void checkSilence(Clock::Time now);
  [[nodiscard]] RequestChannel::Limits limits() const;
  void publishStatus();

  // dnbd3_client_servers.cpp: which server is used
  void connect(ServerFinder::Found found);
  void disconnect();
  void drop(const std::string& why);
  void moveTo(ServerFinder::Found found, const std::string& why);
  void beLate();
  void withheld();
  void search(Reason reason);
  void endSearch();
  void continueSearch();
  void found(ServerFinder::Found found);
  void lookUpNames(Clock::Time now);
  void continueProbing(Clock::Time now);

  const Dnbd3Timing timing_;
  const bool learnServers_;
  const Clock& clock_ = Clock::system();
  const ImageName image_;
  const std::uint64_t size_;
  std::atomic<bool> stopping_ = false;
  std::once_flag stopOnce_;
  WakeUp wakeUp_;
  RequestChannel channel_;

  // The receiver's own.
  KnownServers servers_;
  ServerProber prober_;
  NameRefresher names_;
  Patience patience_;
  std::optional<RoundTrip::Time> roundTrip_;  // of the connection in use
  int measureAgain_ = 0;                      // so many times more, one after the other
  ReplyReader reader_;
  std::vector<std::uint64_t> ended_;        // handles of what the last look at the socket gave
  std::unique_ptr<Connection> connection_;  // null: there is none
  std::unique_ptr<Search> search_;          // null: none under way
  std::vector<pollfd> polled_;
  ClientStatus news_;            // what publishStatus() publishes
  std::uint64_t published_ = 0;  // the version of servers_ it had
  bool isPublished_ = false;     // news_ is

  mutable Mutex statusMutex_;  // taken alone
  ClientStatus status_ NETCOW_GUARDED_BY(statusMutex_);

  std::thread receiver_;  // last: it uses all of the above
};

}  // namespace netcow
