// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "base/byte_order.h"
#include "base/mutex.h"
#include "session/file_system.h"
#include "session/meta_digest.h"
#include "session/table_file.h"

// `live`: the working tables of an open session.
//
// `live` holds every change of the tables since the last checkpoint, written before the change is
// acknowledged, never synced. So a killed process loses nothing (the page cache stays), while
// after a power cut `live` is worthless, which the boot id in it tells; then `meta` is the truth.
// It holds only tables that changed: its L1 says which. The state of an open session is `meta`
// with the tables of `live` in place of its own.
//
// That holds only for the `meta` that `live` follows. Where another program changed `meta` after a
// kill, neither has all, and mixing them would show one file the content of another: both are
// refused. What counts is content, by a digest (meta_digest.h), not a time: a touched `meta`, or
// one put back from a copy, is the same `meta`.
//   - `live` names the digest of the whole `meta`, as the last checkpoint left it.
//   - While a checkpoint changes `meta` in place, `live` is marked, and the digest is not exact: a
//     `meta` changed half way is our own doing, and the tables of `live` lie on top and are whole.
//     But a checkpoint writes only entries that `live` holds. So every other table must be what it
//     was when `live` was made; `live` keeps the sums of all tables from then. The header must be
//     the one from before or the one from after. The same is true while an opener writes `live`
//     back to `meta`. What another program changed in a table that `live` holds is seen only where
//     `live` has less (live_fit.h).
//   - A checkpoint that failed leaves the mark: the next one writes all of it again.
//   - A table that L1 does not name yet is in no digest, so one can be made at any time.
//
// The layout is private to netcow and may change between versions: a `live` of another version is
// refused, never guessed at. Only magic, version, flags and boot id stay where they are: what
// another boot left is worthless whatever its version.
namespace netcow {

inline constexpr std::uint64_t kLiveMagic = 0x4556494C574F434E;  // "NCOWLIVE"
inline constexpr std::uint32_t kLiveVersion = 3;
/// Where the sums of the tables of `meta` lie in `live`, a u64 each.
inline constexpr std::uint64_t kLiveSums = 4'096;
/// Where byte 0 of the mirrored `meta` lies in `live`.
inline constexpr std::uint64_t kLiveShift = 131'072;
static_assert(kLiveSums + tableCountFor(kLargestImageSize) * sizeof(std::uint64_t) <= kLiveShift);

struct LiveHeader {
  LittleEndian<std::uint64_t> magic = kLiveMagic;
  LittleEndian<std::uint32_t> version = kLiveVersion;
  LittleEndian<std::uint32_t> flags;
  char bootId[40] = {};
  LittleEndian<std::uint64_t> creationTime;  ///< of the session
  LittleEndian<std::uint64_t> dataDevice;
  LittleEndian<std::uint64_t> dataInode;
  LittleEndian<std::int64_t> dataBirth;
  LittleEndian<std::uint64_t> metaDigest;  ///< of the `meta` it follows; exact unless changing
  LittleEndian<std::int64_t> processId;    ///< who has the session open
  /// While `meta` is changing: of its header before and after.
  LittleEndian<std::uint64_t> headerBefore;
  LittleEndian<std::uint64_t> headerAfter;

  static constexpr std::uint32_t kMetaChanging = 1;  ///< `meta` is being changed
  static constexpr std::uint32_t kSyncFailed = 2;  ///< what is in the page cache cannot be trusted
};
static_assert(sizeof(LiveHeader) == 120 && alignof(LiveHeader) == 1);
static_assert(offsetof(LiveHeader, version) == 8 && offsetof(LiveHeader, bootId) == 16);

/// `live` of a session that is open. Thread-safe.
class LiveFile {
 public:
  /// Creates `live` for a session that has none, and makes its name survive a power cut: a later
  /// opener must know that the session was open. Takes the space of each table that `meta` has, as
  /// far as there is room: so overwriting, discarding and what was reserved need none later.
  static std::error_code create(Folder& folder, const MetaHeader& meta, File& metaFile,
                                File& dataFile, std::unique_ptr<LiveFile>& live);

  TableFile& tables() { return tables_; }
  /// What `meta` held when this was created.
  [[nodiscard]] const MetaSums& metaAtStart() const { return metaAtStart_; }
  /// Called before what `meta` means is changed, with its header before and after; nothing may be
  /// changed when it fails.
  std::error_code beginMetaChange(const MetaHeader& before, const MetaHeader& after);
  /// Called when it has changed as a whole: `digest` is that of `meta` now. Not called after a
  /// failure; the next change begins as usual.
  std::error_code endMetaChange(std::uint64_t digest);
  /// From now on this `live` is dropped by who opens it.
  std::error_code markSyncFailed();

 private:
  LiveFile(std::unique_ptr<File> file, const MetaLayout& layout);
  static std::error_code write(std::unique_ptr<File> file, Folder& folder, const MetaHeader& meta,
                               File& metaFile, File& dataFile, std::unique_ptr<LiveFile>& live);
  std::error_code writeSums();
  void reserveTables(const std::vector<TableIndex>& indexes);
  std::error_code writeLiveHeader() NETCOW_REQUIRES(mutex_);

  std::unique_ptr<File> file_;
  TableFile tables_;
  MetaSums metaAtStart_;
  Mutex mutex_;
  LiveHeader header_ NETCOW_GUARDED_BY(mutex_);
};

/// Marks a `live` that is about to be written back to `meta`, so that a second try after a kill
/// does not take the changed `meta` for another program's. Does nothing to one without a header.
std::error_code markRecovering(Folder& folder, const MetaHeader& before, const MetaHeader& after);
/// Marks a `live` whose content could not be made durable: who opens the session next goes back to
/// the last checkpoint, instead of trusting pages that the kernel may have dropped.
std::error_code markSyncFailed(Folder& folder);

/// What the opener of a session finds in `live`.
enum class LiveState {
  absent,   ///< the session was closed cleanly
  dropped,  ///< of another boot, unfinished, torn, or after a failed sync: `meta` is the truth
  trusted,  ///< its tables lie on top of those in `meta`
  refused,  ///< neither it nor `meta` can be trusted without the other
};
struct LiveFinding {
  LiveState state = LiveState::absent;
  /// For people, as a part of a sentence: why it was dropped; or, behind the name of a file, why it
  /// is refused and what to do.
  std::string reason;
  std::string refusedFile;     ///< when refused: the file in question
  std::unique_ptr<File> file;  ///< when trusted
  std::int64_t processId = 0;
};

/// Judges `live`; the header of `meta` must be usable. Throws only when a file cannot be read.
LiveFinding judgeLive(Folder& folder, const MetaHeader& meta, File& metaFile, File& dataFile);

}  // namespace netcow
