// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "base/logging.h"
#include "cache/cache_server.h"
#include "cache/cache_socket.h"

namespace netcow {
namespace {

/// Made without anybody reading, after an owner has gone: it may take long to close the cache.
constexpr int kTriesAfterLoss = 100;

}  // namespace

CacheClient::CacheClient(std::string folder, CacheRecord record, Hooks hooks, Timing timing)
    : folder_(std::move(folder)),
      record_(std::move(record)),
      hooks_(std::move(hooks)),
      timing_(timing),
      thread_([this] { run(); }) {}

CacheClient::~CacheClient() {
  stop();
}

void CacheClient::stop() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    wish_.notifyAll();
  }
  wakeUp_.signal();
  if (thread_.joinable()) {
    thread_.join();
  }
}

bool CacheClient::read(std::span<std::byte> buffer, std::uint64_t offset, Completion& done) {
  if (!connected_.load(std::memory_order_relaxed)) {
    if (!wished_.exchange(true)) {
      const MutexLock lock(mutex_);
      wish_.notifyAll();
    }
    return false;
  }
  if (buffer.empty() || buffer.size() > CacheServer::kLongestRead) {
    return false;
  }
  const MutexLock lock(mutex_);
  if (!connected_ || broken_ || stop_ || pending_.size() >= kMostReads) {
    return false;
  }
  const std::uint64_t handle = ++lastHandle_;
  const auto request =
      dnbd3::blockRequest(offset, static_cast<std::uint32_t>(buffer.size()), handle);
  const ssize_t put = ::send(fd_.get(), &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (put < 0 && errno == EAGAIN) {
    return false;
  }
  if (pending_.empty()) {
    owedSince_ = std::chrono::steady_clock::now();
  }
  pending_.emplace(handle, Pending{buffer, offset, std::move(done)});
  broken_ = put != static_cast<ssize_t>(sizeof request);
  // Else the thread waits with a limit, and looks by itself.
  if (broken_ || std::exchange(asleep_, false)) {
    wakeUp_.signal();
  }
  return true;
}

void CacheClient::run() {
  int tries = 0;
  while (waitForWish()) {
    if (hooks_.becomeOwner()) {
      return;
    }
    if (connect()) {
      serve();
      disconnect();
      // Who has ended may be followed at once, or soon: it may still be closing the cache.
      if (!stop_ && hooks_.becomeOwner()) {
        return;
      }
      spdlog::log(stop_ ? spdlog::level::debug : spdlog::level::info,
                  "the mount that shares its cache {} is gone or does not answer", folder_);
      tries = kTriesAfterLoss;
    } else if (tries == 0) {
      wished_ = false;
    } else {
      --tries;
    }
    MutexLock lock(mutex_);
    const Time next = std::chrono::steady_clock::now() + timing_.retry;
    while (!stop_ && std::chrono::steady_clock::now() < next) {
      wish_.waitFor(lock, next - std::chrono::steady_clock::now());
    }
  }
}

/// False if it is to stop.
bool CacheClient::waitForWish() {
  MutexLock lock(mutex_);
  while (!stop_ && !wished_) {
    wish_.wait(lock);
  }
  return !stop_;
}

bool CacheClient::connect() {
  UniqueFd fd = connectToCache(folder_);
  if (!fd) {
    return false;
  }
  {
    const MutexLock lock(mutex_);
    fd_ = std::move(fd);
    broken_ = false;
  }
  const dnbd3::Bytes select = dnbd3::encode(
      dnbd3::SelectRequest{dnbd3::kVersion, record_.image.name, record_.image.revision});
  dnbd3::ReplyHeader header;
  bool good = ::send(fd_.get(), select.data(), select.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
                  static_cast<ssize_t>(select.size()) &&
              receiveAll(std::as_writable_bytes(std::span(&header, 1)));
  std::vector<std::byte> payload(std::min<std::size_t>(header.size, 4096));
  good = good && header.size == payload.size() && receiveAll(payload);
  const auto reply = dnbd3::decodeSelectReply(payload);
  if (!good || !reply || reply->name != record_.image.name ||
      reply->revision != record_.image.revision || reply->size != record_.size) {
    disconnect();
    return false;
  }
  connected_ = true;
  return true;
}

CacheClient::Look CacheClient::look() {
  const MutexLock lock(mutex_);
  const Time now = std::chrono::steady_clock::now();
  if (stop_ || broken_) {
    return {true, now};
  }
  if (pending_.empty()) {
    return {false, now + timing_.silence};
  }
  return {now >= owedSince_ + timing_.silence, owedSince_ + timing_.silence};
}

/// Until the connection is of no use any more.
void CacheClient::serve() {
  for (;;) {
    const Look state = look();
    if (state.over) {
      return;
    }
    bool readable = waitReadable(state.until);
    if (!readable && std::chrono::steady_clock::now() >= state.until) {
      {
        const MutexLock lock(mutex_);
        asleep_ = pending_.empty();
      }
      // Nothing for long: sleeps until the next read, or the end of the owner.
      readable = isAsleep() && waitReadable(Time::max());
      const MutexLock lock(mutex_);
      asleep_ = false;
    }
    if (readable && !receiveReply()) {
      return;
    }
  }
}

bool CacheClient::isAsleep() {
  const MutexLock lock(mutex_);
  return asleep_;
}

/// Waits for bytes from the owner; false when the limit passed, or another thread woke it.
bool CacheClient::waitReadable(Time limit) {
  pollfd polled[] = {{fd_.get(), POLLIN, 0}, {wakeUp_.fd(), POLLIN, 0}};
  int timeout = -1;
  if (limit != Time::max()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(limit - std::chrono::steady_clock::now());
    timeout = static_cast<int>(std::max<std::chrono::milliseconds::rep>(0, left.count()));
  }
  ::poll(polled, 2, timeout);
  wakeUp_.clear();
  return polled[0].revents != 0;
}

/// Every byte that comes starts the limit anew.
bool CacheClient::receiveAll(std::span<std::byte> buffer) {
  Time limit = std::chrono::steady_clock::now() + timing_.silence;
  while (!buffer.empty()) {
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0) {
      buffer = buffer.subspan(static_cast<std::size_t>(got));
      limit = std::chrono::steady_clock::now() + timing_.silence;
      continue;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      return false;
    }
    if (!waitReadable(limit) && (stop_ || std::chrono::steady_clock::now() >= limit)) {
      return false;
    }
  }
  return true;
}

bool CacheClient::receiveReply() {
  dnbd3::ReplyHeader header;
  if (!receiveAll(std::as_writable_bytes(std::span(&header, 1))) || header.magic != dnbd3::kMagic) {
    return false;
  }
  // It stays pending until it is answered; nobody but this thread takes it out.
  Pending* read = nullptr;
  {
    const MutexLock lock(mutex_);
    const auto found = pending_.find(header.handle);
    read = found == pending_.end() ? nullptr : &found->second;
  }
  const auto command = static_cast<dnbd3::Command>(std::uint16_t{header.command});
  const bool refused = command == dnbd3::Command::error && header.size == 0;
  const bool block = command == dnbd3::Command::getBlock;
  if (read == nullptr || (!refused && (!block || header.size != read->buffer.size()))) {
    return false;
  }
  if (block && !receiveAll(read->buffer)) {
    return false;
  }
  Pending ended;
  {
    const MutexLock lock(mutex_);
    ended = std::move(*read);
    pending_.erase(header.handle);
    owedSince_ = std::chrono::steady_clock::now();
  }
  if (refused) {
    hooks_.network(ended.buffer, ended.offset, std::move(ended.done));
  } else {
    ended.done({});
  }
  return true;
}

/// What was asked there is asked of the network.
void CacheClient::disconnect() {
  std::map<std::uint64_t, Pending> left;
  {
    const MutexLock lock(mutex_);
    connected_ = false;
    asleep_ = false;
    fd_.reset();
    left.swap(pending_);
  }
  for (auto& [handle, read] : left) {
    hooks_.network(read.buffer, read.offset, std::move(read.done));
  }
}

}  // namespace netcow
