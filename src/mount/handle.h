// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

namespace netcow {

// What an open leaves with the kernel (fuse_file_info::fh): the address of an object of ours, which
// comes back with every request of that open.

template <class Object>
std::uint64_t toHandle(Object* object) {
  return std::bit_cast<std::uint64_t>(object);
}

template <class Object>
Object* fromHandle(std::uint64_t handle) {
  return std::bit_cast<Object*>(handle);
}

}  // namespace netcow
