// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace netcow {

/// The folder of --cache as a whole, and how much all images in it may take together.
///
/// Every mount on the host keeps to the limit by itself: what an image may take is what the others
/// leave. Images that nobody uses make room first, those unused for longest before the others; what
/// other mounts hold stays theirs. Thread-safe.
class CacheSpace {
 public:
  /// Makes the folder if it is missing. Without a `limit`: see defaultLimit(). Throws UserError.
  CacheSpace(const std::string& folder, std::optional<std::uint64_t> limit);

  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] std::uint64_t limit() const { return limit_; }

  /// How many bytes the image in the sub-folder `own` may take. If that is less than `wanted`,
  /// images that nobody uses are removed first.
  [[nodiscard]] std::uint64_t shareOf(const std::string& own, std::uint64_t wanted) const;

  /// The least limit that makes sense, in bytes.
  static constexpr std::uint64_t kLeast = std::uint64_t{16} << 20U;

 private:
  const std::string folder_;
  std::uint64_t limit_ = 0;
};

}  // namespace netcow
