// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>

#include "base/mutex.h"

namespace netcow {

/// Of the updates of one cluster the newest wins, in whatever order they arrive. Thread-safe.
class ClusterOrder {
 public:
  /// Runs store() unless a newer update of the cluster was stored before; false if so. Updates of
  /// one cluster wait for each other. When store() throws, nothing counts as stored.
  template <class Store>
  bool store(std::uint64_t cluster, std::uint64_t sequence, Store store) {
    Stripe& stripe = stripes_[cluster % kStripes];
    const MutexLock lock(stripe.mutex);
    const auto newest = stripe.newest.find(cluster);
    if (newest != stripe.newest.end() && newest->second > sequence) {
      return false;
    }
    store();
    stripe.newest[cluster] = sequence;
    return true;
  }

 private:
  static constexpr std::uint64_t kStripes = 64;
  struct Stripe {
    Mutex mutex;
    std::unordered_map<std::uint64_t, std::uint64_t> newest NETCOW_GUARDED_BY(mutex);
  };
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace netcow
