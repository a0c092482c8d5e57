// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/client_loop.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"
#include "server/blocks/disk_threads.h"

namespace netcow {
namespace {

constexpr std::size_t kEventsAtOnce = 256;
constexpr std::uint32_t kGone = EPOLLERR | EPOLLHUP;  // reported unasked

}  // namespace

ClientLoop::ClientLoop(DiskThreads& disk, std::chrono::milliseconds longestSilence,
                       BlockStatistics& statistics)
    : disk_(disk),
      longestSilence_(longestSilence),
      lookForSilenceEvery_(std::clamp<std::chrono::milliseconds>(
          longestSilence / 16, std::chrono::milliseconds(5), std::chrono::seconds(2))),
      statistics_(statistics),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  epoll_event wake = {.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (!epoll_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeUp_.fd(), &wake) != 0) {
    throwErrno("cannot watch for clients");
  }
  thread_ = std::jthread([this](std::stop_token stopped) { run(std::move(stopped)); });
}

ClientLoop::~ClientLoop() {
  stop(std::chrono::milliseconds(0));
}

void ClientLoop::stop(std::chrono::milliseconds patience) {
  if (thread_.joinable()) {
    patience_ = patience;
    thread_.request_stop();
    wakeUp_.signal();
    thread_.join();
  }
}

void ClientLoop::adopt(std::unique_ptr<Member> member) {
  {
    const MutexLock lock(inbox_);
    adopted_.push_back(std::move(member));
    ++clients_;
  }
  wakeUp_.signal();
}

void ClientLoop::giveBack(Member& member, Next next) {
  {
    const MutexLock lock(inbox_);
    returned_.push_back({&member, next});
  }
  wakeUp_.signal();
}

void ClientLoop::run(std::stop_token stopped) {
  ClientConnection::prepareThread();
  std::vector<epoll_event> events;
  while (!stopped.stop_requested()) {
    waitForEvents(events);
    for (const epoll_event& event : events) {
      if (event.data.ptr != nullptr) {
        serve(*static_cast<Member*>(event.data.ptr), event.events);
      } else {
        wakeUp_.clear();
      }
    }
    // Behind the events, since it may remove clients that events are about.
    emptyInbox();
    dropSilentClients();
  }
  draining_ = true;
  drain();
}

void ClientLoop::waitForEvents(std::vector<epoll_event>& events) const {
  std::chrono::milliseconds wait(-1);
  if (!members_.empty()) {
    wait = std::max(
        std::chrono::ceil<std::chrono::milliseconds>(nextLook_ - std::chrono::steady_clock::now()),
        std::chrono::milliseconds(0));
  }
  events.resize(kEventsAtOnce);
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(wait.count()));
  events.resize(static_cast<std::size_t>(std::max(count, 0)));
}

void ClientLoop::serve(Member& member, std::uint32_t events) {
  if ((events & kGone) != 0) {
    remove(member);
    return;
  }
  arrange(member,
          member.connection.proceed(buffers_, DiskAccess::cachedOnly, (events & EPOLLIN) != 0));
}

void ClientLoop::emptyInbox() {
  std::vector<std::unique_ptr<Member>> adopted;
  std::vector<Returned> returned;
  {
    const MutexLock lock(inbox_);
    adopted.swap(adopted_);
    returned.swap(returned_);
  }
  for (auto& member : adopted) {
    Member& added = *member;
    members_.emplace(&added, std::move(member));
    arrange(added, Next::input);
  }
  for (const auto& [member, next] : returned) {
    member->lent = false;
    arrange(*member, next);
  }
}

/// Sees to it that a client goes on when what it waits for has come.
void ClientLoop::arrange(Member& member, Next next) {
  if (draining_) {
    member.connection.takeNoMore();
    next = next == Next::input ? Next::end : next;  // all its replies have left
  }
  switch (next) {
    case Next::input:
      watch(member, EPOLLIN);
      break;
    case Next::output:
    case Next::turn:
      watch(member, member.connection.wantsInput() ? EPOLLIN | EPOLLOUT : EPOLLOUT);
      break;
    case Next::disk:
      unwatch(member);
      member.lent = true;
      disk_.lend(member, *this);
      break;
    case Next::end:
      remove(member);
      break;
  }
}

void ClientLoop::watch(Member& member, std::uint32_t events) {
  if (member.watched == events) {
    return;
  }
  epoll_event wanted = {.events = events, .data = {.ptr = &member}};
  const int operation = member.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (::epoll_ctl(epoll_.get(), operation, member.connection.socket(), &wanted) != 0) {
    spdlog::error("a client cannot be served: {}", errnoCode(errno).message());
    remove(member);
    return;
  }
  member.watched = events;
}

void ClientLoop::unwatch(Member& member) {
  if (member.watched != 0) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, member.connection.socket(), nullptr);
    member.watched = 0;
  }
}

void ClientLoop::dropSilentClients() {
  const Clock::Time now = std::chrono::steady_clock::now();
  if (now < nextLook_) {
    return;
  }
  nextLook_ = now + lookForSilenceEvery_;
  std::vector<Member*> silent;
  for (const auto& [member, owned] : members_) {
    if (!member->lent && member->connection.isSilent(now, longestSilence_)) {
      silent.push_back(member);
    }
  }
  for (Member* const member : silent) {
    spdlog::debug("dropped a client that was silent for too long");
    statistics_.clientDropped();
    member->connection.discardUnsent();
    remove(*member);
  }
}

/// Goes on until the replies that are due have left, or patience ends.
void ClientLoop::drain() {
  const Clock::Time end = std::chrono::steady_clock::now() + patience_.load();
  std::vector<Member*> all;
  for (const auto& [member, owned] : members_) {
    if (!member->lent) {
      all.push_back(member);
    }
  }
  for (Member* const member : all) {
    arrange(*member, member->connection.hasReplies() ? Next::output : Next::end);
  }
  std::vector<epoll_event> events;
  while (!members_.empty() && std::chrono::steady_clock::now() < end) {
    nextLook_ = end;
    waitForEvents(events);
    for (const epoll_event& event : events) {
      if (event.data.ptr != nullptr) {
        serve(*static_cast<Member*>(event.data.ptr), event.events & ~std::uint32_t{EPOLLIN});
      } else {
        wakeUp_.clear();
      }
    }
    emptyInbox();
  }
}

void ClientLoop::remove(Member& member) {
  members_.erase(&member);  // closing its socket ends the watch
  --clients_;
}

}  // namespace netcow
