// SPDX-License-Identifier: Apache-2.0
#include "session/simulated_folder.h"

#include <cerrno>

#include "base/errors.h"
#include "format/geometry.h"

namespace netcow::test {

std::error_code SimulatedMachine::admit(Takes takes) {
  if (stopped()) {
    return errnoCode(EIO);
  }
  ++calls;
  const bool full = takes == Takes::space && calls > failAt && calls < failAt + fullFor;
  if (failAt != 0 && (calls == failAt || full)) {
    ++failures;
    return errnoCode(error);
  }
  return {};
}

void SimulatedMachine::changed() {
  ++changes;
  if (afterChange) {
    afterChange();
  }
}

namespace {

class SimulatedFile : public File {
 public:
  SimulatedFile(SimulatedMachine& machine, SimulatedDisk::Number number, std::string name,
                bool readOnly = false)
      : machine_(machine), number_(number), name_(std::move(name)), readOnly_(readOnly) {}

  ~SimulatedFile() override {
    SimulatedInode* const inode = machine_.disk.inode(number_);
    if (locked_ && inode != nullptr) {
      inode->locked = false;
    }
  }

  std::error_code read(std::span<std::byte> buffer, std::uint64_t offset) override {
    if (const auto error = machine_.admit()) {
      return error;
    }
    inode().read(buffer, offset);
    return {};
  }

  std::error_code readInto(std::span<const std::span<std::byte>> buffers,
                           std::uint64_t offset) override {
    for (const auto& buffer : buffers) {
      if (const auto error = read(buffer, offset)) {
        return error;
      }
      offset += buffer.size();
    }
    return {};
  }

  std::error_code write(std::span<const std::byte> bytes, std::uint64_t offset) override {
    const auto error = machine_.admit(spaceFor(bytes.size(), offset));
    if (machine_.isIgnored("write", name_)) {
      return error;
    }
    if (error && (machine_.stopped() || bytes.size() <= SparseBytes::kPageSize)) {
      return error;
    }
    if (error) {
      // As when the disk is full half way.
      const std::uint64_t pages = bytes.size() / SparseBytes::kPageSize;
      bytes = bytes.first(machine_.random.between(0, pages) * SparseBytes::kPageSize);
    }
    if (!bytes.empty()) {
      change().write(bytes, offset);
      machine_.changed();
    }
    return error;
  }

  std::error_code punch(std::uint64_t offset, std::uint64_t length) override {
    if (const auto error = machine_.admit()) {
      return error;
    }
    change().punch(offset, length);
    machine_.changed();
    return {};
  }

  /// The disk has room for all, so only the call itself can fail.
  std::error_code reserve(std::uint64_t /*offset*/, std::uint64_t /*length*/) override {
    if (const auto error = machine_.admit(SimulatedMachine::Takes::space)) {
      machine_.untold += !machine_.stopped() && name_.starts_with("live") ? 1 : 0;
      return error;
    }
    machine_.changed();
    return {};
  }

  std::error_code findData(std::uint64_t offset, std::uint64_t& found) override {
    found = inode().bytes().findData(offset);
    return machine_.admit();
  }

  std::error_code findHole(std::uint64_t offset, std::uint64_t& found) override {
    found = inode().bytes().findHole(offset);
    return machine_.admit();
  }

  std::error_code allocatedBytes(std::uint64_t& bytes) override {
    bytes = inode().bytes().bytesIn(0, inode().size());
    return machine_.admit();
  }

  std::error_code spaceIn(std::uint64_t offset, std::uint64_t length,
                          std::uint64_t& bytes) override {
    bytes = inode().bytes().bytesIn(offset, length);
    return machine_.admit();
  }

  std::error_code freeBytes(std::uint64_t& bytes) override {
    bytes = std::uint64_t{1} << 50U;
    return machine_.admit();
  }

  std::error_code resize(std::uint64_t size) override {
    if (const auto error = machine_.admit(SimulatedMachine::Takes::space)) {
      return error;
    }
    change().resize(size);
    machine_.changed();
    return {};
  }

