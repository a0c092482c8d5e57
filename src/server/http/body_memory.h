// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace netcow {

/// Bounds what the bodies of requests that are not answered may take of memory together.
/// Thread-safe.
class BodyMemory {
 public:
  explicit BodyMemory(std::uint64_t most) : most_(most) {}

  /// A part of it, given back when it is destroyed; empty when there was not enough. The memory
  /// must outlive it.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), bytes_(other.bytes_) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Share() {
      if (owner_ != nullptr) {
        owner_->used_ -= bytes_;
      }
    }
    explicit operator bool() const { return owner_ != nullptr; }

   private:
    friend class BodyMemory;
    Share(BodyMemory& owner, std::uint64_t bytes) : owner_(&owner), bytes_(bytes) {}
    BodyMemory* owner_ = nullptr;
    std::uint64_t bytes_ = 0;
  };

  [[nodiscard]] Share take(std::uint64_t bytes) {
    if (used_.fetch_add(bytes) + bytes > most_) {
      used_ -= bytes;
      return {};
    }
    return {*this, bytes};
  }

 private:
  const std::uint64_t most_;
  std::atomic<std::uint64_t> used_ = 0;
};

}  // namespace netcow
