// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "format/dnbd3_messages.h"
#include "server/blocks/block_statistics.h"
#include "server/checksums/checksum_maker.h"
#include "server/http/client_limits.h"
#include "server/http/tls_context.h"
#include "server/net/listen_address.h"
#include "server/uploads/upload_service.h"

namespace netcow {

struct ServerOptions {
  std::string imagesFolder;
  std::string stateFolder;  ///< of uploads; empty = ".netcow" in the folder of images
  std::vector<ListenAddress> blocksAddresses = {{"127.0.0.1", dnbd3::kDefaultPort}};
  std::vector<ListenAddress> httpAddresses = {{"127.0.0.1", 5000}};
  HttpLimits httpLimits;
  TlsFiles tls;           ///< for HTTP
  std::string tokenFile;  ///< who may change which images; empty = everybody all
  std::string accessLog;  ///< of HTTP; "-" = into the log; empty = none
  /// A dnbd3 client from which nothing comes for so long is dropped.
  std::chrono::milliseconds longestSilence = std::chrono::seconds(60);
  UploadServiceOptions uploads;
  /// What dnbd3 clients are told when they ask for other servers.
  std::vector<dnbd3::ServerEntry> otherServers;
  /// More dnbd3 clients at once are refused.
  std::size_t maxBlockClients = 8'000;
  /// What is read in a second to make lists of checksums that images lack; 0 = none are made.
  std::uint64_t checksumBytesPerSecond = ChecksumMakerOptions().bytesPerSecond;
};

/// What `netcow serve` runs: exports a folder of images over dnbd3, and collects and merges what
/// clients changed in them.
class Server {
 public:
  /// Takes up what an earlier server left in the state folder, and serves when it returns. Throws
  /// UserError: a folder is missing or cannot be used, another server uses the state folder, an
  /// address cannot be had.
  explicit Server(const ServerOptions& options);
  /// Without stop() before: leaves the uploads as a killed process would.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint16_t blocksPort() const;  ///< the first really bound
  [[nodiscard]] std::uint16_t httpPort() const;    ///< the one really bound
  /// What is served over dnbd3, to whom. From any thread.
  [[nodiscard]] BlockFigures blockFigures() const;
  /// One line each for people: what is served where.
  [[nodiscard]] std::vector<std::string> describe() const;

  /// Goes on with other tokens, TLS files, limits and access log (reading their files anew also if
  /// their names are the same). Throws UserError, and then goes on with the old ones.
  void reload(const ServerOptions& options);

  /// Ends in order: requests that run are answered, a merge that runs is put off until the next
  /// start, sessions are closed. Nothing may be called afterwards.
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace netcow
