// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <type_traits>

namespace netcow {

/// The bytes of `value` in reverse order.
template <class T>
constexpr T swapBytes(T value) {
  static_assert(std::is_integral_v<T>);
  auto bytes = std::bit_cast<std::array<unsigned char, sizeof(T)>>(value);
  std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<T>(bytes);
}

/// An integer as it lies in a file or message: little-endian, no alignment. A struct made only of
/// these and of byte arrays has no padding, so its layout is its format.
template <class T>
class LittleEndian {
 public:
  constexpr LittleEndian() = default;
  constexpr LittleEndian(T value) { *this = value; }  // NOLINT(google-explicit-constructor)
  constexpr LittleEndian& operator=(T value) {
    const T ordered = std::endian::native == std::endian::little ? value : swapBytes(value);
    bytes_ = std::bit_cast<Bytes>(ordered);
    return *this;
  }
  constexpr operator T() const {  // NOLINT(google-explicit-constructor)
    const T ordered = std::bit_cast<T>(bytes_);
    return std::endian::native == std::endian::little ? ordered : swapBytes(ordered);
  }

 private:
  struct Bytes {
    unsigned char at[sizeof(T)] = {};
  };
  Bytes bytes_;
};

}  // namespace netcow
