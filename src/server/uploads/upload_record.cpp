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

}  // namespace netcow
