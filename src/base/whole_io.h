// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace netcow {

/// Reads exactly buffer.size() bytes at `offset`, over interrupts and short reads. What lies
/// behind the end of the file reads as zeros.
std::error_code preadOrZeros(int fd, std::span<std::byte> buffer, std::uint64_t offset);

/// Writes all of `bytes` at `offset`, over interrupts and short writes.
std::error_code pwriteAll(int fd, std::span<const std::byte> bytes, std::uint64_t offset);

/// The whole of a small text file. Throws std::system_error.
std::string readTextFile(const std::string& path);

/// Replaces `path` so that a reader sees the old text or the new one, never a part: writes
/// `path`.new with mode 0600 and renames it. `durable`: also survives a power cut (fsync of file
/// and folder). Throws std::system_error.
void replaceTextFile(const std::string& path, std::string_view text, bool durable);

/// Makes the names in a folder survive a power cut. Throws std::system_error.
void syncFolder(const std::string& path);

}  // namespace netcow
