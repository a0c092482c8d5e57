// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload_record.h"

#include <array>
#include <utility>

namespace netcow {
namespace {

constexpr std::array<std::pair<UploadState, const char*>, 7> kNames = {{
    {UploadState::copying, "Copying"},
    {UploadState::active, "Active"},
    {UploadState::merging, "Merging"},
    {UploadState::done, "Done"},
    {UploadState::failed, "Failed"},
    {UploadState::deleted, "Deleted"},
    {UploadState::expired, "Expired"},
}};

}  // namespace

const char* stateName(UploadState state) {
  for (const auto& [known, name] : kNames) {
    if (known == state) {
      return name;
    }
  }
  return "";
}

std::optional<UploadState> parseStateName(const std::string& name) {
  for (const auto& [state, known] : kNames) {
    if (name == known) {
      return state;
    }
  }
  return std::nullopt;
}

bool hasEnded(UploadState state) {
  return state == UploadState::done || state == UploadState::deleted ||
         state == UploadState::expired;
}

std::string shortUuid(const std::string& uuid) {
  constexpr std::size_t kShown = 8;
  return uuid.substr(0, kShown);
}

std::string hideUuid(std::string message, const std::string& uuid) {
  if (uuid.empty()) {
    return message;
  }
  const std::string shown = shortUuid(uuid) + "...";
  for (auto at = message.find(uuid); at != std::string::npos; at = message.find(uuid, at)) {
    message.replace(at, uuid.size(), shown);
    at += shown.size();
  }
  return message;
}

}  // namespace netcow
