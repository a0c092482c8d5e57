// SPDX-License-Identifier: Apache-2.0
#include "server/http/client_limits.h"

namespace netcow {
namespace {

// Those that are being told that there are too many.
constexpr std::uint64_t kMostRefused = 64;

}  // namespace

std::unique_ptr<ClientLimits::Place> ClientLimits::enter(const std::string& address) {
  const MutexLock lock(mutex_);
  auto verdict = Verdict::serve;
  const auto same = servedByAddress_.find(address);
  const std::uint64_t ofAddress = same == servedByAddress_.end() ? 0 : same->second;
  if (served_ >= limits_.clients || ofAddress >= limits_.clientsPerAddress) {
    verdict = refused_ < kMostRefused ? Verdict::refuse : Verdict::drop;
  }
  auto place = std::make_unique<Place>(*this, address, verdict);
  if (verdict == Verdict::serve) {
    ++servedByAddress_[address];
    ++served_;
  } else if (verdict == Verdict::refuse) {
    ++refused_;
  }
  return place;
}

void ClientLimits::leave(const Place& place) {
  const MutexLock lock(mutex_);
  if (place.verdict_ == Verdict::serve) {
    --served_;
    const auto same = servedByAddress_.find(place.address_);
    if (--same->second == 0) {
      servedByAddress_.erase(same);
    }
  } else if (place.verdict_ == Verdict::refuse) {
    --refused_;
  }
}

void ClientLimits::replace(HttpLimits limits) {
  const MutexLock lock(mutex_);
  limits_ = limits;
}

}  // namespace netcow
