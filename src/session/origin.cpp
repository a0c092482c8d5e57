// SPDX-License-Identifier: Apache-2.0
#include "session/origin.h"

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/errors.h"
#include "base/whole_io.h"
#include "format/geometry.h"

namespace netcow {

namespace {

constexpr std::pair<MergeState, std::string_view> kMergeStates[] = {
    {MergeState::none, "none"},
    {MergeState::asked, "asked"},
    {MergeState::done, "done"},
    {MergeState::refused, "refused"},
};

MergeState parseMergeState(const std::string& path, const std::string& text) {
  for (const auto& [state, name] : kMergeStates) {
    if (name == text) {
      return state;
    }
  }
  // As JSON, which keeps any text on one line.
  throw UserError(path + " names the merge state " + nlohmann::json(text).dump() +
                  ", which this version of netcow does not know; use a newer one");
}

/// A whole number up to `largest`: what does not fit is never cut to what does.
std::uint64_t parseNumber(const std::string& path, const nlohmann::json& json, const char* key,
                          std::uint64_t largest) {
  const auto& value = json.at(key);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > largest) {
    throw UserError(path + " has no number up to " + std::to_string(largest) + " as its " + key +
                    "; remove it and name the image and its revision on the command line");
  }
  return value.get<std::uint64_t>();
}

}  // namespace

std::string_view toText(MergeState state) {
  return kMergeStates[static_cast<std::size_t>(state)].second;
}

std::string Origin::toJson() const {
  const nlohmann::ordered_json json = {{"imageName", imageName},       {"revision", revision},
                                       {"baseSize", baseSize},         {"source", source},
                                       {"uploadPrefix", uploadPrefix}, {"uploadUuid", uploadUuid},
                                       {"merge", toText(merge)}};
  return json.dump(2) + "\n";
}

Origin Origin::parse(std::string_view text, const std::string& path) {
  try {
    const auto json = nlohmann::json::parse(text);
    Origin origin;
    origin.imageName = json.at("imageName").get<std::string>();
    origin.revision = static_cast<std::uint16_t>(
        parseNumber(path, json, "revision", std::numeric_limits<std::uint16_t>::max()));
    origin.baseSize = parseNumber(path, json, "baseSize", kLargestImageSize);
    origin.source = json.at("source").get<std::string>();
    origin.uploadPrefix = json.at("uploadPrefix").get<std::string>();
    origin.uploadUuid = json.value("uploadUuid", std::string());  // not in files of version 0.1
    origin.merge = parseMergeState(path, json.at("merge").get<std::string>());
    return origin;
  } catch (const nlohmann::json::exception& error) {
    throw UserError(path + " cannot be understood (" + error.what() +
                    "); remove it and name the image and its revision on the command line");
  }
}

MergeState Origin::mergeOf(const std::string& upload) const {
  return uploadUuid.empty() || isSameUpload(uploadUuid, upload) ? merge : MergeState::none;
}

bool isSameUpload(const std::string& stored, const std::string& given) {
  constexpr std::size_t kOldLength = 35;
  return stored == given || (stored.size() == kOldLength && stored == given.substr(0, kOldLength));
}

void Origin::save(const std::string& directory) const {
  replaceTextFile(directory + "/origin.json", toJson(), true);
}

std::optional<Origin> Origin::load(const std::string& directory) {
  const std::string path = directory + "/origin.json";
  if (!std::filesystem::exists(path)) {
    return std::nullopt;
  }
  return parse(readTextFile(path), path);
}

}  // namespace netcow
