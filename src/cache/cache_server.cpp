// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>

#include "base/mutex.h"
#include "cache/cache_socket.h"
#include "format/dnbd3_messages.h"

namespace netcow {

/// One connection. All but finished() is for the server's thread.
class CacheServer::Client : public std::enable_shared_from_this<CacheServer::Client> {
 public:
  Client(UniqueFd fd, Source& source, std::shared_ptr<WakeUp> wakeUp)
      : fd_(std::move(fd)), source_(source), wakeUp_(std::move(wakeUp)) {}

  [[nodiscard]] pollfd polled() {
    const MutexLock lock(mutex_);
    const int in = held_ < kMostPerClient ? POLLIN : 0;
    const int out = replies_.empty() ? 0 : POLLOUT;
    return {fd_.get(), static_cast<short>(in | out), 0};
  }
  /// Goes on as far as it can, after poll() found `events`. False if the connection is of no use
  /// any more.
  bool advance(int events) {
    if ((events & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
      return false;
    }
    // What came before may wait for room that sending makes.
    return ((events & POLLIN) == 0 || receive()) && send() && takeMessages() && send();
  }
  /// It has asked for more than it was given room for, and took everything at once: no event of
  /// its socket will tell that it can go on.
  [[nodiscard]] bool wantsTurn() { return messagesWait_ && !isFull(); }

 private:
  struct Reply {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t length = 0;
    std::size_t counted = 0;  ///< of held_
  };

  bool receive();
  bool takeMessages();
  [[nodiscard]] bool isFull() {
    const MutexLock lock(mutex_);
    return held_ >= kMostPerClient;
  }
  bool take(const dnbd3::RequestHeader& header, std::span<const std::byte> payload);
  bool select(std::span<const std::byte> payload);
  bool read(const dnbd3::RequestHeader& header);
  void finished(Reply reply);
  bool send();

  const UniqueFd fd_;
  Source& source_;
  const std::shared_ptr<WakeUp> wakeUp_;
  std::vector<std::byte> received_;
  bool messagesWait_ = false;  ///< perhaps: received_ was not looked at to its end
  bool selected_ = false;
  std::size_t sent_ = 0;  ///< of the first reply
  Mutex mutex_;
  std::deque<Reply> replies_ NETCOW_GUARDED_BY(mutex_);
  std::size_t held_ NETCOW_GUARDED_BY(mutex_) = 0;  ///< bytes asked for and not yet sent
};

bool CacheServer::Client::receive() {
  std::byte buffer[4096];
  const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (got > 0) {
    received_.insert(received_.end(), buffer, buffer + got);
    return true;
  }
  return got < 0 && (errno == EAGAIN || errno == EINTR);
}

bool CacheServer::Client::takeMessages() {
  std::size_t at = 0;
  bool sound = true;
  while (sound && !isFull() && received_.size() - at >= sizeof(dnbd3::RequestHeader)) {
    dnbd3::RequestHeader header;
    std::memcpy(&header, received_.data() + at, sizeof header);
    const bool block = header.command == static_cast<std::uint16_t>(dnbd3::Command::getBlock);
    const std::size_t payload = block ? 0 : std::size_t{header.size};
    if (header.magic != dnbd3::kMagic || payload > dnbd3::kMaxRequestPayload) {
      return false;
    }
    if (received_.size() - at < sizeof header + payload) {
      break;
    }
    sound = take(header, std::span(received_).subspan(at + sizeof header, payload));
    at += sizeof header + payload;
  }
  messagesWait_ = isFull();
  received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(at));
  return sound;
}

bool CacheServer::Client::take(const dnbd3::RequestHeader& header,
                               std::span<const std::byte> payload) {
  switch (static_cast<dnbd3::Command>(std::uint16_t{header.command})) {
    case dnbd3::Command::selectImage:
      return select(payload);
    case dnbd3::Command::getBlock:
      return selected_ && read(header);
    default:
      return false;
  }
}

bool CacheServer::Client::select(std::span<const std::byte> payload) {
  const auto wanted = dnbd3::decodeSelectRequest(payload);
  if (!wanted || ImageName{wanted->name, wanted->revision} != source_.image()) {
    return false;
  }
  selected_ = true;
  const dnbd3::Bytes bytes = dnbd3::encode(
      dnbd3::SelectReply{dnbd3::kVersion, wanted->name, wanted->revision, source_.size()});
  Reply reply{std::make_unique<std::byte[]>(bytes.size()), bytes.size()};
  std::copy(bytes.begin(), bytes.end(), reply.bytes.get());
  finished(std::move(reply));
  return true;
}

bool CacheServer::Client::read(const dnbd3::RequestHeader& header) {
  const std::uint32_t length = header.size;
  if (length > kLongestRead || header.offset() > source_.size() ||
      length > source_.size() - header.offset()) {
    return false;
  }
  dnbd3::ReplyHeader head;
  head.command = static_cast<std::uint16_t>(dnbd3::Command::getBlock);
  head.size = length;
  head.handle = header.handle;
  Reply reply{std::make_unique_for_overwrite<std::byte[]>(sizeof head + length),
              sizeof head + length, sizeof head + length};
  {
    const MutexLock lock(mutex_);
    held_ += reply.counted;
  }
  const std::span<std::byte> buffer(reply.bytes.get() + sizeof head, length);
  source_.read(buffer, header.offset(),
               [self = shared_from_this(), head,
                reply = std::move(reply)](const std::error_code& error) mutable {
                 if (error) {
                   // The client asks the network: what fails here may succeed there.
                   head.command = static_cast<std::uint16_t>(dnbd3::Command::error);
                   head.size = 0;
                   reply.length = sizeof head;
                 }
                 std::memcpy(reply.bytes.get(), &head, sizeof head);
                 self->finished(std::move(reply));
               });
  return true;
}

void CacheServer::Client::finished(Reply reply) {
  {
    const MutexLock lock(mutex_);
    replies_.push_back(std::move(reply));
  }
  wakeUp_->signal();
}

bool CacheServer::Client::send() {
  for (;;) {
    Reply* first = nullptr;
    {
      const MutexLock lock(mutex_);
      if (replies_.empty()) {
        return true;
      }
      first = &replies_.front();  // others only add behind it
    }
    const ssize_t put = ::send(fd_.get(), first->bytes.get() + sent_, first->length - sent_,
                               MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0) {
      return errno == EAGAIN || errno == EINTR;
    }
    sent_ += static_cast<std::size_t>(put);
    if (sent_ == first->length) {
      sent_ = 0;
      const MutexLock lock(mutex_);
      held_ -= first->counted;
      replies_.pop_front();
    }
  }
}

CacheServer::CacheServer(const std::string& folder, Source& source)
    : source_(source), listener_(listenInCache(folder)), thread_([this] { run(); }) {}

CacheServer::~CacheServer() {
  stop_ = true;
  wakeUp_->signal();
  thread_.join();
}

void CacheServer::accept() {
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd && clients_.size() < kMostClients) {
    clients_.push_back(std::make_shared<Client>(std::move(fd), source_, wakeUp_));
  }
}

void CacheServer::run() {
  std::vector<pollfd> polled;
  while (!stop_) {
    polled = {{wakeUp_->fd(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    bool wait = true;
    for (const auto& client : clients_) {
      polled.push_back(client->polled());
      wait = wait && !client->wantsTurn();
    }
    ::poll(polled.data(), polled.size(), wait ? -1 : 0);
    wakeUp_->clear();
    // Backwards, as some may go.
    for (std::size_t i = clients_.size(); i-- > 0;) {
      const short events = polled[i + 2].revents;
      if ((events != 0 || clients_[i]->wantsTurn()) && !clients_[i]->advance(events)) {
        clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (polled[1].revents != 0) {
      accept();
    }
  }
}

}  // namespace netcow
