// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "session/file_system.h"

namespace netcow::test {

/// What a hook is asked about, and how to answer otherwise.
struct FileCall {
  enum class Kind { write, punch, reserve, resize, sync, create, freeBytes };
  Kind kind;
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  File* on = nullptr;  ///< the real one; null for create
};

/// Returns the error that a call fails with, or none; then the call is made. A write that fails
/// has written its first half.
using FileHook = std::function<std::error_code(const FileCall& call)>;

/// A real folder in which a test decides what fails. `hook` must outlive it, and may change.
std::unique_ptr<Folder> openHookedFolder(const std::string& path, const FileHook& hook);

/// A hook's answer on a disk without room: ENOSPC to what needs new space.
std::error_code whenDiskIsFull(const FileCall& call);

}  // namespace netcow::test
