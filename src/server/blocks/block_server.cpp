// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/block_server.h"

#include <memory>
#include <utility>

#include "server/blocks/client_connection.h"
#include "server/net/accept_loop.h"
#include "server/net/io_threads.h"

namespace netcow {
namespace {

constexpr int kThreads = 2;

}  // namespace

struct BlockServer::Parts {
  Parts(const ImageCatalog& catalog, BlockServerOptions given)
      : options(std::move(given)),
        threads("dnbd3", kThreads),
        accepting(threads.context(), options.address, [this, &catalog](AcceptLoop::Socket socket) {
          std::make_shared<ClientConnection>(std::move(socket), catalog, options, statistics)
              ->start();
        }) {}
  // Whatever handlers use must still be there when the last of them ends.
  ~Parts() { threads.stop(); }

  const BlockServerOptions options;
  BlockStatistics statistics;
  IoThreads threads;
  AcceptLoop accepting;
};

BlockServer::BlockServer(const ImageCatalog& catalog, BlockServerOptions options)
    : parts_(std::make_unique<Parts>(catalog, std::move(options))) {}

BlockServer::~BlockServer() = default;

void BlockServer::start() {
  parts_->accepting.start();
}

ListenAddress BlockServer::address() const {
  return parts_->accepting.address();
}

BlockFigures BlockServer::figures() const {
  return parts_->statistics.figures();
}

}  // namespace netcow
