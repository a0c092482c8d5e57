// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace netcow::test {

/// How a program ended.
struct ProcessResult {
  int exitStatus = -1;  ///< 128 + signal when it was killed
  std::string output;   ///< standard output and error together
};

/// A program that runs beside the test. Killed and reaped at the end of its scope.
class Process {
 public:
  /// `arguments[0]` is the program. Its output goes to a temporary file.
  explicit Process(const std::vector<std::string>& arguments);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  /// What it has printed so far.
  [[nodiscard]] std::string output() const;
  /// Waits until its output holds `text`; false when it ended, or `limit` passed, before.
  bool waitForOutput(const std::string& text,
                     std::chrono::seconds limit = std::chrono::seconds(30));
  [[nodiscard]] bool running();
  /// Waits for its end; killed (and a failure of the test) after `limit`.
  ProcessResult wait(std::chrono::seconds limit = std::chrono::seconds(60));
  /// User and system time so far.
  [[nodiscard]] std::chrono::milliseconds cpuTime() const;

 private:
  bool poll();

  pid_t pid_ = -1;
  std::string outputPath_;
  std::optional<int> exitStatus_;
};

/// Runs a program to its end.
ProcessResult runProcess(const std::vector<std::string>& arguments);

/// Waits until `condition()` holds, looking often; false after `limit`. For events of other
/// processes, which cannot be waited for otherwise.
template <class Condition>
bool waitUntil(Condition condition, std::chrono::seconds limit = std::chrono::seconds(30));

void pauseBetweenLooks();

template <class Condition>
bool waitUntil(Condition condition, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    pauseBetweenLooks();
  }
  return true;
}

}  // namespace netcow::test
