// SPDX-License-Identifier: Apache-2.0
#include "support/fault_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/errors.h"
#include "support/fault_lane.h"

namespace netcow::test {
namespace {

using SteadyClock = std::chrono::steady_clock;

sockaddr_in loopbackAddress(std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

UniqueFd listenOnLoopback() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in address = loopbackAddress(0);
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 64) != 0) {
    throwErrno("cannot listen on 127.0.0.1");
  }
  return fd;
}

std::uint16_t portOf(const UniqueFd& socket) {
  sockaddr_in address = {};
  socklen_t length = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throwErrno("cannot find a socket's port");
  }
  return ntohs(address.sin_port);
}

UniqueFd connectToLoopback(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopbackAddress(port);
  if (fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fd.reset();
  }
  return fd;
}

UniqueFd makeEvent() {
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) {
    throwErrno("cannot make an eventfd");
  }
  return event;
}

void signalEvent(const UniqueFd& event) {
  const std::uint64_t one = 1;
  static_cast<void>(::write(event.get(), &one, sizeof one) == 0);
}

void sendAtOnce(const UniqueFd& socket) {
  const int on = 1;
  static_cast<void>(::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
}

}  // namespace

/// A client's connection, the one to the server behind it, and the thread that carries.
class FaultProxy::Connection {
 public:
  Connection(FaultProxy& proxy, UniqueFd client, std::uint64_t seed)
      : proxy_(proxy), client_(std::move(client)), wake_(makeEvent()) {
    thread_ = std::thread([this, seed] { run(seed); });
  }
  ~Connection() {
    cut();
    thread_.join();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void cut() {
    cut_ = true;
    wake();
  }
  /// Other faults may hold now.
  void wake() { signalEvent(wake_); }
  [[nodiscard]] bool hasEnded() const { return ended_; }
  /// The version of the faults it works by, and for which it has counted all it did before.
  [[nodiscard]] std::uint64_t workingBy() const { return workingBy_; }

 private:
  void run(std::uint64_t seed) {
    server_ = connectToLoopback(proxy_.serverPort_);
    if (server_) {
      sendAtOnce(client_);
      sendAtOnce(server_);
      carry(seed);
    }
    // Both ends must see it now; the descriptors stay until the thread was joined.
    ::shutdown(client_.get(), SHUT_RDWR);
    ::shutdown(server_.get(), SHUT_RDWR);
    leave();
  }

  /// Nobody waits for this connection any more.
  void leave() {
    const MutexLock lock(proxy_.mutex_);
    workingBy_ = std::numeric_limits<std::uint64_t>::max();
    ended_ = true;
    proxy_.counted_.notifyAll();
  }

  /// The faults that hold now; tells whoever set them that they do.
  NetworkFaults takeFaults() {
    const MutexLock lock(proxy_.mutex_);
    workingBy_ = proxy_.faultsVersion_;
    proxy_.counted_.notifyAll();
    return proxy_.faults_;
  }

  /// A number of bytes of NetworkFaults, where 0 is never.
  static std::uint64_t orNever(std::uint64_t bytes) {
    return bytes > 0 ? bytes : std::numeric_limits<std::uint64_t>::max();
  }

  void carry(std::uint64_t seed) {
    const auto begin = SteadyClock::now();
    FaultLane up(client_.get(), server_.get(), false, seed);
    FaultLane down(server_.get(), client_.get(), true, seed);
    bool alive = true;
    std::uint64_t counted = 0;  // of what came from the client
    while (alive) {
      const NetworkFaults faults = takeFaults();
      const auto now = SteadyClock::now();
      const auto cutAt =
          faults.cutEvery.count() > 0 ? begin + faults.cutEvery : SteadyClock::time_point::max();
      const std::uint64_t untilCut = orNever(faults.cutAfterBytes);
      const std::uint64_t untilSilent = orNever(faults.silentAfterBytes);
      if (cut_ || faults.down || now >= cutAt || down.carried() >= untilCut) {
        proxy_.count([](Counts& counts) { ++counts.cuts; });
        return;
      }
      const std::uint64_t before[] = {up.carried(), down.carried()};
      const std::uint64_t received = std::exchange(counted, up.received());
      const bool silent = faults.silent || down.carried() >= untilSilent;
      if (!silent) {
        alive = up.send(now, faults, orNever(0)) &&
                down.send(now, faults, std::min(untilCut, untilSilent) - down.carried());
      }
      proxy_.count([&](Counts& counts) {
        counts.fromClient += up.received() - received;
        counts.toServer += up.carried() - before[0];
        counts.toClient += down.carried() - before[1];
      });
      alive = alive && !up.isOver() && !down.isOver();
      const auto due =
          silent ? SteadyClock::time_point::max() : std::min(up.nextDue(), down.nextDue());
      alive = alive && waitAndReceive(up, down, std::min(due, cutAt), faults, silent);
    }
  }

  /// Until `end`, or something can be carried.
  bool waitAndReceive(FaultLane& up, FaultLane& down, SteadyClock::time_point end,
                      const NetworkFaults& faults, bool silent) {
    const auto events = [silent](const FaultLane& in, const FaultLane& out) {
      return static_cast<short>((in.wantsInput() ? POLLIN : 0) |
                                (out.wantsRoom() && !silent ? POLLOUT : 0));
    };
    std::array<pollfd, 3> polled = {{{wake_.get(), POLLIN, 0},
                                     {client_.get(), events(up, down), 0},
                                     {server_.get(), events(down, up), 0}}};
    for (pollfd& each : polled) {
      // A peer that has closed would end every wait at once.
      each.fd = each.events == 0 ? -1 : each.fd;
    }
    timespec limit = {3600, 0};
    // What is due but finds no room waits for room.
    if (end != SteadyClock::time_point::max() && !up.wantsRoom() && !down.wantsRoom()) {
      const auto left = std::max(end - SteadyClock::now(), SteadyClock::duration::zero());
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      limit = {seconds.count(), std::chrono::nanoseconds(left - seconds).count()};
    }
    if (::ppoll(polled.data(), polled.size(), &limit, nullptr) < 0) {
      return errno == EINTR;
    }
    if (polled[0].revents != 0) {
      std::uint64_t ignored = 0;
      static_cast<void>(::read(wake_.get(), &ignored, sizeof ignored) == 0);
    }
    const auto now = SteadyClock::now();
    constexpr int kReadable = POLLIN | POLLHUP | POLLERR;
    return ((polled[1].revents & kReadable) == 0 || !up.wantsInput() || up.receive(now, faults)) &&
           ((polled[2].revents & kReadable) == 0 || !down.wantsInput() ||
            down.receive(now, faults));
  }

  FaultProxy& proxy_;
  UniqueFd client_;
  UniqueFd server_;
  UniqueFd wake_;
  std::atomic<bool> cut_ = false;
  std::atomic<bool> ended_ = false;
  std::atomic<std::uint64_t> workingBy_ = 0;
  std::thread thread_;
};

FaultProxy::FaultProxy(std::uint16_t serverPort, NetworkFaults faults)
    : serverPort_(serverPort),
      listener_(listenOnLoopback()),
      stop_(makeEvent()),
      port_(portOf(listener_)),
      faults_(faults),
      accepting_([this] { accept(); }) {}

FaultProxy::~FaultProxy() {
  signalEvent(stop_);
  accepting_.join();
  std::list<std::unique_ptr<Connection>> last;
  {
    const MutexLock lock(mutex_);
    last.swap(connections_);
  }
}

void FaultProxy::accept() {
  for (std::uint64_t seed = 0;; ++seed) {
    std::array<pollfd, 2> polled = {{{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}}};
    static_cast<void>(::poll(polled.data(), polled.size(), -1));
    if (polled[0].revents != 0) {
      return;
    }
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const NetworkFaults now = faults();
    if (!client || now.down) {
      continue;
    }
    const MutexLock lock(mutex_);
    connections_.remove_if([](const auto& connection) { return connection->hasEnded(); });
    connections_.push_back(std::make_unique<Connection>(*this, std::move(client), now.seed + seed));
    ++counts_.connections;
    counted_.notifyAll();
  }
}

void FaultProxy::setFaults(const NetworkFaults& faults) {
  MutexLock lock(mutex_);
  faults_ = faults;
  ++faultsVersion_;
  for (const auto& connection : connections_) {
    connection->wake();
  }
  while (!allWorkByTheFaults()) {
    counted_.wait(lock);
  }
}

bool FaultProxy::allWorkByTheFaults() const {
  const std::uint64_t newest = faultsVersion_;
  return std::all_of(connections_.begin(), connections_.end(), [newest](const auto& connection) {
    return connection->workingBy() >= newest;
  });
}

void FaultProxy::cut() {
  const MutexLock lock(mutex_);
  for (const auto& connection : connections_) {
    connection->cut();
  }
}

NetworkFaults FaultProxy::faults() const {
  const MutexLock lock(mutex_);
  return faults_;
}

void FaultProxy::count(const std::function<void(Counts&)>& change) {
  const MutexLock lock(mutex_);
  change(counts_);
  counted_.notifyAll();
}

FaultProxy::Counts FaultProxy::counts() const {
  const MutexLock lock(mutex_);
  return counts_;
}

bool FaultProxy::waitUntil(const std::function<bool(const Counts&)>& condition) const {
  const auto end = SteadyClock::now() + std::chrono::seconds(60);
  MutexLock lock(mutex_);
  while (!condition(counts_)) {
    const auto left = end - SteadyClock::now();
    if (left <= SteadyClock::duration::zero()) {
      return false;
    }
    counted_.waitFor(lock, left);
  }
  return true;
}

}  // namespace netcow::test
