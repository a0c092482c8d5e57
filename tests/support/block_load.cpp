// SPDX-License-Identifier: Apache-2.0
#include "support/block_load.h"

#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <utility>

namespace netcow::test {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20U;
constexpr std::chrono::milliseconds kLookAgainAfter(10);
constexpr std::chrono::seconds kLongestLeave(5);

void allowDescriptors(int wanted) {
  rlimit limit = {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur =
      std::max(limit.rlim_cur, std::min<rlim_t>(limit.rlim_max, static_cast<rlim_t>(wanted) + 200));
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

BlockLoad::BlockLoad(const LoadOptions& options) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  allowDescriptors(options.clients);
  const SeededRandom random;
  for (int i = 0; i < options.clients; ++i) {
    const bool sequential = i < options.sequential * options.clients;
    clients_.push_back(std::make_unique<LoadClient>(
        options, random.ofCase(static_cast<std::uint64_t>(i)), sequential));
    missing_.push_back(clients_.back().get());
  }
}

LoadResult BlockLoad::run(std::chrono::duration<double> duration) {
  const auto began = std::chrono::steady_clock::now();
  buffer_.resize(kBufferBytes);
  LoadResult result;
  connectMissing();
  auto lastConnect = began;
  for (auto now = began; now - began < duration && !stopped_ && result.wrong.empty();
       now = std::chrono::steady_clock::now()) {
    proceed(kLookAgainAfter, result);
    if (!missing_.empty() && now - lastConnect > kLookAgainAfter) {
      connectMissing();
      lastConnect = now;
    }
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  result.reconnects = reconnects_;
  result.leastReplies = UINT64_MAX;
  for (const auto& client : clients_) {
    result.replies += client->replies;
    result.bytes += client->contentBytes;
    result.leastReplies = std::min(result.leastReplies, client->replies);
  }
  takeLeave(result);
  return result;
}

/// Waits for something to come, and takes it.
void BlockLoad::proceed(std::chrono::milliseconds wait, LoadResult& result) {
  std::array<epoll_event, 1024> events = {};
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(wait.count()));
  for (int i = 0; i < count; ++i) {
    auto& client = *static_cast<LoadClient*>(events[static_cast<std::size_t>(i)].data.ptr);
    const std::uint64_t before = client.replies;
    const bool alive = client.proceed(buffer_);
    replies_ += client.replies - before;
    result.wrong = result.wrong.empty() ? client.wrong : result.wrong;
    if (alive) {
      watch(client, false);
    } else {
      lose(client);
    }
  }
}

/// Takes what is still due. nbdkit 1.32 may abort when a client is just gone.
void BlockLoad::takeLeave(LoadResult& result) {
  for (const auto& client : clients_) {
    client->finish();
  }
  const auto end = std::chrono::steady_clock::now() + kLongestLeave;
  while (result.wrong.empty() && std::chrono::steady_clock::now() < end &&
         std::ranges::any_of(clients_, [](const auto& client) {
           return client->connected() && !client->finished();
         })) {
    proceed(kLookAgainAfter, result);
  }
}

void BlockLoad::connectMissing() {
  std::vector<LoadClient*> still;
  for (LoadClient* const client : std::exchange(missing_, {})) {
    if (still.empty() && client->connect()) {  // when one is refused, so are the others
      ++connected_;
      watch(*client, true);
    } else {
      still.push_back(client);
    }
  }
  missing_ = std::move(still);
}

void BlockLoad::watch(LoadClient& client, bool isNew) {
  // Requests are short and seldom have to wait, so nearly always nothing changes.
  static constexpr std::uint32_t kBoth = EPOLLIN | EPOLLOUT;
  if (isNew || client.wantsToSend() || client.watchedForRoom) {
    epoll_event wanted = {.events = client.wantsToSend() ? kBoth : EPOLLIN,
                          .data = {.ptr = &client}};
    ::epoll_ctl(epoll_.get(), isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, client.socket(), &wanted);
    client.watchedForRoom = client.wantsToSend();
  }
}

void BlockLoad::lose(LoadClient& client) {
  client.disconnect();
  --connected_;
  ++reconnects_;
  missing_.push_back(&client);
}

}  // namespace netcow::test
