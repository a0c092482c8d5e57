// SPDX-License-Identifier: Apache-2.0
#include "session/origin.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/errors.h"
#include "base/whole_io.h"

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
  throw UserError(path + " names the merge state `" + text +
                  "`, which this version of netcow does not know; use a newer one");
}

}  // namespace

std::string_view toText(MergeState state) {
  return kMergeStates[static_cast<std::size_t>(state)].second;
}

void Origin::save(const std::string& directory) const {
  const nlohmann::ordered_json json = {{"imageName", imageName},       {"revision", revision},
                                       {"baseSize", baseSize},         {"source", source},
                                       {"uploadPrefix", uploadPrefix}, {"merge", toText(merge)}};
  replaceTextFile(directory + "/origin.json", json.dump(2) + "\n", true);
}

std::optional<Origin> Origin::load(const std::string& directory) {
  const std::string path = directory + "/origin.json";
  if (!std::filesystem::exists(path)) {
    return std::nullopt;
  }
  try {
    const auto json = nlohmann::json::parse(readTextFile(path));
    Origin origin;
    origin.imageName = json.at("imageName").get<std::string>();
    origin.revision = json.at("revision").get<std::uint16_t>();
    origin.baseSize = json.at("baseSize").get<std::uint64_t>();
    origin.source = json.at("source").get<std::string>();
    origin.uploadPrefix = json.at("uploadPrefix").get<std::string>();
    origin.merge = parseMergeState(path, json.at("merge").get<std::string>());
    return origin;
  } catch (const nlohmann::json::exception& error) {
    throw UserError(path + " cannot be understood (" + error.what() +
                    "); remove it and name the image and its revision on the command line");
  }
}

}  // namespace netcow
