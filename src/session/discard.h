// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "session/file_system.h"

// Throwing a session away.
//
//   a session --commit()--> no session any more, but its files --removeFiles()--> nothing
//
// What commits is that `meta` gets another name, durably. A process that is killed before leaves
// the session whole, one that is killed after leaves files that the next try removes. Its lock is
// held all the while, so nobody opens it meanwhile.
namespace netcow {

/// What `meta` is called while a session is being removed.
inline constexpr const char* kDiscardedMeta = "meta.discarded";

class SessionDiscard {
 public:
  /// Takes the lock of the session in `folder`, also of a damaged one, or one that is half removed.
  /// Changes nothing. Throws UserError if it is in use, or if this is no session's folder.
  explicit SessionDiscard(std::unique_ptr<Folder> folder);

  [[nodiscard]] const std::string& uploadUuid() const { return uploadUuid_; }
  /// Whether it was committed by an earlier try.
  [[nodiscard]] bool committed() const { return committed_; }

  /// Throws std::system_error; then nothing has changed.
  void commit();
  /// After commit(). Removes the files that a session consists of, by their names, and no others.
  /// Throws std::system_error; another try goes on.
  void removeFiles();

 private:
  void openMeta();
  void remove(const std::string& name, bool& existed);

  std::unique_ptr<Folder> folder_;
  std::unique_ptr<File> meta_;  // holds the lock
  std::string uploadUuid_;
  bool committed_ = false;
};

/// All of that, and then the folder itself, if nothing else is in it: false if it stays.
bool discardSession(const std::string& directory);

/// Removes a session's folder if it is empty; false if something else is in it.
/// Throws std::system_error.
bool removeEmptyFolder(const std::string& directory);

}  // namespace netcow
