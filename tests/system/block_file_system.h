// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "support/process.h"

namespace netcow::test {

/// A kind of file system that lives on a block device.
struct FileSystemKind {
  std::string name;     ///< as mount -t knows it
  std::string options;  ///< of mount
  std::vector<std::string> make;
  std::vector<std::string> check;  ///< changes nothing; succeeds only if all is well

  static const FileSystemKind& ext4();
  static const FileSystemKind& xfs();
  static const FileSystemKind& btrfs();
  /// Why it cannot be used here; empty if it can.
  [[nodiscard]] std::string missing() const;
  /// Failures of the test when they fail.
  void makeOn(const std::string& device) const;
  void checkOn(const std::string& device) const;
};
/// For the names of parameterised tests.
void PrintTo(const FileSystemKind& kind, std::ostream* out);

/// One that is mounted, for the length of its scope.
class MountedFileSystem {
 public:
  /// Makes the folder. Throws when mounting fails.
  MountedFileSystem(const FileSystemKind& kind, const std::string& device, std::string folder,
                    const std::string& moreOptions = "");
  ~MountedFileSystem();
  MountedFileSystem(const MountedFileSystem&) = delete;
  MountedFileSystem& operator=(const MountedFileSystem&) = delete;

  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return folder_ + "/" + name;
  }
  /// As a user does; a failure of the test when it fails.
  void unmount();
  /// Takes it out of the way, whatever state its device is in.
  void giveUp();

 private:
  const std::string folder_;
  bool mounted_ = true;
};

}  // namespace netcow::test
