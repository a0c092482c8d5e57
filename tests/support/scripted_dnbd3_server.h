// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "format/dnbd3_messages.h"
#include "format/image_name.h"
#include "source/dnbd3/host_list.h"

namespace netcow::test {

/// What a ScriptedDnbd3Server does other than a good server. "Every n-th" counts block replies of
/// the server over all connections, so that a client which tries again gets on; 0 = never.
struct Dnbd3Script {
  // --- SELECT_IMAGE
  enum class Select { answer, closeConnection, staySilent, garbage, endless };
  Select select = Select::answer;
  std::optional<std::uint16_t> revision = {};  ///< answered instead of the true one
  std::optional<std::uint64_t> size = {};      ///< answered instead of the true one
  std::optional<std::string> name = {};        ///< answered instead of the true one

  // --- block replies
  bool silent = false;  ///< reads on, but answers nothing (KEEPALIVE neither)
  /// Waits before it answers what it has read.
  std::chrono::microseconds delay{0};
  /// Answers what it has read at once in random order, after `seed`.
  bool reorder = false;
  std::uint64_t seed = 1;
  std::uint32_t cutBefore = 0;  ///< closes the connection instead of every n-th reply
  std::uint32_t cutInside = 0;  ///< closes it in the middle of every n-th reply
  enum class Fault {
    wrongMagic,
    unknownHandle,
    tooLong,
    tooShort,
    error,
    twice,
    endlessPayload,  ///< as long as a reply can be
    endlessReplies,  ///< to KEEPALIVEs that nobody sent, for ever
    endlessServers,  ///< a list of 1000 servers that nobody asked for
    unknownCommand,  ///< with a payload of any length
  };
  Fault fault = Fault::error;    ///< what is wrong with
  std::uint32_t faultEvery = 0;  ///< every n-th reply
  /// Blocks that are answered with ERROR, by offset.
  std::function<bool(std::uint64_t)> refuses = {};
  /// Blocks that are never answered, by offset.
  std::function<bool(std::uint64_t)> withholds = {};

  // --- other messages
  std::vector<dnbd3::ServerEntry> servers = {};  ///< the answer to GET_SERVERS
  bool answersKeepAlive = true;
  /// The answer to GET_CRC32; empty: there is no list.
  dnbd3::Bytes checksums = {};
  /// Announces the whole list, but closes the connection behind so many bytes of it.
  std::optional<std::size_t> cutChecksumsAt = {};
};

/// A dnbd3 server in the test's process, on 127.0.0.1 and a port of its own, for one image. It
/// serves several clients, each by a thread of its own. Thread-safe.
class ScriptedDnbd3Server {
 public:
  using Script = Dnbd3Script;
  /// Fills a buffer with the image's bytes at an offset; called by several threads at once.
  using Content = std::function<void(std::uint64_t offset, std::span<std::byte> buffer)>;

  /// Serves `content`, whose size must be a multiple of 4096. Starts at once.
  ScriptedDnbd3Server(ImageName image, std::vector<std::byte> content, Script script = {});
  /// Serves an image of `size` bytes that need not be in memory.
  ScriptedDnbd3Server(ImageName image, std::uint64_t size, Content content, Script script = {});
  ~ScriptedDnbd3Server();
  ScriptedDnbd3Server(const ScriptedDnbd3Server&) = delete;
  ScriptedDnbd3Server& operator=(const ScriptedDnbd3Server&) = delete;

  [[nodiscard]] Host host() const { return {"127.0.0.1", port_}; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Itself as an entry of GET_SERVERS.
  [[nodiscard]] dnbd3::ServerEntry entry() const;

  /// From the next message on.
  void setScript(Script script);
  /// Closes every connection; new ones are refused until start(). The port stays its own.
  void stop();
  void start();
  /// Closes every connection there is; new ones are welcome.
  void cutConnections();

  struct Counts {
    std::uint64_t connections = 0;  ///< accepted so far
    std::uint64_t selects = 0;      ///< SELECT_IMAGE received
    std::uint64_t requests = 0;     ///< GET_BLOCK received
    std::uint64_t replies = 0;      ///< block replies begun, good or bad
    std::uint64_t keepAlives = 0;   ///< KEEPALIVE received
    std::uint64_t serverAsks = 0;   ///< GET_SERVERS received
    std::uint64_t mostPending = 0;  ///< most GET_BLOCKs ever unanswered on one connection
    std::uint64_t largest = 0;      ///< most bytes ever asked for in one GET_BLOCK
  };
  [[nodiscard]] Counts counts() const;
  /// Waits until `condition` holds for the counts; false after a minute.
  bool waitUntil(const std::function<bool(const Counts&)>& condition) const;

 private:
  class Client;
  void acceptClients(int listener);
  void endClients();
  void count(const std::function<void(Counts&)>& change);
  [[nodiscard]] Script script() const;

  const ImageName image_;
  const std::uint64_t size_;
  const Content content_;
  UniqueFd reservation_;  // bound, never listens: keeps the port while stopped
  std::uint16_t port_ = 0;

  Mutex lifeMutex_;  // start() and stop(); taken before the other
  UniqueFd listener_ NETCOW_GUARDED_BY(lifeMutex_);
  std::thread accepting_ NETCOW_GUARDED_BY(lifeMutex_);

  mutable Mutex mutex_;
  mutable ConditionVariable counted_;
  Script script_ NETCOW_GUARDED_BY(mutex_);
  Counts counts_ NETCOW_GUARDED_BY(mutex_);
  std::list<std::unique_ptr<Client>> clients_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow::test
