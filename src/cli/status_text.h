// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "upload/upload_status.h"

// What `netcow status` knows of a mount or a session, and how it tells it.
namespace netcow {

struct StatusReport {
  enum class State {
    mounted,
    uploading,  ///< unmounted, or `netcow upload`: the rest is on its way
    inUse,      ///< by a program that tells no more
    closed,
    killed,  ///< its process ended without closing it; nothing is lost
  };
  State state = State::closed;
  std::string mountpoint;      ///< empty: not known
  std::string session;         ///< its folder; empty: the mount is read-only
  std::int64_t process = 0;    ///< id of the one that has it; 0: none, or not known
  std::string image;           ///< its name
  std::uint32_t revision = 0;  ///< of the base; 0: not known
  /// What the mount tells of its connection: "Server" and its address, and so on.
  std::vector<std::pair<std::string, std::string>> connection;
  std::string uploadServer;            ///< without user name and password; empty: stays local
  std::uint64_t dirtyClusters = 0;     ///< that are not uploaded
  std::optional<UploadStatus> upload;  ///< nothing where there is no upload server
};

/// Reads the text of the file `status` in a mount (docs/formats/session.md). Nothing if it is none.
std::optional<StatusReport> parseMountStatus(const std::string& mountpoint,
                                             const std::string& text);

/// What the user should do next, or wait for, in one line.
std::string nextStep(const StatusReport& report);
/// For people: lines of a title, blanks, a value.
std::string statusReportText(const StatusReport& report);
/// For programs; docs/formats/session.md. On one line with `oneLine`.
std::string statusReportJson(const StatusReport& report, bool oneLine);

}  // namespace netcow
