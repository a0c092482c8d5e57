// SPDX-License-Identifier: Apache-2.0
#include "system/loop_device.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>

#include "support/process.h"

namespace netcow::test {

LoopDevice::LoopDevice(const std::string& file, const std::vector<std::string>& options) {
  std::vector<std::string> command = {"losetup", "--show", "-f"};
  command.insert(command.end(), options.begin(), options.end());
  command.push_back(file);
  const ProcessResult result = runProcess(command);
  path_ = result.output.substr(0, result.output.find('\n'));
  if (result.exitStatus != 0 || path_.rfind("/dev/loop", 0) != 0) {
    throw std::runtime_error("losetup of " + file + ": " + result.output);
  }
}

LoopDevice::~LoopDevice() {
  detach();
}

void LoopDevice::detach() {
  if (!attached_) {
    return;
  }
  attached_ = false;
  runProcess({"losetup", "-d", path_});
  const std::string state = "/sys/block/" + path_.substr(path_.rfind('/') + 1) + "/loop";
  EXPECT_TRUE(waitUntil([&state] { return !std::filesystem::exists(state); }))
      << path_ << " is still in use";
}

}  // namespace netcow::test
