// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "session/file_system.h"

namespace netcow {

/// Prints to standard output; UserError when that is not possible.
void printAll(std::string_view text);

/// For programs: a JSON text, also when a name holds bytes that are no UTF-8.
std::string jsonText(const nlohmann::ordered_json& json);

/// "1 cluster", "2 clusters".
std::string counted(std::uint64_t count, std::string_view thing);

/// The folder of a session; UserError if there is none.
std::unique_ptr<Folder> openSessionFolder(const std::string& directory);

}  // namespace netcow
