// SPDX-License-Identifier: Apache-2.0
#include "system/block_file_system.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace netcow::test {
namespace {

ProcessResult runOn(std::vector<std::string> command, const std::string& device) {
  command.push_back(device);
  return Process(command).wait(std::chrono::seconds(120));
}

}  // namespace

const FileSystemKind& FileSystemKind::ext4() {
  static const FileSystemKind kind{
      "ext4", "discard", {"mkfs.ext4", "-q", "-F"}, {"e2fsck", "-f", "-n"}};
  return kind;
}

const FileSystemKind& FileSystemKind::xfs() {
  static const FileSystemKind kind{
      "xfs", "discard", {"mkfs.xfs", "-q", "-f"}, {"xfs_repair", "-n"}};
  return kind;
}

const FileSystemKind& FileSystemKind::btrfs() {
  static const FileSystemKind kind{
      "btrfs", "discard", {"mkfs.btrfs", "-q", "-f"}, {"btrfs", "check", "--readonly"}};
  return kind;
}

std::string FileSystemKind::missing() const {
  if (runProcess({"sh", "-c", "command -v " + make[0] + " " + check[0]}).exitStatus != 0) {
    return make[0] + " or " + check[0] + " is not installed";
  }
  runProcess({"sh", "-c", "modprobe " + name + " 2>/dev/null"});
  std::ifstream known("/proc/filesystems");
  for (std::string word; known >> word;) {
    if (word == name) {
      return {};
    }
  }
  return "the kernel does not know " + name;
}

void FileSystemKind::makeOn(const std::string& device) const {
  const ProcessResult result = runOn(make, device);
  ASSERT_EQ(result.exitStatus, 0) << result.output;
}

void FileSystemKind::checkOn(const std::string& device) const {
  const ProcessResult result = runOn(check, device);
  EXPECT_EQ(result.exitStatus, 0) << name << " is not sound: " << result.output;
}

void PrintTo(const FileSystemKind& kind, std::ostream* out) {
  *out << kind.name;
}

MountedFileSystem::MountedFileSystem(const FileSystemKind& kind, const std::string& device,
                                     std::string folder, const std::string& moreOptions)
    : folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_);
  const std::string options = kind.options + (moreOptions.empty() ? "" : "," + moreOptions);
  const ProcessResult result =
      Process({"mount", "-t", kind.name, "-o", options, device, folder_}).wait();
  if (result.exitStatus != 0) {
    throw std::runtime_error("cannot mount " + device + ": " + result.output);
  }
}

MountedFileSystem::~MountedFileSystem() {
  giveUp();
}

void MountedFileSystem::unmount() {
  const ProcessResult result = Process({"umount", folder_}).wait();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  mounted_ = mounted_ && result.exitStatus != 0;
}

void MountedFileSystem::giveUp() {
  if (mounted_) {
    ::umount2(folder_.c_str(), MNT_DETACH);
    mounted_ = false;
  }
}

}  // namespace netcow::test