  std::error_code sync() override {
    if (machine_.admit()) {
      if (!machine_.stopped()) {
        inode().failSync(machine_.random);
        machine_.syncFailed = true;
      }
      return errnoCode(EIO);
    }
    if (!machine_.isIgnored("sync", name_)) {
      inode().sync();
    }
    machine_.changed();
    return {};
  }

  std::error_code size(std::uint64_t& bytes) override {
    bytes = inode().size();
    return machine_.admit();
  }

  std::error_code identify(Identity& identity) override {
    identity = {1, number_, inode().birth};
    return machine_.admit();
  }

  std::error_code lockExclusively() override {
    if (const auto error = machine_.admit()) {
      return error;
    }
    if (readOnly_) {
      return errnoCode(EBADF);  // as NFS does
    }
    if (inode().locked) {
      return errnoCode(EWOULDBLOCK);
    }
    locked_ = inode().locked = true;
    return {};
  }

 private:
  /// What is overwritten in place has its space.
  SimulatedMachine::Takes spaceFor(std::uint64_t length, std::uint64_t offset) {
    const std::uint64_t end = roundUp(offset + length, SparseBytes::kPageSize);
    const std::uint64_t begin = roundDown(offset, SparseBytes::kPageSize);
    return inode().bytes().bytesIn(begin, end - begin) < end - begin
               ? SimulatedMachine::Takes::space
               : SimulatedMachine::Takes::nothing;
  }
  SimulatedInode& inode() { return *machine_.disk.inode(number_); }
  SimulatedInode& change() {
    if (machine_.beforeWrite) {
      machine_.beforeWrite();
    }
    return inode();
  }

  SimulatedMachine& machine_;
  const SimulatedDisk::Number number_;
  const std::string name_;
  const bool readOnly_;
  bool locked_ = false;
};

class SimulatedFolder : public Folder {
 public:
  explicit SimulatedFolder(SimulatedMachine& machine) : machine_(machine) {}

  std::error_code open(const std::string& name, std::unique_ptr<File>& file) override {
    return openAs(name, false, file);
  }

  std::error_code openReadOnly(const std::string& name, std::unique_ptr<File>& file) override {
    return openAs(name, true, file);
  }

  std::error_code create(const std::string& name, std::unique_ptr<File>& file) override {
    if (const auto error = machine_.admit(SimulatedMachine::Takes::space)) {
      return error;
    }
    if (machine_.disk.find(name) != 0) {
      return errnoCode(EEXIST);
    }
    file = std::make_unique<SimulatedFile>(machine_, machine_.disk.create(name), name);
    machine_.changed();
    return {};
  }

  std::error_code remove(const std::string& name) override {
    if (const auto error = machine_.admit()) {
      return error;
    }
    if (machine_.disk.find(name) == 0) {
      return errnoCode(ENOENT);
    }
    machine_.disk.remove(name);
    machine_.changed();
    return {};
  }

  std::error_code rename(const std::string& from, const std::string& to) override {
    if (const auto error = machine_.admit()) {
      return error;
    }
    if (machine_.disk.find(from) == 0) {
      return errnoCode(ENOENT);
    }
    machine_.disk.rename(from, to);
    machine_.changed();
    return {};
  }

  std::error_code sync() override {
    if (const auto error = machine_.admit()) {
      return error;
    }
    if (!machine_.isIgnored("sync", "")) {
      machine_.disk.syncNames();
    }
    machine_.changed();
    return {};
  }

  [[nodiscard]] const std::string& path() const override { return path_; }
  [[nodiscard]] std::string bootId() const override { return machine_.disk.bootId(); }

 private:
  std::error_code openAs(const std::string& name, bool readOnly, std::unique_ptr<File>& file) {
    if (const auto error = machine_.admit()) {
      return error;
    }
    const auto number = machine_.disk.find(name);
    if (number == 0) {
      return errnoCode(ENOENT);
    }
    file = std::make_unique<SimulatedFile>(machine_, number, name, readOnly);
    return {};
  }

  SimulatedMachine& machine_;
  const std::string path_ = "simulated";
};

}  // namespace

std::unique_ptr<Folder> openSimulatedFolder(SimulatedMachine& machine) {
  return std::make_unique<SimulatedFolder>(machine);
}

}  // namespace netcow::test
