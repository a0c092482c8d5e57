// SPDX-License-Identifier: Apache-2.0
#include "upload/jitter.h"

#include <cstdint>
#include <memory>
#include <random>

namespace netcow {
namespace {

std::chrono::milliseconds times(std::chrono::milliseconds time, double factor) {
  return std::chrono::milliseconds(
      static_cast<std::chrono::milliseconds::rep>(static_cast<double>(time.count()) * factor));
}

}  // namespace

Jitter Jitter::random() {
  std::random_device device;
  return seeded((std::uint64_t{device()} << 32U) | device());
}

Jitter Jitter::seeded(std::uint64_t seed) {
  auto engine = std::make_shared<std::mt19937_64>(seed);
  return Jitter([engine] { return std::uniform_real_distribution<double>(0, 1)(*engine); });
}

std::chrono::milliseconds Jitter::around(std::chrono::milliseconds wait) const {
  return times(wait, 0.5 + draw_());
}

std::chrono::milliseconds Jitter::atLeast(std::chrono::milliseconds pause) const {
  return pause + times(pause, draw_() / 4);
}

}  // namespace netcow
