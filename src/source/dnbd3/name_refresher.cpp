// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/name_refresher.h"

#include <algorithm>

namespace netcow {
namespace {

/// Whether answers have come is looked at so often: nothing else goes on then.
constexpr std::chrono::milliseconds kLookEvery{100};

std::string labelOf(const Host& host, const SocketAddress& address) {
  const std::string name = host.text();
  const std::string number = address.text();
  return name == number ? name : name + " (" + number + ")";
}

}  // namespace

std::size_t addServers(KnownServers& servers, const ResolvedHost& resolved) {
  std::size_t added = 0;
  for (const SocketAddress& address : resolved.addresses) {
    added += servers.add(address, labelOf(resolved.host, address)) ? 1 : 0;
  }
  return added;
}

NameRefresher::NameRefresher(const std::vector<Host>& hosts, std::chrono::milliseconds after,
                             std::chrono::milliseconds every)
    : after_(after), every_(every) {
  std::copy_if(hosts.begin(), hosts.end(), std::back_inserter(names_),
               [](const Host& host) { return !isNumeric(host); });
}

void NameRefresher::begin(Clock::Time now) {
  next_ = names_.empty() ? Clock::Time::max() : now + after_;
}

void NameRefresher::end() {
  next_ = Clock::Time::max();
}

Clock::Time NameRefresher::nextEvent(Clock::Time now) const {
  if (next_ == Clock::Time::max()) {
    return next_;
  }
  return lookup_ && !lookup_->isOver() ? now + kLookEvery : next_;
}

std::vector<ResolvedHost> NameRefresher::advance(Clock::Time now) {
  if (next_ == Clock::Time::max()) {
    return {};
  }
  if (lookup_ && !lookup_->isOver()) {
    return lookup_->takeAnswers();
  }
  std::vector<ResolvedHost> answers;
  if (lookup_) {
    answers = lookup_->takeAnswers();
  }
  if (now >= next_) {
    lookup_.emplace(names_);
    next_ = now + every_;
  }
  return answers;
}

}  // namespace netcow
