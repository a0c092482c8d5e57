// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload_record.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
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

std::string hideUuids(const std::string& message) {
  constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  const auto fits = [](char form, char c) {
    return form == '-' ? c == '-' : std::isxdigit(static_cast<unsigned char>(c)) != 0;
  };
  std::string shown;
  for (std::size_t at = 0; at < message.size();) {
    const std::string part = message.substr(at, kForm.size());
    if (part.size() == kForm.size() && std::ranges::equal(kForm, part, fits)) {
      shown += shortUuid(part) + "...";
      at += part.size();
    } else {
      shown += message[at++];
    }
  }
  return shown;
}

}  // namespace netcow
