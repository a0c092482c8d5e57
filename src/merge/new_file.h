// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "base/unique_fd.h"

namespace netcow {

/// A file that has no name, or a hidden one, until publish() gives it its own; gone without a
/// trace when it is destroyed before that. Not thread-safe.
class NewFile {
 public:
  enum class Kind {
    unnamed,  ///< nothing is left even by a killed process; `hidden` where that is not possible
    hidden,   ///< ".netcow-new-XXXXXX" in the folder of `path`
  };

  /// Creates an empty file in the folder of `path`. Throws std::system_error: EEXIST when there
  /// is something at `path` already.
  explicit NewFile(std::string path, Kind kind = Kind::unnamed);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  /// For reading and writing; owned by this object.
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }

  /// Makes its content survive a power cut. publish() does it too, but then it is too late to
  /// think again. Throws std::system_error.
  void sync() const;

  /// Gives it its permissions and syncs it, names it `path` without ever replacing another file,
  /// and syncs the folder. Throws std::system_error (EEXIST when `path` was taken meanwhile); then
  /// `path` is what it was before.
  void publish(mode_t permissions);

 private:
  void openUnnamed();
  void openHidden();
  void giveName();

  std::string path_;
  std::string folder_;
  std::string hiddenName_;  ///< where it is now; empty: nowhere, or published
  UniqueFd fd_;
};

}  // namespace netcow
