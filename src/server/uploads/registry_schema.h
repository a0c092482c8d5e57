// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/uploads/database.h"

namespace netcow {

/// Makes the registry's tables in a new database, or brings those of an earlier version up to date,
/// in one transaction: killed meanwhile, it is the old one. Throws UserError for a later version.
void upgradeRegistry(Database& database);

}  // namespace netcow
