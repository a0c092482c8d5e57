// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

// Everything session/ does to files goes through these two interfaces, so that a test can keep,
// drop or tear what was not synced, fail any operation, and crash after any of them.
namespace netcow {

/// One open file. Thread-safe: all access is at explicit offsets. Errors are errno codes.
class File {
 public:
  virtual ~File() = default;

  /// Reads all of `buffer`; what lies behind the end of the file reads as zeros.
  virtual std::error_code read(std::span<std::byte> buffer, std::uint64_t offset) = 0;
  /// Reads one run into several buffers, otherwise as read().
  virtual std::error_code readInto(std::span<const std::span<std::byte>> buffers,
                                   std::uint64_t offset) = 0;
  /// Writes all of `bytes`, growing the file when needed. Survives a power cut only after sync().
  virtual std::error_code write(std::span<const std::byte> bytes, std::uint64_t offset) = 0;
  /// Makes a range read as zeros and gives its space back where the file system can; the size
  /// of the file stays. Durable after sync().
  virtual std::error_code punch(std::uint64_t offset, std::uint64_t length) = 0;
  /// Gives a range space on the disk, also behind the end of the file, so that a later write there
  /// does not find it full; content and size stay. EOPNOTSUPP where the file system cannot.
  virtual std::error_code reserve(std::uint64_t offset, std::uint64_t length) = 0;
  virtual std::error_code resize(std::uint64_t size) = 0;
  /// fdatasync: everything written so far, and what is needed to read it, survives a power cut.
  virtual std::error_code sync() = 0;
  virtual std::error_code size(std::uint64_t& bytes) = 0;

  /// The first byte at or behind `offset` that lies in no hole; kNowhere if there is none. A hole
  /// reads as zeros; space that is reserved and not written yet counts as one.
  virtual std::error_code findData(std::uint64_t offset, std::uint64_t& found) = 0;
  /// The first byte at or behind `offset` that lies in a hole, or behind the end of the file.
  virtual std::error_code findHole(std::uint64_t offset, std::uint64_t& found) = 0;
  static constexpr std::uint64_t kNowhere = UINT64_MAX;
  /// What the file takes on the disk.
  virtual std::error_code allocatedBytes(std::uint64_t& bytes) = 0;
  /// How much of a range has space on the disk, written or reserved.
  virtual std::error_code spaceIn(std::uint64_t offset, std::uint64_t length,
                                  std::uint64_t& bytes) = 0;
  /// How much more the file system has room for.
  virtual std::error_code freeBytes(std::uint64_t& bytes) = 0;

  /// What tells this file from every other one.
  struct Identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t birthNanoseconds = 0;  ///< 0 where the file system does not keep it
  };
  virtual std::error_code identify(Identity& identity) = 0;

  /// Tries to become the only one that holds this file locked, until it is closed; another
  /// holder (also in the same process) makes it fail with EWOULDBLOCK.
  virtual std::error_code lockExclusively() = 0;
};

/// The files of one session directory. Thread-safe.
class Folder {
 public:
  virtual ~Folder() = default;

  /// Opens a file for reading and writing. ENOENT when it is missing.
  virtual std::error_code open(const std::string& name, std::unique_ptr<File>& file) = 0;
  /// As open(), for reading only: nothing else is called on such a file.
  virtual std::error_code openReadOnly(const std::string& name, std::unique_ptr<File>& file) = 0;
  /// Creates a file with mode 0600; EEXIST when there is one.
  virtual std::error_code create(const std::string& name, std::unique_ptr<File>& file) = 0;
  virtual std::error_code remove(const std::string& name) = 0;
  /// Gives a file another name, in place of one that has it.
  virtual std::error_code rename(const std::string& from, const std::string& to) = 0;
  /// Makes the names survive a power cut.
  virtual std::error_code sync() = 0;
  /// For messages.
  [[nodiscard]] virtual const std::string& path() const = 0;
  /// The running kernel's boot id: unsynced state of another boot is never trusted.
  [[nodiscard]] virtual std::string bootId() const = 0;
};

/// The real thing; `path` must be an existing folder (throws std::system_error otherwise).
std::unique_ptr<Folder> openFolder(const std::string& path);

}  // namespace netcow
