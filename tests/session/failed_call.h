// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "support/seeded_random.h"

namespace netcow::test {

/// A run in which one call fails.
struct FailedCall {
  std::string prefix;  ///< runs before
  std::string script;
  int error;
};
/// Runs the script again and again, with its first call failing, its second, and so on until none
/// does; `step` is the most that is gone on by. Each ends in a crash. What is wrong, or empty.
std::string failEachCall(SeededRandom& random, const FailedCall& failed, std::uint64_t step,
                         std::uint64_t& runs);

/// One such run with the n-th call; tells whether there was an n-th, and whether it came.
std::string failOneCall(SeededRandom& random, const FailedCall& failed, std::uint64_t n,
                        bool endsInPowerCut, bool& came);

/// A crash after each change while a session is made: there is none or an empty one, and one can be
/// made afterwards.
std::string crashInCreate(SeededRandom& random);
/// The same with each call failing.
std::string failInCreate(SeededRandom& random, int error);

}  // namespace netcow::test
