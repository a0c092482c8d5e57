// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/temporary_directory.h"

// The built netcow program, run as a user runs it.
namespace netcow::test {

using Arguments = std::vector<std::string>;

/// `netcow COMMAND arguments...`, to its end.
ProcessResult runNetcow(const Arguments& arguments);

/// A port nobody uses now. Chosen by the kernel, so two test runs at once do not meet.
std::uint16_t freePort();

/// `netcow serve` over a folder of images. Keeps its ports over a restart.
class RunningServer {
 public:
  /// `images` and the state folder in it must outlive the server. `more`: further options.
  explicit RunningServer(std::string images, Arguments more = {});
  ~RunningServer();

  void start();
  /// SIGKILL, as a crash.
  void kill();
  /// SIGTERM, waited for.
  void stop();

  [[nodiscard]] const Process& process() const { return *process_; }
  [[nodiscard]] std::string blocksAddress() const;  ///< for -h
  [[nodiscard]] std::uint16_t blocksPort() const { return blocksPort_; }
  [[nodiscard]] std::string httpAddress() const;  ///< for -C

 private:
  const std::string images_;
  const Arguments more_;
  std::uint16_t blocksPort_;
  std::uint16_t httpPort_;
  std::unique_ptr<Process> process_;
};

/// `netcow mount -f`, unmounted by force at the end of its scope if it still is mounted.
class RunningMount {
 public:
  /// Appends the mountpoint, which is made, to the arguments. Waits until it is mounted: failing
  /// that, mounted() is false and wait() tells why.
  RunningMount(std::string mountpoint, Arguments arguments);
  ~RunningMount();
  RunningMount(const RunningMount&) = delete;
  RunningMount& operator=(const RunningMount&) = delete;

  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] std::string image() const { return mountpoint_ + "/img"; }
  [[nodiscard]] const std::string& mountpoint() const { return mountpoint_; }
  Process& process() { return *process_; }

  /// Unmounts as a user does, and waits for the program's end.
  ProcessResult unmount();
  /// Waits for the end of a program that was told to end otherwise.
  ProcessResult wait();

 private:
  const std::string mountpoint_;
  std::unique_ptr<Process> process_;
  bool mounted_ = false;
};

/// Bytes of a whole file.
std::vector<std::byte> readFile(const std::string& path);
void writeFile(const std::string& path, const std::vector<std::byte>& content);

}  // namespace netcow::test
