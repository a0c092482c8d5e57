// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "base/wake_up.h"
#include "server/blocks/client_connection.h"

namespace netcow {

class DiskThreads;

/// One thread and the clients it serves.
///
/// It never waits for a client, since sockets do not block, nor for the disk: whoever needs more
/// than the page cache has is lent to the DiskThreads, and nobody watches its socket meanwhile. So
/// a client, a disk or a file system that hangs holds up nobody else. Only this thread touches
/// the list of clients; what others bring comes through an inbox.
class ClientLoop {
 public:
  /// A client in the list of its loop.
  struct Member {
    Member(UniqueFd socket, const BlockService& service) : connection(std::move(socket), service) {}
    ClientConnection connection;
    std::uint32_t watched = 0;  ///< events that epoll was told to look for
    bool lent = false;          ///< to the disk threads; not watched
  };

  /// `disk` must outlive the thread. Throws std::system_error.
  ClientLoop(DiskThreads& disk, std::chrono::milliseconds longestSilence,
             BlockStatistics& statistics);
  /// Drops the clients. stop() must have been called, and no disk thread have a client any more.
  ~ClientLoop();
  ClientLoop(const ClientLoop&) = delete;
  ClientLoop& operator=(const ClientLoop&) = delete;

  /// Serves one more client. From any thread.
  void adopt(std::unique_ptr<Member> member);
  /// A disk thread is done with a client that it was lent. From any thread.
  void giveBack(Member& member, ClientConnection::Next next);
  [[nodiscard]] std::size_t clients() const { return clients_; }

  /// Takes no more requests, and ends the thread when the replies that are due have left, at the
  /// latest after `patience`.
  void stop(std::chrono::milliseconds patience);

 private:
  using Next = ClientConnection::Next;
  struct Returned {
    Member* member;
    Next next;
  };

  void run(std::stop_token stopped);
  void waitForEvents(std::vector<epoll_event>& events) const;
  void serve(Member& member, std::uint32_t events);
  void emptyInbox();
  void arrange(Member& member, Next next);
  void watch(Member& member, std::uint32_t events);
  void unwatch(Member& member);
  void dropSilentClients();
  void drain();
  void remove(Member& member);

  DiskThreads& disk_;
  const std::chrono::milliseconds longestSilence_;
  const std::chrono::milliseconds lookForSilenceEvery_;
  BlockStatistics& statistics_;
  UniqueFd epoll_;
  WakeUp wakeUp_;
  std::atomic<std::size_t> clients_ = 0;  // those in the inbox as well
  std::atomic<std::chrono::milliseconds> patience_ = std::chrono::milliseconds(0);
  Mutex inbox_;
  std::vector<std::unique_ptr<Member>> adopted_ NETCOW_GUARDED_BY(inbox_);
  std::vector<Returned> returned_ NETCOW_GUARDED_BY(inbox_);

  // Only the thread's.
  std::unordered_map<Member*, std::unique_ptr<Member>> members_;
  IoBuffers buffers_;
  Clock::Time nextLook_;
  bool draining_ = false;

  std::jthread thread_;
};

}  // namespace netcow
