// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "session/check.h"

// Repairing does only what loses nothing that was acknowledged:
//   - a session that was not closed is recovered, as opening it does;
//   - offsets of 0 become -1, and counters of the header what the tables tell;
//   - space in `data` between clusters that no cluster uses is given back, and leftover files are
//   removed.
// A `live` that is dropped is kept under another name, and no space is given back in that run: what
// only `live` named looks unused. Nor is any behind the last cluster, where the next ones go: it
// may be what a newer `meta` than this one names.
//
// All of that relies on the tables being what they should be. Where anything is wrong that only a
// backup can mend, nothing at all is changed: what looks unused or miscounted may then be what the
// damaged part should name.
//
// Before `meta` is changed, a copy of it is on the disk. `meta` is changed as a checkpoint does
// it: in place, entries and header within a sector each, every one of them right by itself; space
// is given back only after that is durable. So a repair that is cut short leaves a session that is
// nowhere worse than before, and a second one goes on.
namespace netcow {

struct RepairReport {
  CheckReport before;
  CheckReport after;
  std::vector<std::string> done;  ///< a sentence for each thing that was done, in order
  std::string copy;               ///< name of the copy of the old `meta`; empty if it is unchanged
};

/// Locks the session, checks it, repairs what can be, and checks it again. UserError if it is in
/// use; std::system_error when a file cannot be read or written.
RepairReport repairSession(Folder& folder, const Clock& clock = Clock::system());

}  // namespace netcow
