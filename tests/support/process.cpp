// SPDX-License-Identifier: Apache-2.0
#include "support/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace netcow::test {

void pauseBetweenLooks() {
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

Process::Process(const std::vector<std::string>& arguments) {
  char name[] = "/tmp/netcow-output-XXXXXX";
  const int file = ::mkostemp(name, O_CLOEXEC);
  outputPath_ = name;
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, file, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, file, STDERR_FILENO);
  const int error = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(file);
  if (error != 0) {
    throw std::runtime_error("cannot run " + arguments[0]);
  }
}

Process::~Process() {
  if (!exitStatus_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::unlink(outputPath_.c_str());
}

void Process::signal(int number) const {
  if (!exitStatus_) {
    ::kill(pid_, number);
  }
}

std::string Process::output() const {
  std::ifstream file(outputPath_);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool Process::poll() {
  int status = 0;
  if (!exitStatus_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    exitStatus_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return exitStatus_.has_value();
}

bool Process::running() {
  return !poll();
}

bool Process::waitForOutput(const std::string& text, std::chrono::seconds limit) {
  bool found = false;
  waitUntil(
      [&] {
        const bool ended = poll();
        found = output().find(text) != std::string::npos;
        return found || ended;
      },
      limit);
  return found;
}

ProcessResult Process::wait(std::chrono::seconds limit) {
  if (!waitUntil([this] { return poll(); }, limit)) {
    ADD_FAILURE() << "process " << pid_ << " did not end in time; it printed:\n" << output();
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    exitStatus_ = 128 + SIGKILL;
  }
  return {*exitStatus_, output()};
}

std::chrono::milliseconds Process::cpuTime() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string text;
  std::getline(file, text);
  // Fields 14 and 15, counted behind the name in parentheses, which is field 2.
  std::istringstream rest(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field) {
    rest >> skipped;
  }
  long user = 0;
  long system = 0;
  rest >> user >> system;
  return std::chrono::milliseconds((user + system) * 1000 / ::sysconf(_SC_CLK_TCK));
}

ProcessResult runProcess(const std::vector<std::string>& arguments) {
  return Process(arguments).wait();
}

}  // namespace netcow::test
