// SPDX-License-Identifier: Apache-2.0
// Whatever origin.json holds: it is understood or refused with one line, and what was understood is
// written and understood again as the same.
#include <cstring>
#include <string_view>

#include "base/errors.h"
#include "fuzz/fuzz_input.h"
#include "session/origin.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace netcow;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Origin origin;
  try {
    origin = Origin::parse(text, "origin.json");
  } catch (const UserError& error) {
    test::demand(std::strchr(error.what(), '\n') == nullptr, "a refusal is one line");
    return 0;
  }
  test::demand(Origin::parse(origin.toJson(), "origin.json") == origin, "it is written as read");
  return 0;
}
