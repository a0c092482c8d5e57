// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/block_server.h"

#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "base/logging.h"
#include "server/blocks/client_acceptor.h"
#include "server/blocks/client_loop.h"
#include "server/blocks/disk_threads.h"
#include "server/net/listening_sockets.h"

namespace netcow {
namespace {

// What hangs on a slow disk or a server of NFS; those that wait cost nothing.
constexpr int kDiskThreads = 8;
constexpr std::chrono::milliseconds kPatienceAtTheEnd = std::chrono::seconds(2);
constexpr std::chrono::seconds kComplainEvery(60);
// For everything but dnbd3 clients: uploads, merges, the page.
constexpr std::size_t kOtherDescriptors = 256;
constexpr std::size_t kDescriptorsOfAClient = 2;

unsigned loopCount() {
  return std::clamp(std::thread::hardware_concurrency(), 2U, 8U);
}

/// `wanted`, or how many clients the limit of open files allows. Raises the limit if it may.
std::size_t clientsWithin(std::size_t wanted) {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return wanted;
  }
  const rlim_t needed = wanted * kDescriptorsOfAClient + kOtherDescriptors;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min(needed, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= needed) {
    return wanted;
  }
  const std::size_t possible = limit.rlim_cur > 2 * kOtherDescriptors
                                   ? (limit.rlim_cur - kOtherDescriptors) / kDescriptorsOfAClient
                                   : limit.rlim_cur / 4;
  spdlog::warn(
      "takes {} dnbd3 clients at once instead of {}: the limit of open files is {}, and each takes "
      "two; raise it to {} (ulimit -Hn, or LimitNOFILE= in the unit)",
      possible, wanted, limit.rlim_cur, needed);
  return possible;
}

}  // namespace

struct BlockServer::Parts {
  Parts(const ImageCatalog& catalog, const ChecksumLists& checksums,
        const BlockServerOptions& options)
      : service{catalog, checksums, statistics, BlockService::encodeServers(options.otherServers)},
        acceptor(listenOn(options.addresses)),
        maxClients(clientsWithin(options.maxClients)),
        disk(kDiskThreads) {
    for (const UniqueFd& socket : acceptor.sockets()) {
      addresses.push_back(localAddressOf(socket.get()));
    }
    for (unsigned i = 0; i < loopCount(); ++i) {
      loops.push_back(std::make_unique<ClientLoop>(disk, options.longestSilence, statistics));
    }
  }

  // Clients that a disk thread has are touched by nobody else, so those threads end before the
  // lists of clients go.
  ~Parts() {
    acceptor.stop();
    for (const auto& loop : loops) {
      loop->stop(kPatienceAtTheEnd);
    }
    disk.stop();
  }

  void add(UniqueFd socket) {
    if (statistics.clients() >= maxClients) {
      statistics.clientRefused();
      complainOfTooMany();
      return;
    }
    auto& loop = **std::ranges::min_element(
        loops, {}, [](const std::unique_ptr<ClientLoop>& some) { return some->clients(); });
    loop.adopt(std::make_unique<ClientLoop::Member>(std::move(socket), service));
  }

  void complainOfTooMany() {
    const Clock::Time now = std::chrono::steady_clock::now();
    if (now >= nextComplaint) {
      nextComplaint = now + kComplainEvery;
      spdlog::warn("refused a dnbd3 client: {} are connected; see --max-clients", maxClients);
    }
  }

  BlockStatistics statistics;
  const BlockService service;
  ClientAcceptor acceptor;
  std::vector<ListenAddress> addresses;
  const std::size_t maxClients;
  Clock::Time nextComplaint;  // of the acceptor's thread
  DiskThreads disk;
  std::vector<std::unique_ptr<ClientLoop>> loops;
};

BlockServer::BlockServer(const ImageCatalog& catalog, const ChecksumLists& checksums,
                         const BlockServerOptions& options)
    : parts_(std::make_unique<Parts>(catalog, checksums, options)) {}

BlockServer::~BlockServer() = default;

void BlockServer::start() {
  parts_->acceptor.start([this](UniqueFd socket) { parts_->add(std::move(socket)); });
}

std::vector<ListenAddress> BlockServer::addresses() const {
  return parts_->addresses;
}

std::size_t BlockServer::maxClients() const {
  return parts_->maxClients;
}

BlockFigures BlockServer::figures() const {
  return parts_->statistics.figures();
}

}  // namespace netcow
