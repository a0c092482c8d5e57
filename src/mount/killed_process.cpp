// SPDX-License-Identifier: Apache-2.0
#include "mount/killed_process.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <exception>
#include <string>

#include "base/whole_io.h"

namespace netcow {
namespace {

/// The mask of pending signals behind `field`; 0 if the field is missing.
std::uint64_t signalMask(std::string_view text, std::string_view field) {
  const std::size_t at = text.find(field);
  if (at == std::string_view::npos) {
    return 0;
  }
  std::string_view number = text.substr(at + field.size());
  number.remove_prefix(std::min(number.find_first_not_of("\t "), number.size()));
  std::uint64_t mask = 0;
  std::from_chars(number.data(), number.data() + number.size(), mask, 16);
  return mask;
}

}  // namespace

bool showsPendingKill(std::string_view processStatus) {
  constexpr std::uint64_t kKill = std::uint64_t{1} << (SIGKILL - 1U);
  const std::uint64_t pending =
      signalMask(processStatus, "\nSigPnd:") | signalMask(processStatus, "\nShdPnd:");
  return (pending & kKill) != 0;
}

bool isBeingKilled(pid_t id) noexcept {
  try {
    return showsPendingKill(readTextFile("/proc/" + std::to_string(id) + "/status"));
  } catch (const std::exception&) {
    return false;  // gone, or in a process namespace that is hidden from this one
  }
}

}  // namespace netcow
