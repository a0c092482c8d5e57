// SPDX-License-Identifier: Apache-2.0
#include "system/netcow_system.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/unique_fd.h"

namespace netcow::test {

std::uint16_t freePort() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd.get(), plain, length) != 0 || ::getsockname(fd.get(), plain, &length) != 0) {
    throw std::runtime_error("no free port");
  }
  return ntohs(address.sin_port);
}

ProcessResult runNetcow(const Arguments& arguments) {
  Arguments all = {NETCOW_PROGRAM};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return runProcess(all);
}

RunningServer::RunningServer(std::string images, Arguments more)
    : images_(std::move(images)),
      more_(std::move(more)),
      blocksPort_(freePort()),
      httpPort_(freePort()) {
  start();
}

RunningServer::~RunningServer() = default;

void RunningServer::start() {
  Arguments all = {NETCOW_PROGRAM, "serve",         "--images", images_,
                   "--listen",     blocksAddress(), "--http",   httpAddress()};
  all.insert(all.end(), more_.begin(), more_.end());
  process_ = std::make_unique<Process>(all);
  if (!process_->waitForOutput("takes uploads on ")) {
    throw std::runtime_error("netcow serve did not start: " + process_->output());
  }
}

void RunningServer::kill() {
  process_->signal(SIGKILL);
  process_->wait();
}

void RunningServer::stop() {
  process_->signal(SIGTERM);
  EXPECT_EQ(process_->wait().exitStatus, 0);
}

std::string RunningServer::blocksAddress() const {
  return "127.0.0.1:" + std::to_string(blocksPort_);
}

std::string RunningServer::httpAddress() const {
  return "127.0.0.1:" + std::to_string(httpPort_);
}

RunningMount::RunningMount(std::string mountpoint, Arguments arguments)
    : mountpoint_(std::move(mountpoint)) {
  std::filesystem::create_directories(mountpoint_);
  Arguments all = {NETCOW_PROGRAM, "mount", "-f"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  all.push_back(mountpoint_);
  process_ = std::make_unique<Process>(all);
  mounted_ = process_->waitForOutput("mounted ");
}

RunningMount::~RunningMount() {
  ::umount2(mountpoint_.c_str(), MNT_DETACH);
}

ProcessResult RunningMount::unmount() {
  // A program that another thread just starts holds all our descriptors until it is executed.
  int error = 0;
  const auto isOver = [&] {
    error = ::umount2(mountpoint_.c_str(), 0) == 0 ? 0 : errno;
    return error != EBUSY;
  };
  static_cast<void>(waitUntil(isOver, std::chrono::seconds(5)));
  if (error != 0) {
    ADD_FAILURE() << "cannot unmount " << mountpoint_ << ": " << std::strerror(error);
    process_->signal(SIGKILL);
  }
  return wait();
}

ProcessResult RunningMount::wait() {
  return process_->wait(std::chrono::seconds(120));
}

std::vector<std::byte> readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw std::runtime_error("cannot open " + path);
  }
  std::vector<std::byte> content(std::filesystem::file_size(path));
  file.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(content.size()));
  return content;
}

void writeFile(const std::string& path, const std::vector<std::byte>& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(content.data()),
             static_cast<std::streamsize>(content.size()));
  if (!file.flush()) {
    throw std::runtime_error("cannot write " + path);
  }
}

}  // namespace netcow::test
