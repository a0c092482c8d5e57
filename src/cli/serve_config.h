// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "cli/serve_options.h"

namespace netcow {

/// Reads `options.config` (TOML: a key is the name of an option without "--") and sets every option
/// that it holds and for which `isGiven(name)` is false: the command line wins. Relative names of
/// files mean what they mean on the command line. Throws UserError, which names the line, for what
/// is no TOML, an unknown key, or a value of another type.
void completeFromConfig(ServeOptions& options,
                        const std::function<bool(const std::string&)>& isGiven);

}  // namespace netcow
