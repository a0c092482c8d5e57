// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace netcow {

void printAll(std::string_view text) {
  std::cout << text << std::flush;
  if (!std::cout) {
    throw UserError("cannot write to standard output");
  }
}

std::string jsonText(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string counted(std::uint64_t count, std::string_view thing) {
  return std::to_string(count) + " " + std::string(thing) + (count == 1 ? "" : "s");
}

std::unique_ptr<Folder> openSessionFolder(const std::string& directory) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    throw UserError(directory +
                    " is no session: there is no such folder; name the one that was given to -c");
  }
  return openFolder(directory);
}

}  // namespace netcow
