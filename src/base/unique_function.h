// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

namespace netcow {

template <class Signature>
class UniqueFunction;

/// A callable that can be moved but not copied (std::move_only_function is C++23). Callables of
/// up to 48 bytes are kept inside; larger ones on the heap. Calling an empty one is undefined.
template <class Result, class... Arguments>
class UniqueFunction<Result(Arguments...)> {
 public:
  UniqueFunction() = default;

  template <class F>
    requires(!std::is_same_v<std::decay_t<F>, UniqueFunction> &&
             std::is_invocable_r_v<Result, std::decay_t<F>&, Arguments...>)
  UniqueFunction(
      F&& function) {  // NOLINT(google-explicit-constructor,bugprone-forwarding-reference-overload)
    using Target = std::decay_t<F>;
    if constexpr (fitsInside<Target>()) {
      new (storage()) Target(std::forward<F>(function));
      operations_ = &insideOperations<Target>;
    } else {
      new (storage()) Target*(new Target(std::forward<F>(function)));
      operations_ = &heapOperations<Target>;
    }
  }

  UniqueFunction(UniqueFunction&& other) noexcept { takeFrom(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this != &other) {
      clear();
      takeFrom(other);
    }
    return *this;
  }
  UniqueFunction(const UniqueFunction&) = delete;
  UniqueFunction& operator=(const UniqueFunction&) = delete;
  ~UniqueFunction() { clear(); }

  explicit operator bool() const { return operations_ != nullptr; }
  Result operator()(Arguments... arguments) {
    return operations_->call(storage(), std::forward<Arguments>(arguments)...);
  }

 private:
  struct Operations {
    Result (*call)(void*, Arguments&&...);
    void (*moveTo)(void* from, void* to) noexcept;  // leaves nothing to destroy in `from`
    void (*destroy)(void*) noexcept;
  };

  static constexpr std::size_t kInside = 48;

  template <class Target>
  static constexpr bool fitsInside() {
    return sizeof(Target) <= kInside && alignof(Target) <= alignof(std::max_align_t) &&
           std::is_nothrow_move_constructible_v<Target>;
  }

  template <class Target>
  static constexpr Operations insideOperations = {
      [](void* self, Arguments&&... arguments) -> Result {
        return (*static_cast<Target*>(self))(std::forward<Arguments>(arguments)...);
      },
      [](void* from, void* to) noexcept {
        new (to) Target(std::move(*static_cast<Target*>(from)));
        static_cast<Target*>(from)->~Target();
      },
      [](void* self) noexcept { static_cast<Target*>(self)->~Target(); }};

  template <class Target>
  static constexpr Operations heapOperations = {
      [](void* self, Arguments&&... arguments) -> Result {
        return (**static_cast<Target**>(self))(std::forward<Arguments>(arguments)...);
      },
      [](void* from, void* to) noexcept { new (to) Target*(*static_cast<Target**>(from)); },
      [](void* self) noexcept { delete *static_cast<Target**>(self); }};

  void* storage() { return static_cast<void*>(inside_); }
  void clear() {
    if (operations_ != nullptr) {
      std::exchange(operations_, nullptr)->destroy(storage());
    }
  }
  void takeFrom(UniqueFunction& other) {
    operations_ = std::exchange(other.operations_, nullptr);
    if (operations_ != nullptr) {
      operations_->moveTo(other.storage(), storage());
    }
  }

  const Operations* operations_ = nullptr;
  alignas(std::max_align_t) std::byte inside_[kInside];
};

/// Called exactly once when an asynchronous operation has ended, on whichever thread ended it;
/// a default-constructed code is success.
using Completion = UniqueFunction<void(std::error_code)>;

}  // namespace netcow
