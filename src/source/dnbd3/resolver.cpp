// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/resolver.h"

#include <netdb.h>

#include <algorithm>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

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

}  // namespace

/// What the threads that ask share with the one that wants to know; lives as long as the last of
/// them.
struct NameLookup::Answers {
  Mutex mutex;
  ConditionVariable changed;
  std::vector<ResolvedHost> answers NETCOW_GUARDED_BY(mutex);
  std::size_t waiting NETCOW_GUARDED_BY(mutex) = 0;
};

NameLookup::NameLookup(const std::vector<Host>& hosts) : answers_(std::make_shared<Answers>()) {
  {
    const MutexLock lock(answers_->mutex);
    answers_->waiting = hosts.size();
  }
  for (const Host& host : hosts) {
    const auto answer = [answers = answers_](ResolvedHost result) {
      const MutexLock lock(answers->mutex);
      answers->answers.push_back(std::move(result));
      --answers->waiting;
      answers->changed.notifyAll();
    };
    try {
      std::thread([answer, host] { answer(resolve(host, false)); }).detach();
    } catch (const std::system_error& error) {
      // No thread to be had now: no reason to end the mount whose servers are searched.
      answer({.host = host, .addresses = {}, .error = error.code().message()});
    }
  }
}

bool NameLookup::isOver() const {
  const MutexLock lock(answers_->mutex);
  return answers_->waiting == 0;
}

void NameLookup::waitAtMost(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  MutexLock lock(answers_->mutex);
  while (answers_->waiting != 0) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= left.zero()) {
      return;
    }
    answers_->changed.waitFor(lock, left);
  }
}

std::vector<ResolvedHost> NameLookup::takeAnswers() {
  const MutexLock lock(answers_->mutex);
  return std::exchange(answers_->answers, {});
}

bool isNumeric(const Host& host) {
  return !resolve(host, true).addresses.empty();
}

std::vector<ResolvedHost> resolveHosts(const std::vector<Host>& hosts,
                                       std::chrono::milliseconds limit) {
  std::vector<ResolvedHost> results;
  std::vector<Host> names;
  for (const Host& host : hosts) {
    results.push_back(resolve(host, true));
    if (results.back().addresses.empty()) {
      results.back().error = "its name was not resolved in time";
      names.push_back(host);
    }
  }
  NameLookup lookup(names);
  lookup.waitAtMost(limit);
  for (const ResolvedHost& answer : lookup.takeAnswers()) {
    std::replace_if(
        results.begin(), results.end(),
        [&answer](const ResolvedHost& result) { return result.host == answer.host; }, answer);
  }
  return results;
}

}  // namespace netcow
