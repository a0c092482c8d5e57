// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

#include "base/byte_order.h"
#include "base/mutex.h"
#include "session/file_system.h"
#include "session/table_file.h"

// `live`: the working tables of an open session.
//
// `live` holds every change of the tables since the last checkpoint, written before the change is
// acknowledged, never synced. So a killed process loses nothing (the page cache stays), while
// after a power cut `live` is worthless, which the boot id in it tells; then `meta` is the truth.
// It holds only tables that changed: its L1 says which. The state of an open session is `meta`
// with the tables of `live` in place of its own.
//
// A checkpoint changes `meta` in place. While it does, `live` is marked, so that a `meta` changed
// half way is known to be our own doing: the tables of `live` lie on top and are whole.
//
// The layout is private to netcow and may change between versions: a `live` of another version is
// refused, never guessed at.
namespace netcow {

inline constexpr std::uint64_t kLiveMagic = 0x4556494C574F434E;  // "NCOWLIVE"
/// Where byte 0 of the mirrored `meta` lies in `live`.
inline constexpr std::uint64_t kLiveShift = 65'536;

struct LiveHeader {
  LittleEndian<std::uint64_t> magic = kLiveMagic;
  LittleEndian<std::uint32_t> version = 1;
  LittleEndian<std::uint32_t> flags;
  char bootId[40] = {};
  LittleEndian<std::uint64_t> creationTime;  ///< of the session
  LittleEndian<std::uint64_t> dataDevice;
  LittleEndian<std::uint64_t> dataInode;
  LittleEndian<std::int64_t> dataBirth;
  LittleEndian<std::int64_t> metaModified;  ///< mtime of the `meta` it follows, nanoseconds
  LittleEndian<std::int64_t> processId;     ///< who has the session open

  static constexpr std::uint32_t kMetaChanging = 1;  ///< `meta` is being changed
  static constexpr std::uint32_t kSyncFailed = 2;  ///< what is in the page cache cannot be trusted
};
static_assert(sizeof(LiveHeader) == 104 && alignof(LiveHeader) == 1);

/// `live` of a session that is open. Thread-safe.
class LiveFile {
 public:
  /// Creates `live` for a session that has none, and makes its name survive a power cut: a later
  /// opener must know that the session was open.
  static std::error_code create(Folder& folder, const MetaHeader& meta, File& metaFile,
                                File& dataFile, std::unique_ptr<LiveFile>& live);

  TableFile& tables() { return tables_; }
  /// Called round every change of `meta`; changes may overlap. The end is called also when the
  /// beginning failed, after which nothing may be changed.
  std::error_code beginMetaChange();
  std::error_code endMetaChange(File& metaFile);
  /// From now on this `live` is dropped by who opens it.
  std::error_code markSyncFailed();

 private:
  LiveFile(std::unique_ptr<File> file, const MetaLayout& layout);
  static std::error_code write(std::unique_ptr<File> file, Folder& folder, const MetaHeader& meta,
                               File& metaFile, File& dataFile, std::unique_ptr<LiveFile>& live);
  std::error_code writeLiveHeader() NETCOW_REQUIRES(mutex_);

  std::unique_ptr<File> file_;
  TableFile tables_;
  Mutex mutex_;
  LiveHeader header_ NETCOW_GUARDED_BY(mutex_);
  int metaChanges_ NETCOW_GUARDED_BY(mutex_) = 0;  ///< begun and not ended
  bool marked_ NETCOW_GUARDED_BY(mutex_) = false;  ///< the file says that `meta` is changing
};

/// Marks a `live` that is about to be written back to `meta`, so that a second try after a kill
/// does not take the changed `meta` for another program's. Does nothing to one without a header.
std::error_code markRecovering(Folder& folder);
/// Marks a `live` whose content could not be made durable: who opens the session next goes back to
/// the last checkpoint, instead of trusting pages that the kernel may have dropped.
std::error_code markSyncFailed(Folder& folder);

/// What the opener of a session finds in `live`.
enum class LiveState {
  absent,   ///< the session was closed cleanly
  dropped,  ///< of another boot, unfinished, or after a failed sync: `meta` is the truth
  trusted,  ///< its tables lie on top of those in `meta`
};
struct LiveFinding {
  LiveState state = LiveState::absent;
  std::string reason;          ///< why it was dropped, for people
  std::unique_ptr<File> file;  ///< when trusted
  std::int64_t processId = 0;
};

/// Judges `live` by its header. Throws UserError when `meta` was changed by another program, so
/// that neither can be trusted.
LiveFinding judgeLive(Folder& folder, const MetaHeader& meta, File& metaFile, File& dataFile);

}  // namespace netcow
