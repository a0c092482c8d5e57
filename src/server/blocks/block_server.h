// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "format/dnbd3_messages.h"
#include "server/blocks/block_statistics.h"
#include "server/catalog/image_catalog.h"
#include "server/checksums/checksum_lists.h"
#include "server/net/listen_address.h"

namespace netcow {

struct BlockServerOptions {
  std::vector<ListenAddress> addresses = {{"127.0.0.1", dnbd3::kDefaultPort}};
  /// A client that sends nothing and takes nothing for so long is dropped.
  std::chrono::milliseconds longestSilence = std::chrono::seconds(60);
  /// What GET_SERVERS answers; at most dnbd3::kMaxServerEntries.
  std::vector<dnbd3::ServerEntry> otherServers;
  /// More clients at once than this are refused. Less where the limit of open files is lower.
  std::size_t maxClients = 8'000;
};

/// Exports the images of a catalog over dnbd3 (docs/formats/dnbd3.md).
///
/// One thread accepts clients; a few serve them, each many (ClientLoop); others go on with those
/// that have to wait for the disk (DiskThreads). A client costs about a KiB, and two descriptors:
/// its socket, and the image, which so stays readable when it is replaced or removed.
class BlockServer {
 public:
  /// Listens from here on. `catalog` and `checksums` must outlive the server. Throws UserError when
  /// an address cannot be had.
  BlockServer(const ImageCatalog& catalog, const ChecksumLists& checksums,
              const BlockServerOptions& options);
  /// Sends what is due, for a moment at most, and drops all clients.
  ~BlockServer();
  BlockServer(const BlockServer&) = delete;
  BlockServer& operator=(const BlockServer&) = delete;

  /// Begins to serve.
  void start();
  /// Where it really listens (options may say port 0), in the order of the options.
  [[nodiscard]] std::vector<ListenAddress> addresses() const;
  /// How many clients there may be at once.
  [[nodiscard]] std::size_t maxClients() const;
  /// Who is connected, and what was served since the start. From any thread, at any time.
  [[nodiscard]] BlockFigures figures() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace netcow
