// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "support/seeded_random.h"

// A folder's files as a kernel and a disk hold them: what programs read (the page cache), what is
// surely on the disk, and what was written since in the order it was written. All of it is a value
// that is cheap to copy, so that a test can look at every moment of a run.
namespace netcow::test {

/// What a disk writes whole or not at all.
inline constexpr std::uint64_t kSectorSize = 512;

/// The bytes of a file of any size; holes cost nothing, copies share what is the same.
class SparseBytes {
 public:
  void read(std::span<std::byte> buffer, std::uint64_t offset) const;
  void write(std::span<const std::byte> bytes, std::uint64_t offset);
  void zero(std::uint64_t offset, std::uint64_t length);
  void copyPage(std::uint64_t page, const SparseBytes& from);
  /// All pages that a range touches.
  void copyPages(std::uint64_t offset, std::uint64_t length, const SparseBytes& from);
  /// The first byte at or behind `offset` that is in no hole; UINT64_MAX if there is none.
  [[nodiscard]] std::uint64_t findData(std::uint64_t offset) const;
  [[nodiscard]] std::uint64_t findHole(std::uint64_t offset) const;
  /// What of a range is in no hole, in whole pages.
  [[nodiscard]] std::uint64_t bytesIn(std::uint64_t offset, std::uint64_t length) const;

  static constexpr std::uint64_t kPageSize = 4096;

 private:
  using Page = std::array<std::byte, kPageSize>;
  Page& writablePage(std::uint64_t page);
  std::map<std::uint64_t, std::shared_ptr<Page>> pages_;
};

/// What becomes of an unsynced change when the power goes.
enum class Fate : std::uint8_t { kept, dropped, torn };

/// One file, whatever its name.
class SimulatedInode {
 public:
  SimulatedInode() = default;
  explicit SimulatedInode(std::int64_t birthTime) : birth(birthTime) {}

  void read(std::span<std::byte> buffer, std::uint64_t offset) const;
  void write(std::span<const std::byte> bytes, std::uint64_t offset);
  void punch(std::uint64_t offset, std::uint64_t length);
  void resize(std::uint64_t newSize);
  void sync();
  /// What Linux does when it cannot write back: of each page the disk may have got the new
  /// content or not, the cache may forget it, and no later sync tries again.
  void failSync(SeededRandom& random);
  /// Leaves what the disk may hold when the power goes: each unsynced change whole, not at all,
  /// or torn between sectors. `fates`: one for each, the oldest first.
  void powerCut(SeededRandom& random, const std::vector<Fate>& fates);
  void powerCut(SeededRandom& random) { powerCut(random, anyFates(random)); }

  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// What programs read, with its holes.
  [[nodiscard]] const SparseBytes& bytes() const { return cached_; }
  [[nodiscard]] std::size_t unsynced() const { return unsynced_.size(); }

  std::int64_t birth = 0;
  bool locked = false;

 private:
  /// The sectors that one call changed, as they were right after it.
  struct Change {
    std::uint64_t offset;
    std::uint64_t length;
    std::shared_ptr<const std::vector<std::byte>> bytes;  ///< null: zeros
    std::uint64_t sizeAfter;
  };
  void remember(std::uint64_t offset, std::uint64_t length, bool zeros);
  [[nodiscard]] std::vector<Fate> anyFates(SeededRandom& random) const;
  void reachDisk(const Change& change, std::uint64_t from, std::uint64_t length);

  SparseBytes cached_;
  SparseBytes durable_;
  std::uint64_t size_ = 0;
  std::uint64_t durableSize_ = 0;
  std::vector<Change> unsynced_;
};

class SimulatedDisk {
 public:
  using Number = std::uint64_t;  ///< of an inode; 0 is none

  [[nodiscard]] Number find(const std::string& name) const;
  /// Null once no name leads to it any more, for sure.
  [[nodiscard]] SimulatedInode* inode(Number number);
  Number create(const std::string& name);
  void remove(const std::string& name);
  void rename(const std::string& from, const std::string& to);
  void syncNames();

  /// The process is gone: the page cache stays, its locks do not.
  void killProcess();
  /// The machine goes down and comes up again. Of the unsynced changes of names the first few
  /// happened, of each file see SimulatedInode::powerCut().
  void powerCut(SeededRandom& random);

  [[nodiscard]] bool unsynced() const;
  /// Power cuts that single out each unsynced change of a file: it alone is lost, it alone is kept,
  /// it is torn while all others are kept, or lost. Changes of names and of other files: any fate.
  /// Not of `live`, which no power cut leaves any worth.
  void forEachSingledOut(SeededRandom& random,
                         const std::function<void(const SimulatedDisk&)>& visit) const;
  [[nodiscard]] std::string bootId() const { return "boot " + std::to_string(boot_); }
  /// Moves on at every call, as times of files do.
  std::int64_t tick() { return ++time_; }

 private:
  using Names = std::map<std::string, Number>;
  void forgetNameless();
  void comeUpAgain();

  std::map<Number, SimulatedInode> inodes_;
  Names names_;
  std::vector<Names> history_ = {{}};  ///< the durable ones, then as each unsynced change left them
  Number lastNumber_ = 0;
  std::int64_t time_ = 1'000;
  int boot_ = 1;
};

}  // namespace netcow::test
