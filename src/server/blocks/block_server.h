// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "format/dnbd3_messages.h"
#include "server/blocks/block_statistics.h"
#include "server/catalog/image_catalog.h"
#include "server/net/listen_address.h"

namespace netcow {

struct BlockServerOptions {
  ListenAddress address = {"127.0.0.1", dnbd3::kDefaultPort};
  /// A client that sends nothing and takes nothing for so long is dropped.
  std::chrono::milliseconds longestSilence = std::chrono::seconds(60);
  /// What GET_SERVERS answers; at most dnbd3::kMaxServerEntries.
  std::vector<dnbd3::ServerEntry> otherServers;
};

/// Exports the images of a catalog over dnbd3 (docs/formats/dnbd3.md).
class BlockServer {
 public:
  /// Listens from here on. `catalog` must outlive the server. Throws UserError when the address
  /// cannot be had.
  BlockServer(const ImageCatalog& catalog, BlockServerOptions options);
  /// Drops all clients.
  ~BlockServer();
  BlockServer(const BlockServer&) = delete;
  BlockServer& operator=(const BlockServer&) = delete;

  /// Begins to serve.
  void start();
  /// Where it really listens (options may say port 0).
  [[nodiscard]] ListenAddress address() const;
  /// Who is connected, and what was served since the start. From any thread, at any time.
  [[nodiscard]] BlockFigures figures() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace netcow
