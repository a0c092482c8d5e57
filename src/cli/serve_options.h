// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/server.h"

namespace netcow {

/// A number of bytes, which people write as 64M.
struct ByteCount {
  std::uint64_t bytes = 0;
  bool operator==(const ByteCount&) const = default;
};

/// What `netcow serve` is told, on the command line or in the file that --config names.
struct ServeOptions {
  std::string config;
  std::string images;
  std::vector<std::string> listen;
  std::vector<std::string> http;
  std::string state;
  std::string logFile;
  bool debug = false;
  std::string tokenFile;
  std::string tlsCertificate;
  std::string tlsKey;
  std::string accessLog;
  std::uint64_t maxHttpClients = HttpLimits().clients;
  std::uint64_t maxHttpClientsPerAddress = HttpLimits().clientsPerAddress;
  std::uint64_t sessionTtlDays = 30;
  std::optional<ByteCount> reserve;
  std::vector<std::string> otherServers;
  std::uint64_t maxClients = ServerOptions().maxBlockClients;
  ByteCount checksumRate = {ServerOptions().checksumBytesPerSecond};
};

/// One option, told once: the command line, the file and its messages follow from it.
struct ServeOption {
  using Value = std::variant<std::string*, std::vector<std::string>*, std::uint64_t*, ByteCount*,
                             std::optional<ByteCount>*, bool*>;

  std::string name;    ///< without "--"; also the key in the file
  std::string letter;  ///< the short form, without '-'; may be empty
  std::string type;    ///< what stands for the value in --help
  std::string help;
  /// Whether SIGHUP changes it in a server that runs; else it takes a restart.
  bool reloads = false;
  Value value;
  std::uint64_t least = 0;  ///< of a number
};

/// "64M", or plain bytes; nothing for any other text.
std::optional<ByteCount> parseByteCount(std::string text);

/// Every option but --config; they point into `options`.
std::vector<ServeOption> describeServeOptions(ServeOptions& options);

/// What `netcow serve` takes on its command line. `options` must outlive `app`.
void addServeOptions(CLI::App& app, ServeOptions& options);

/// The server's part of them. Throws UserError (wrong usage).
ServerOptions serverOptions(const ServeOptions& given);

}  // namespace netcow
