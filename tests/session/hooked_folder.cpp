// SPDX-License-Identifier: Apache-2.0
#include "session/hooked_folder.h"

#include <cerrno>
#include <utility>

#include "base/errors.h"

namespace netcow::test {
namespace {

class HookedFile : public File {
 public:
  HookedFile(std::unique_ptr<File> file, std::string name, const FileHook& hook)
      : file_(std::move(file)), name_(std::move(name)), hook_(hook) {}

  std::error_code read(std::span<std::byte> buffer, std::uint64_t offset) override {
    return file_->read(buffer, offset);
  }
  std::error_code readInto(std::span<const std::span<std::byte>> buffers,
                           std::uint64_t offset) override {
    return file_->readInto(buffers, offset);
  }
  std::error_code write(std::span<const std::byte> bytes, std::uint64_t offset) override {
    const auto error = ask(FileCall::Kind::write, offset, bytes.size());
    if (!error) {
      return file_->write(bytes, offset);
    }
    // What got through before it failed.
    const auto half = bytes.first(bytes.size() / 2 / kPage * kPage);
    if (!half.empty() && !ask(FileCall::Kind::write, offset, half.size())) {
      static_cast<void>(file_->write(half, offset));
    }
    return error;
  }
  std::error_code punch(std::uint64_t offset, std::uint64_t length) override {
    const auto error = ask(FileCall::Kind::punch, offset, length);
    return error ? error : file_->punch(offset, length);
  }
  std::error_code reserve(std::uint64_t offset, std::uint64_t length) override {
    const auto error = ask(FileCall::Kind::reserve, offset, length);
    return error ? error : file_->reserve(offset, length);
  }
  std::error_code resize(std::uint64_t size) override {
    const auto error = ask(FileCall::Kind::resize, 0, size);
    return error ? error : file_->resize(size);
  }
  std::error_code sync() override {
    const auto error = ask(FileCall::Kind::sync, 0, 0);
    return error ? error : file_->sync();
  }
  std::error_code size(std::uint64_t& bytes) override { return file_->size(bytes); }
  std::error_code findData(std::uint64_t offset, std::uint64_t& found) override {
    return file_->findData(offset, found);
  }
  std::error_code findHole(std::uint64_t offset, std::uint64_t& found) override {
    return file_->findHole(offset, found);
  }
  std::error_code allocatedBytes(std::uint64_t& bytes) override {
    return file_->allocatedBytes(bytes);
  }
  std::error_code spaceIn(std::uint64_t offset, std::uint64_t length,
                          std::uint64_t& bytes) override {
    return file_->spaceIn(offset, length, bytes);
  }
  std::error_code freeBytes(std::uint64_t& bytes) override {
    const auto error = ask(FileCall::Kind::freeBytes, 0, 0);
    if (error.value() == ENOSPC) {
      bytes = 0;
      return {};
    }
    return error ? error : file_->freeBytes(bytes);
  }
  std::error_code identify(Identity& identity) override { return file_->identify(identity); }
  std::error_code lockExclusively() override { return file_->lockExclusively(); }

 private:
  static constexpr std::uint64_t kPage = 4096;
  std::error_code ask(FileCall::Kind kind, std::uint64_t offset, std::uint64_t length) {
    return hook_ ? hook_({kind, name_, offset, length, file_.get()}) : std::error_code{};
  }

  const std::unique_ptr<File> file_;
  const std::string name_;
  const FileHook& hook_;
};

class HookedFolder : public Folder {
 public:
  HookedFolder(const std::string& path, const FileHook& hook)
      : folder_(openFolder(path)), hook_(hook) {}

  std::error_code open(const std::string& name, std::unique_ptr<File>& file) override {
    return wrap(folder_->open(name, file), name, file);
  }
  std::error_code openReadOnly(const std::string& name, std::unique_ptr<File>& file) override {
    return folder_->openReadOnly(name, file);
  }
  std::error_code create(const std::string& name, std::unique_ptr<File>& file) override {
    const auto error =
        hook_ ? hook_({FileCall::Kind::create, name, 0, 0, nullptr}) : std::error_code{};
    return error ? error : wrap(folder_->create(name, file), name, file);
  }
  std::error_code remove(const std::string& name) override { return folder_->remove(name); }
  std::error_code rename(const std::string& from, const std::string& to) override {
    return folder_->rename(from, to);
  }
  std::error_code sync() override { return folder_->sync(); }
  [[nodiscard]] const std::string& path() const override { return folder_->path(); }
  [[nodiscard]] std::string bootId() const override { return folder_->bootId(); }

 private:
  std::error_code wrap(const std::error_code& error, const std::string& name,
                       std::unique_ptr<File>& file) {
    if (!error) {
      file = std::make_unique<HookedFile>(std::move(file), name, hook_);
    }
    return error;
  }

  const std::unique_ptr<Folder> folder_;
  const FileHook& hook_;
};

}  // namespace

std::unique_ptr<Folder> openHookedFolder(const std::string& path, const FileHook& hook) {
  return std::make_unique<HookedFolder>(path, hook);
}

std::error_code whenDiskIsFull(const FileCall& call) {
  switch (call.kind) {
    case FileCall::Kind::write:
    case FileCall::Kind::reserve: {
      std::uint64_t space = 0;
      if (const auto error = call.on->spaceIn(call.offset, call.length, space)) {
        return error;
      }
      // The file system gives and takes whole pages, so a small write may find its page there.
      return space < call.length ? errnoCode(ENOSPC) : std::error_code{};
    }
    case FileCall::Kind::create:
    case FileCall::Kind::freeBytes:
      return errnoCode(ENOSPC);
    default:
      return {};
  }
}

}  // namespace netcow::test
