// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuzz/fuzz_input.h"
#include "session/simulated_folder.h"

namespace netcow::test {

/// Makes the files of a session on the machine's disk as an input says: one that was closed, killed
/// or cut off from power, and then changed in single fields, entries or bytes. So an input of a
/// few bytes gets past every check but the one that it aims at.
void forgeSession(FuzzInput& input, SimulatedMachine& machine);

}  // namespace netcow::test
