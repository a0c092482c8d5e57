// SPDX-License-Identifier: Apache-2.0
#include "source/resolver.h"

#include <netdb.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "base/mutex.h"

namespace netcow {
namespace {

/// Asks the system. With `numericOnly` it never waits.
ResolvedHost resolve(const Host& host, bool numericOnly) {
  ResolvedHost result;
  result.host = host;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (numericOnly ? AI_NUMERICHOST : 0);
  addrinfo* list = nullptr;
  const std::string port = std::to_string(host.port);
  const int failure = ::getaddrinfo(host.name.c_str(), port.c_str(), &hints, &list);
  if (failure != 0) {
    result.error = ::gai_strerror(failure);
    return result;
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  auto& addresses = result.addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    const auto address = SocketAddress::from(entry->ai_addr, entry->ai_addrlen);
    if (address && addresses.size() < kMaxAddresses &&
        std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
      addresses.push_back(*address);
    }
  }
  if (addresses.empty()) {
    result.error = "it has neither an IPv4 nor an IPv6 address";
  }
  return result;
}

/// What the threads that ask share with the one that waits; lives as long as the last of them.
struct Answers {
  explicit Answers(std::vector<ResolvedHost> begin) : hosts(std::move(begin)) {}
  Mutex mutex;
  ConditionVariable changed;
  std::vector<ResolvedHost> hosts NETCOW_GUARDED_BY(mutex);
  std::size_t waiting NETCOW_GUARDED_BY(mutex) = 0;
};

void resolveBeside(const std::shared_ptr<Answers>& answers, std::size_t index, const Host& host) {
  std::thread([answers, index, host] {
    ResolvedHost result = resolve(host, false);
    const MutexLock lock(answers->mutex);
    answers->hosts[index] = std::move(result);
    --answers->waiting;
    answers->changed.notifyAll();
  }).detach();
}

}  // namespace

std::vector<ResolvedHost> resolveHosts(const std::vector<Host>& hosts,
                                       std::chrono::milliseconds limit) {
  std::vector<ResolvedHost> begin;
  std::vector<std::size_t> names;
  for (const Host& host : hosts) {
    begin.push_back(resolve(host, true));
    if (begin.back().addresses.empty()) {
      begin.back().error = "its name was not resolved in time";
      names.push_back(begin.size() - 1);
    }
  }
  const auto answers = std::make_shared<Answers>(std::move(begin));
  {
    const MutexLock lock(answers->mutex);
    answers->waiting = names.size();
  }
  for (const std::size_t index : names) {
    resolveBeside(answers, index, hosts[index]);
  }
  const auto end = std::chrono::steady_clock::now() + limit;
  MutexLock lock(answers->mutex);
  while (answers->waiting != 0) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= left.zero()) {
      break;
    }
    answers->changed.waitFor(lock, left);
  }
  return answers->hosts;
}

}  // namespace netcow
