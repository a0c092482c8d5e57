// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/transfer_options.h"

namespace netcow {

/// What `netcow mount` was asked to do. Empty strings: not given. Paths are absolute.
struct MountCommand {
  std::string mountpoint;
  bool foreground = false;  ///< -f or -d
  bool debug = false;
  bool singleThread = false;
  std::vector<std::string> fuseOptions;  ///< as each -o gave them
  std::string logFile;
  std::string logLevel = "info";  ///< one of logLevels()

  std::string hosts;   ///< host list of dnbd3 servers
  std::string source;  ///< URL in their place
  std::string image;
  std::uint16_t revision = 0;                          ///< 0: the latest
  bool sticky = false;                                 ///< use only the servers named
  std::optional<std::chrono::milliseconds> ioTimeout;  ///< reads that take longer fail
  /// Bytes of memory for what is read ahead of a remote image; 0: nothing is.
  std::uint64_t prefetch = std::uint64_t{64} << 20U;

  std::string sessionDirectory;  ///< of -c or -L; empty: read-only
  bool loadSession = false;      ///< it was -L
  std::string uploadPrefix;
  TransferOptions transfer;
  bool merge = false;
  bool discardOnExit = false;  ///< a throw-away session
  std::optional<std::chrono::milliseconds> minAge;
  bool statusFile = false;
  bool statusToLog = false;
  std::optional<std::uint64_t> maxImageSize;  ///< bytes the image may grow to
  std::optional<std::uint64_t> maxLocal;      ///< bytes that changes may take on the local disk

  std::string cacheFolder;                 ///< keep what is read of the base there; empty: nowhere
  std::optional<std::uint64_t> cacheSize;  ///< bytes that all images may take there together
  bool prefetchAll = false;                ///< fetch the whole image into it in idle time
};

/// Reads the arguments (without the program's name). Returns nothing when all that was asked for
/// was a text, which is printed: help or version. Throws UserError (ExitStatus::usage) with one
/// line for every contradiction and every missing piece.
std::optional<MountCommand> parseMountCommand(const std::vector<std::string>& arguments);

}  // namespace netcow
