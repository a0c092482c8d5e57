// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include "base/unique_fd.h"
#include "session/file_system.h"

namespace netcow {

/// A file of a real file system.
class PosixFile : public File {
 public:
  explicit PosixFile(UniqueFd fd) : fd_(std::move(fd)) {}

  std::error_code read(std::span<std::byte> buffer, std::uint64_t offset) override;
  std::error_code readInto(std::span<const std::span<std::byte>> buffers,
                           std::uint64_t offset) override;
  std::error_code write(std::span<const std::byte> bytes, std::uint64_t offset) override;
  std::error_code punch(std::uint64_t offset, std::uint64_t length) override;
  std::error_code reserve(std::uint64_t offset, std::uint64_t length) override;
  std::error_code resize(std::uint64_t size) override;
  std::error_code sync() override;
  std::error_code size(std::uint64_t& bytes) override;
  std::error_code findData(std::uint64_t offset, std::uint64_t& found) override;
  std::error_code findHole(std::uint64_t offset, std::uint64_t& found) override;
  std::error_code allocatedBytes(std::uint64_t& bytes) override;
  std::error_code spaceIn(std::uint64_t offset, std::uint64_t length,
                          std::uint64_t& bytes) override;
  std::error_code freeBytes(std::uint64_t& bytes) override;
  std::error_code identify(Identity& identity) override;
  std::error_code lockExclusively() override;

 private:
  std::error_code writeZeros(std::uint64_t offset, std::uint64_t length);
  std::error_code seek(std::uint64_t offset, int whence, std::uint64_t& found);
  std::error_code dataIn(std::uint64_t offset, std::uint64_t length, std::uint64_t& bytes);

  UniqueFd fd_;
};

}  // namespace netcow
