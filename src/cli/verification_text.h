// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "format/image_name.h"
#include "source/image_verification.h"

namespace netcow {

/// A verification that has ended, as `netcow verify-image` tells it.
struct VerifiedImage {
  ImageName image;
  std::uint64_t size = 0;  ///< bytes
  std::string listFrom;    ///< where the list of checksums came from
  VerificationReport report;
  std::chrono::milliseconds duration{0};
};

/// A line for each run of spans with something to say of, and a last one that sums up.
std::string verificationText(const VerifiedImage& verified);
/// The same for programs.
std::string verificationJson(const VerifiedImage& verified);

}  // namespace netcow
