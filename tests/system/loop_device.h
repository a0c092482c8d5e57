// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace netcow::test {

/// A file as a block device. Detached at the end of its scope, also when a file system on it does
/// not answer any more.
class LoopDevice {
 public:
  /// `options` are losetup's. Throws when there is no loop device to be had.
  explicit LoopDevice(const std::string& file, const std::vector<std::string>& options = {});
  ~LoopDevice();
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  /// Waits until the kernel has let go of the file, which it does once nobody uses the device.
  void detach();

 private:
  std::string path_;
  bool attached_ = true;
};

}  // namespace netcow::test
