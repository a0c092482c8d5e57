// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "base/wake_up.h"

namespace netcow {

/// A thread that accepts clients on sockets that listen. When the process has no descriptors left,
/// clients wait in the kernel's queue until there are some again.
class ClientAcceptor {
 public:
  /// Gets every client's socket, without blocking; runs on the thread.
  using ClientHandler = std::function<void(UniqueFd)>;

  explicit ClientAcceptor(std::vector<UniqueFd> listening) : listening_(std::move(listening)) {}
  ~ClientAcceptor() { stop(); }
  ClientAcceptor(const ClientAcceptor&) = delete;
  ClientAcceptor& operator=(const ClientAcceptor&) = delete;

  void start(ClientHandler onClient);
  /// Accepts no more and listens no more.
  void stop();

  [[nodiscard]] const std::vector<UniqueFd>& sockets() const { return listening_; }

 private:
  void run(const std::stop_token& stopped);
  bool acceptAll(int socket);

  std::vector<UniqueFd> listening_;
  ClientHandler onClient_;
  WakeUp wakeUp_;
  bool complained_ = false;
  std::jthread thread_;
};

}  // namespace netcow
