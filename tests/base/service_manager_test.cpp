// SPDX-License-Identifier: Apache-2.0
#include "base/service_manager.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/unique_fd.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using testing::MatchesRegex;

/// Stands in for systemd: the socket that NOTIFY_SOCKET names.
class ServiceManager : public testing::Test {
 protected:
  ServiceManager() {
    const std::string path = folder_ / "notify";
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~ServiceManager() override { ::unsetenv("NOTIFY_SOCKET"); }

  /// The next message; empty if there is none.
  std::string told() {
    std::array<char, 4096> text = {};
    const ssize_t length = ::recv(socket_.get(), text.data(), text.size(), MSG_DONTWAIT);
    return length > 0 ? std::string(text.data(), static_cast<std::size_t>(length)) : "";
  }

 private:
  test::TemporaryDirectory folder_;
  UniqueFd socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

TEST_F(ServiceManager, IsToldOfEachStepInItsOwnWords) {
  notifyReady();
  EXPECT_EQ(told(), "READY=1");
  notifyReloading();
  EXPECT_THAT(told(), MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
  notifyStopping();
  EXPECT_EQ(told(), "STOPPING=1");
  extendTimeout(std::chrono::minutes(3));
  EXPECT_EQ(told(), "EXTEND_TIMEOUT_USEC=180000000");
}

TEST_F(ServiceManager, TakesNoPartOfAStatusForAnotherMessage) {
  notifyStatus("uploading, said the server:\nREADY=1");
  EXPECT_EQ(told(), "STATUS=uploading, said the server: READY=1");
}

TEST_F(ServiceManager, IsNotMissedWhenThereIsNone) {
  ::unsetenv("NOTIFY_SOCKET");
  notifyReady();
  EXPECT_EQ(told(), "");
  ::setenv("NOTIFY_SOCKET", "/nobody/listens/here", 1);
  EXPECT_NO_THROW(notifyStatus("all is well"));
}

}  // namespace
}  // namespace netcow
