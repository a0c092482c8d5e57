// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "server/http/http_message.h"

namespace netcow {

/// What `/healthz` looks at. May wait for the disk.
struct HealthChecks {
  std::string imagesFolder;
  std::string stateFolder;
  std::function<void()> askRegistry;  ///< throws when it does not answer
};

/// 200 "ok" when images can be read, the state folder can be written and the registry answers;
/// else 503 with one line for each that fails.
HttpResponse checkHealth(const HealthChecks& checks);

}  // namespace netcow
