// SPDX-License-Identifier: Apache-2.0
#include "support/scripted_dnbd3_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <random>
#include <utility>

#include "base/errors.h"

namespace netcow::test {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);
/// Replies leave together up to about so many bytes.
constexpr std::size_t kSendAtOnce = std::size_t{256} << 10U;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

UniqueFd boundSocket(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  const sockaddr_in address = loopback(port);
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throwErrno("cannot bind a socket to 127.0.0.1");
  }
  return fd;
}

bool sendAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put <= 0) {
      return false;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return true;
}

dnbd3::ReplyHeader replyHeader(dnbd3::Command command, std::uint64_t handle, std::size_t size) {
  dnbd3::ReplyHeader header;
  header.command = static_cast<std::uint16_t>(command);
  header.size = static_cast<std::uint32_t>(size);
  header.handle = handle;
  return header;
}

void append(dnbd3::Bytes& message, std::span<const std::byte> bytes) {
  message.insert(message.end(), bytes.begin(), bytes.end());
}

}  // namespace

/// One connection and its thread.
class ScriptedDnbd3Server::Client {
 public:
  Client(ScriptedDnbd3Server& server, UniqueFd socket)
      : server_(server), socket_(std::move(socket)), random_(server.script().seed) {
    thread_ = std::thread([this] {
      run();
      // The peer must see the end now; the descriptor stays until the thread was joined.
      ::shutdown(socket_.get(), SHUT_RDWR);
      ended_ = true;
    });
  }
  ~Client() {
    cut();
    thread_.join();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void cut() { ::shutdown(socket_.get(), SHUT_RDWR); }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  void run();
  bool receive();
  bool takeMessages();
  bool select(std::span<const std::byte> payload);
  bool answerChecksums(const dnbd3::RequestHeader& request);
  bool answerOther(const dnbd3::RequestHeader& request);
  bool answerBlocks();
  /// Puts the reply into outgoing_. False: close the connection behind what is there.
  bool answerBlock(const dnbd3::RequestHeader& request);
  /// A reply, or many, that no client can want; ends when the client has closed.
  void sendNonsense(Script::Fault fault, std::uint64_t handle);
  bool sendOutgoing();
  bool send(std::span<const std::byte> bytes) { return sendAll(socket_.get(), bytes); }
  /// The header once, or again and again, with bytes of no meaning behind it.
  void sendEndlessly(const dnbd3::ReplyHeader& header, bool once);

  ScriptedDnbd3Server& server_;
  UniqueFd socket_;
  std::mt19937_64 random_;
  Script script_;  // as it was when the messages now handled came
  dnbd3::Bytes incoming_;
  std::deque<dnbd3::RequestHeader> blocks_;  // not answered
  dnbd3::Bytes outgoing_;                    // replies that leave together
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

void ScriptedDnbd3Server::Client::run() {
  while (receive()) {
    script_ = server_.script();
    if (!takeMessages() || !answerBlocks()) {
      return;
    }
  }
}

/// Waits for bytes and takes all that are there.
bool ScriptedDnbd3Server::Client::receive() {
  std::byte part[16384];
  const ssize_t got = ::recv(socket_.get(), part, sizeof part, 0);
  if (got <= 0) {
    return false;
  }
  append(incoming_, std::span(part).first(static_cast<std::size_t>(got)));
  return true;
}

bool ScriptedDnbd3Server::Client::takeMessages() {
  std::size_t taken = 0;
  while (incoming_.size() - taken >= sizeof(dnbd3::RequestHeader)) {
    const std::span<const std::byte> rest = std::span(incoming_).subspan(taken);
    dnbd3::RequestHeader request;
    std::memcpy(&request, rest.data(), sizeof request);
    const auto command = static_cast<dnbd3::Command>(std::uint16_t{request.command});
    const bool isBlock = command == dnbd3::Command::getBlock;
    const std::size_t payload = isBlock ? 0 : std::size_t{request.size};
    if (request.magic != dnbd3::kMagic || payload > dnbd3::kMaxRequestPayload) {
      return false;
    }
    if (rest.size() < sizeof request + payload) {
      break;
    }
    taken += sizeof request + payload;
    if (isBlock) {
      blocks_.push_back(request);
      server_.count([&](Counts& counts) {
        ++counts.requests;
        counts.mostPending = std::max<std::uint64_t>(counts.mostPending, blocks_.size());
        counts.largest = std::max<std::uint64_t>(counts.largest, request.size);
      });
    } else if (command == dnbd3::Command::selectImage) {
      if (!select(rest.subspan(sizeof request, payload))) {
        return false;
      }
    } else if (!answerOther(request)) {
      return false;
    }
  }
  incoming_.erase(incoming_.begin(), incoming_.begin() + static_cast<std::ptrdiff_t>(taken));
  return true;
}

bool ScriptedDnbd3Server::Client::select(std::span<const std::byte> payload) {
  server_.count([](Counts& counts) { ++counts.selects; });
  const ImageName& image = server_.image_;
  const auto wanted = dnbd3::decodeSelectRequest(payload);
  if (!wanted || wanted->name != image.name ||
      (wanted->revision != 0 && wanted->revision != image.revision)) {
    return false;
  }
  switch (script_.select) {
    case Script::Select::closeConnection:
      return false;
    case Script::Select::staySilent:
      return true;
    case Script::Select::endless:
      sendEndlessly(replyHeader(dnbd3::Command::selectImage, 0, 8000), true);
      return false;
    case Script::Select::garbage:
      return send(std::as_bytes(std::span("HTTP/1.1 400 Bad Request\r\n\r\n")));
    case Script::Select::answer:
      break;
  }
  dnbd3::SelectReply reply;
  reply.name = script_.name.value_or(image.name);
  reply.revision = script_.revision.value_or(image.revision);
  reply.size = script_.size.value_or(server_.size_);
  return send(dnbd3::encode(reply));
}

bool ScriptedDnbd3Server::Client::answerChecksums(const dnbd3::RequestHeader& request) {
  const dnbd3::Bytes& list = script_.checksums;
  const auto header = replyHeader(dnbd3::Command::getCrc32, request.handle, list.size());
  dnbd3::Bytes message;
  append(message, std::as_bytes(std::span(&header, 1)));
  append(message, std::span(list).first(script_.cutChecksumsAt.value_or(list.size())));
  return send(message) && !script_.cutChecksumsAt;
}

bool ScriptedDnbd3Server::Client::answerOther(const dnbd3::RequestHeader& request) {
  const auto command = static_cast<dnbd3::Command>(std::uint16_t{request.command});
  if (command == dnbd3::Command::getCrc32 && !script_.silent) {
    return answerChecksums(request);
  }
  const bool isKeepAlive = command == dnbd3::Command::keepAlive;
  const bool isServers = command == dnbd3::Command::getServers;
  server_.count([&](Counts& counts) {
    counts.keepAlives += isKeepAlive ? 1 : 0;
    counts.serverAsks += isServers ? 1 : 0;
  });
  if (script_.silent || (isKeepAlive && !script_.answersKeepAlive) ||
      (!isKeepAlive && !isServers)) {
    return true;
  }
  const auto payload = std::as_bytes(std::span(script_.servers));
  const std::size_t size = isServers ? payload.size() : 0;
  const auto header = replyHeader(command, request.handle, size);
  dnbd3::Bytes message;
  append(message, std::as_bytes(std::span(&header, 1)));
  append(message, payload.first(size));
  return send(message);
}

bool ScriptedDnbd3Server::Client::answerBlocks() {
  if (script_.silent || blocks_.empty()) {
    return true;
  }
  if (script_.delay.count() != 0) {
    // Ends early when the connection is cut.
    pollfd ended = {socket_.get(), 0, 0};
    const timespec time = {script_.delay.count() / 1'000'000,
                           script_.delay.count() % 1'000'000 * 1'000};
    ::ppoll(&ended, 1, &time, nullptr);
  }
  if (script_.reorder) {
    std::shuffle(blocks_.begin(), blocks_.end(), random_);
  }
  bool goOn = true;
  while (goOn && !blocks_.empty()) {
    const dnbd3::RequestHeader request = blocks_.front();
    blocks_.pop_front();
    goOn = answerBlock(request) && (outgoing_.size() < kSendAtOnce || sendOutgoing());
  }
  return sendOutgoing() && goOn;
}

void ScriptedDnbd3Server::Client::sendEndlessly(const dnbd3::ReplyHeader& header, bool once) {
  const dnbd3::Bytes noise(4096, std::byte{0x55});
  const auto bytes = std::as_bytes(std::span(&header, 1));
  for (bool goOn = send(bytes); goOn;) {
    goOn = once ? send(noise) : send(bytes);
  }
}

void ScriptedDnbd3Server::Client::sendNonsense(Script::Fault fault, std::uint64_t handle) {
  constexpr std::uint32_t kLongest = 0xFFFF'FFFF;
  switch (fault) {
    case Script::Fault::endlessReplies:
      sendEndlessly(replyHeader(dnbd3::Command::keepAlive, 0, 0), false);
      break;
    case Script::Fault::endlessServers:
      sendEndlessly(replyHeader(dnbd3::Command::getServers, 0, 1000 * sizeof(dnbd3::ServerEntry)),
                    true);
      break;
    case Script::Fault::unknownCommand:
      sendEndlessly(replyHeader(static_cast<dnbd3::Command>(4711), 0, kLongest), true);
      break;
    default:
      sendEndlessly(replyHeader(dnbd3::Command::getBlock, handle, kLongest), true);
  }
}

bool ScriptedDnbd3Server::Client::sendOutgoing() {
  const bool sent = sendAll(socket_.get(), outgoing_);
  outgoing_.clear();
  return sent;
}

bool ScriptedDnbd3Server::Client::answerBlock(const dnbd3::RequestHeader& request) {
  std::uint64_t number = 0;
  server_.count([&](Counts& counts) { number = ++counts.replies; });
  const auto isTurn = [&](std::uint32_t every) { return every != 0 && number % every == 0; };
  if (isTurn(script_.cutBefore)) {
    return false;
  }
  const std::uint64_t offset = request.offset();
  const std::uint64_t size = request.size;
  const bool isOutside = offset > server_.size_ || size > server_.size_ - offset;
  const bool isFaulty = isTurn(script_.faultEvery);
  const auto has = [&](Script::Fault fault) { return isFaulty && script_.fault == fault; };
  if (isOutside || has(Script::Fault::error) || (script_.refuses && script_.refuses(offset))) {
    const auto error = replyHeader(dnbd3::Command::error, request.handle, 0);
    append(outgoing_, std::as_bytes(std::span(&error, 1)));
    return true;
  }
  if (script_.withholds && script_.withholds(offset)) {
    return true;
  }
  if (isFaulty && script_.fault >= Script::Fault::endlessPayload) {
    sendNonsense(script_.fault, request.handle);
    return false;
  }
  auto header = replyHeader(dnbd3::Command::getBlock, request.handle, size);
  dnbd3::Bytes payload(size);
  server_.content_(offset, payload);
  if (has(Script::Fault::wrongMagic)) {
    header.magic = 0x7274;
  } else if (has(Script::Fault::unknownHandle)) {
    header.handle = request.handle + 1'000'000'007;
  } else if (has(Script::Fault::tooLong)) {
    payload.resize(payload.size() + 512);
    header.size = static_cast<std::uint32_t>(payload.size());
  } else if (has(Script::Fault::tooShort)) {
    payload.resize(payload.size() / 2);
    header.size = static_cast<std::uint32_t>(payload.size());
  }
  if (isTurn(script_.cutInside)) {
    payload.resize(payload.size() / 2);
  }
  for (int i = 0; i < (has(Script::Fault::twice) ? 2 : 1); ++i) {
    append(outgoing_, std::as_bytes(std::span(&header, 1)));
    append(outgoing_, payload);
  }
  return !isTurn(script_.cutInside);
}

ScriptedDnbd3Server::ScriptedDnbd3Server(ImageName image, std::vector<std::byte> content,
                                         Script script)
    : ScriptedDnbd3Server(
          std::move(image), content.size(),
          [bytes = std::make_shared<const std::vector<std::byte>>(content)](
              std::uint64_t offset, std::span<std::byte> buffer) {
            std::memcpy(buffer.data(), bytes->data() + offset, buffer.size());
          },
          std::move(script)) {}

ScriptedDnbd3Server::ScriptedDnbd3Server(ImageName image, std::uint64_t size, Content content,
                                         Script script)
    : image_(std::move(image)),
      size_(size),
      content_(std::move(content)),
      reservation_(boundSocket(0)),
      script_(std::move(script)) {
  sockaddr_in address = {};
  socklen_t length = sizeof address;
  if (::getsockname(reservation_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throwErrno("cannot find the port of a socket");
  }
  port_ = ntohs(address.sin_port);
  start();
}

ScriptedDnbd3Server::~ScriptedDnbd3Server() {
  stop();
}

dnbd3::ServerEntry ScriptedDnbd3Server::entry() const {
  dnbd3::ServerEntry entry;
  entry.type = dnbd3::ServerEntry::kIpv4;
  entry.address = {127, 0, 0, 1};
  entry.port = {static_cast<std::uint8_t>(port_ >> 8U), static_cast<std::uint8_t>(port_ & 0xFFU)};
  return entry;
}

void ScriptedDnbd3Server::setScript(Script script) {
  const MutexLock lock(mutex_);
  script_ = std::move(script);
}

Dnbd3Script ScriptedDnbd3Server::script() const {
  const MutexLock lock(mutex_);
  return script_;
}

void ScriptedDnbd3Server::start() {
  const MutexLock lock(lifeMutex_);
  if (listener_) {
    return;
  }
  listener_ = boundSocket(port_);
  if (::listen(listener_.get(), SOMAXCONN) != 0) {
    throwErrno("cannot listen");
  }
  accepting_ = std::thread([this, listener = listener_.get()] { acceptClients(listener); });
}

void ScriptedDnbd3Server::stop() {
  const MutexLock lock(lifeMutex_);
  if (!listener_) {
    return;
  }
  // Ends accept() in the thread; the descriptor must live until that has gone.
  ::shutdown(listener_.get(), SHUT_RDWR);
  accepting_.join();
  listener_.reset();
  endClients();
}

void ScriptedDnbd3Server::cutConnections() {
  const MutexLock lock(mutex_);
  for (const auto& client : clients_) {
    client->cut();
  }
}

void ScriptedDnbd3Server::endClients() {
  std::list<std::unique_ptr<Client>> clients;
  {
    const MutexLock lock(mutex_);
    clients = std::move(clients_);
    clients_.clear();
  }
  // Their threads may need mutex_ to end.
  clients.clear();
}

void ScriptedDnbd3Server::acceptClients(int listener) {
  for (;;) {
    UniqueFd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) {
      if (errno == EINTR || errno == ECONNABORTED) {
        continue;
      }
      return;
    }
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    count([](Counts& counts) { ++counts.connections; });
    auto client = std::make_unique<Client>(*this, std::move(socket));
    std::list<std::unique_ptr<Client>> ended;
    const MutexLock lock(mutex_);
    for (auto it = clients_.begin(); it != clients_.end();) {
      const auto next = std::next(it);
      if ((*it)->ended()) {
        ended.splice(ended.end(), clients_, it);
      }
      it = next;
    }
    clients_.push_back(std::move(client));
  }
}

void ScriptedDnbd3Server::count(const std::function<void(Counts&)>& change) {
  const MutexLock lock(mutex_);
  change(counts_);
  counted_.notifyAll();
}

ScriptedDnbd3Server::Counts ScriptedDnbd3Server::counts() const {
  const MutexLock lock(mutex_);
  return counts_;
}

bool ScriptedDnbd3Server::waitUntil(const std::function<bool(const Counts&)>& condition) const {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (!condition(counts_)) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= left.zero()) {
      return false;
    }
    counted_.waitFor(lock, left);
  }
  return true;
}

}  // namespace netcow::test
