// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace netcow::test {

/// Memory that O_DIRECT takes.
class SectorBuffer {
 public:
  explicit SectorBuffer(std::size_t size)
      : memory_(static_cast<std::byte*>(std::aligned_alloc(4096, (size / 4096 + 1) * 4096))),
        size_(size) {
    if (memory_ == nullptr) {
      throw std::bad_alloc();
    }
  }
  [[nodiscard]] std::span<std::byte> bytes() const { return {memory_.get(), size_}; }
  [[nodiscard]] std::byte* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_;
};

}  // namespace netcow::test
