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
#include "source/dnbd3_source.h"
#include "source/known_servers.h"
#include "source/reply_reader.h"
#include "source/request_channel.h"
#include "source/server_finder.h"
#include "source/wake_up.h"

namespace netcow {

/// The source behind connectDnbd3().
///
/// Reads go from any thread through the RequestChannel straight to the server. Everything else is
/// done by one thread, the receiver, which sleeps in poll() on the connection and on a search for
/// servers. It is in one of four states:
///
///     connected                        the normal one
///     connected, searching others      the server refused a block (ERROR): another server that
///                                      has the image takes over; if there is none, the block is
///                                      EIO and the connection stays
///     searching                        the connection was lost or garbled; all known servers are
///                                      tried, again and again
///     stopped                          by stop()
///
/// Only the receiver changes servers, so what it receives goes into memory nobody else writes.
/// (Measuring other servers and moving to a faster one would be a third kind of search here.)
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
  void stop() override;
  [[nodiscard]] std::string statusText() const override;

 private:
  struct Connection {
    std::size_t server = 0;
    std::shared_ptr<const UniqueFd> socket;
    Clock::Time since;
  };

  // ReplyHandler
  std::span<std::byte> beginBlock(std::uint64_t handle) override;
  void endBlock(std::uint64_t handle) override;
  bool refuseBlock(std::uint64_t handle) override;
  void takeServers(std::span<const dnbd3::ServerEntry> servers) override;

  void run();
  [[nodiscard]] short waitForEvents();
  void serve(short events);
  void receive();
  void checkSilence();
  void connect(ServerFinder::Found found);
  void disconnect();
  void drop(const std::string& why);
  void search(ServerFinder::Effort effort);
  void continueSearch();

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
  ReplyReader reader_;
  std::unique_ptr<Connection> connection_;  // null: there is none
  std::unique_ptr<ServerFinder> search_;    // null: none under way
  std::vector<pollfd> polled_;

  struct Status {
    std::string server;
    bool connected = false;
    std::uint64_t connections = 0;  // so far
  };
  mutable Mutex statusMutex_;  // taken alone
  Status status_ NETCOW_GUARDED_BY(statusMutex_);

  std::thread receiver_;  // last: it uses all of the above
};

}  // namespace netcow
