// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>

#include "base/clock.h"
#include "format/cluster_bits.h"
#include "format/geometry.h"
#include "session/file_system.h"

namespace netcow {

/// What a new session is made of.
struct NewSession {
  std::string imageName;                              ///< at most 199 bytes
  std::string uploadUuid;                             ///< at most 36 bytes; empty = stays local
  std::uint64_t baseSize = 0;                         ///< bytes
  std::uint64_t maxImageSize = kDefaultMaxImageSize;  ///< bytes, at most kLargestImageSize
};

/// One cluster as tables tell it, for lists and checks.
struct ClusterInfo {
  std::uint64_t cluster = 0;     ///< number in the image
  std::uint64_t dataOffset = 0;  ///< bytes, in `data`
  ClusterBits bits;
  bool dirty = false;
  bool cleanAsRead = false;  ///< was clean in the files, also if recovery then made it dirty
  std::uint32_t uploads = 0;
  std::uint32_t fails = 0;
};

/// The local half of a writable image: which blocks are local, and their content.
///
/// Lives in a directory of the format of docs/formats/session.md. Knows nothing of the
/// base: a block that is not local is somebody else's to find.
///
/// Thread-safety: all methods may be called from any thread at any time, with one exception (class
/// Image sees to it): setSizes() and zeroLocal() must not run beside anything that reads or changes
/// content, nor beside releaseBehindEnd(). Reads beside forget(): see there.
///
/// Errors of the data path are errno codes. Once a sync has failed, every later checkpoint fails
/// with EIO: the kernel may have dropped what could not be written.
class Session {
 public:
  /// Makes a session in `directory`, which is created if it is missing. A session there that
  /// holds no cluster is replaced; one that holds clusters is refused.
  /// Throws UserError or std::system_error.
  static std::unique_ptr<Session> create(const std::string& directory, const NewSession& settings,
                                         const Clock& clock = Clock::system());

  /// Opens the session in `directory`, recovering what a killed process or a power cut left.
  /// Throws UserError for anything that is not a sound session of this format, or is in use.
  static std::unique_ptr<Session> open(const std::string& directory,
                                       const Clock& clock = Clock::system());

  /// The same over any Folder (tests).
  static std::unique_ptr<Session> create(std::unique_ptr<Folder> folder, const NewSession& settings,
                                         const Clock& clock);
  static std::unique_ptr<Session> open(std::unique_ptr<Folder> folder, const Clock& clock);

  /// Leaves everything as a killed process would: call close() first for a clean end.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Checkpoints and removes `live`, which leaves exactly the format other programs read. No
  /// other method may be called afterwards. On an error the session stays recoverable.
  std::error_code close();

  [[nodiscard]] const std::string& directory() const;
  [[nodiscard]] std::string imageName() const;
  [[nodiscard]] std::string uploadUuid() const;
  [[nodiscard]] std::int64_t creationTime() const;      ///< unix seconds
  [[nodiscard]] std::uint64_t imageSize() const;        ///< bytes, as the user sees it
  [[nodiscard]] std::uint64_t validRemoteSize() const;  ///< bytes of the base still visible
  [[nodiscard]] std::uint64_t maxImageSize() const;     ///< bytes
  /// What opening had to do beyond reading (one line for people); empty after a clean close.
  [[nodiscard]] const std::string& recovery() const;

  /// Names another upload; durable at the next checkpoint. With `sendAll` every cluster that
  /// holds a local block becomes dirty, since the new upload holds nothing. EINVAL above 36 bytes.
  std::error_code setUploadUuid(const std::string& uuid, bool sendAll);

  // --- blocks -----------------------------------------------------------------------------

  /// A run of bytes that are all local or all not.
  struct Run {
    bool local = false;
    std::uint64_t length = 0;      ///< bytes, at least 1
    std::uint64_t dataOffset = 0;  ///< where the first byte lies in `data`; if local
  };
  /// The run that begins at `offset`, cut to `length` bytes and at the end of the cluster.
  [[nodiscard]] Run runAt(std::uint64_t offset, std::uint64_t length) const;
  [[nodiscard]] bool isLocal(std::uint64_t block) const;

  /// Reads local bytes by their place in `data`, as a Run told.
  [[nodiscard]] std::error_code readData(std::span<std::byte> buffer,
                                         std::uint64_t dataOffset) const;

  /// Writes `bytes` at `offset` of the image. Every block touched must be covered whole or be
  /// local already. Acknowledged content survives a killed process.
  std::error_code write(std::span<const std::byte> bytes, std::uint64_t offset);

  /// Writes one whole block unless it became local meanwhile: a fill never overwrites what was
  /// written since it was asked for. `filled` tells which it was.
  std::error_code fill(std::uint64_t block, std::span<const std::byte> content, bool& filled);

  /// Makes whole blocks read as zeros (EINVAL for anything else, EFBIG beyond maxImageSize()), and
  /// gives the space of local ones back. Costs by what it has to change: what is zeros already
  /// stays as it is, and needs no upload.
  std::error_code zero(std::uint64_t offset, std::uint64_t length);

  /// Makes local bytes of [offset, offset + length) zero and leaves what is not local alone. Unlike
  /// zero() it makes every cluster with local bytes there dirty: for what lay behind the end.
  std::error_code zeroLocal(std::uint64_t offset, std::uint64_t length);

  /// Changes what the header says of sizes; moves no content. validRemoteSize never grows.
  std::error_code setSizes(std::uint64_t imageSize, std::uint64_t validRemoteSize);

  /// Takes one cluster as a client sent it: afterwards exactly the blocks of `bits` are local,
  /// with `content` (kBlockSize bytes each, ascending). For the upload service; not for mounts.
  std::error_code replaceCluster(std::uint64_t cluster, const ClusterBits& bits,
                                 std::span<const std::byte> content);

  // --- space -------------------------------------------------------------------------------

  /// Gives the blocks of a range space on the disk, so that a later write there does not find it
  /// full. Nothing becomes local or dirty. EFBIG beyond maxImageSize(), EOPNOTSUPP where the file
  /// system cannot, ENOSPC when there is no room: what was reserved by then is given back, but for
  /// holes in local blocks.
  std::error_code reserve(std::uint64_t offset, std::uint64_t length);

  /// Gives back the space of what lies behind the end of the image, as far as no power cut can
  /// bring it back: after a shrink, checkpoint first. Makes nothing dirty.
  std::error_code releaseBehindEnd();
  /// Whether there is space to give back behind the end.
  [[nodiscard]] bool holdsSpaceBehindEnd() const;

  /// The most that `data` may take on the disk from now on, in bytes; see LocalLimit. What would
  /// need more is ENOSPC; reading, and overwriting what has its space, go on.
  void limitLocal(std::uint64_t bytes);

  struct Usage {
    std::uint64_t dataBytes =
        0;  ///< of the image: what is no hole in `data`, and the base's blocks
    std::uint64_t freeBytes = 0;  ///< that `data` may still take on the disk
  };
  /// Numbers for people: what changes meanwhile is counted or not.
  std::error_code usage(Usage& usage) const;

  /// The first byte in [offset, end) that is data: a block of the base, or a local one that is no
  /// hole in `data`. `end` if there is none. Everything else reads as zeros.
  std::error_code findData(std::uint64_t offset, std::uint64_t end, std::uint64_t& found) const;
  /// The first byte in [offset, end) that is no data; `end` if there is none.
  std::error_code findHole(std::uint64_t offset, std::uint64_t end, std::uint64_t& found) const;

  // --- a cache of the base (session_forget.cpp) ---------------------------------------------
  //
  // For sessions whose local blocks all hold what the base has; no upload may go on.

  /// Writes whole blocks from `block` on, as far as they are not local yet; the others stay.
  std::error_code fillBlocks(std::uint64_t block, std::span<const std::byte> content);

  /// Makes all blocks of a cluster not local. Their space is given back by releaseForgotten(). What
  /// was read beside it holds only if forgets() was the same before runAt() and after readData().
  std::error_code forget(std::uint64_t cluster);
  [[nodiscard]] std::uint64_t forgets() const;

  /// Makes a checkpoint, and gives back the space of what was forgotten before it and is not local
  /// again. After an error that is left to the next call.
  std::error_code releaseForgotten();

  /// What `data` takes on the disk, in bytes.
  std::error_code spaceTaken(std::uint64_t& bytes) const;
  /// How many blocks of the visible base are local.
  [[nodiscard]] std::uint64_t localBlocks() const;

  // --- durability -------------------------------------------------------------------------

  /// Makes everything acknowledged so far survive a power cut. Concurrent calls share work.
  std::error_code checkpoint();
  /// Whether anything changed since the last checkpoint began.
  [[nodiscard]] bool needsCheckpoint() const;

  // --- uploads ----------------------------------------------------------------------------

  /// Takes out a dirty cluster whose newest change was at or before `latest`, the oldest first.
  /// It is then checked out: nobody else gets it until acknowledgeUpload() or returnDirty().
  std::optional<std::uint64_t> takeDirty(Clock::Time latest);
  /// Puts a checked-out cluster back unsent.
  void returnDirty(std::uint64_t cluster);
  /// When the oldest dirty cluster that is not checked out changed; nothing if there is none.
  [[nodiscard]] std::optional<Clock::Time> oldestDirty() const;

  struct DirtyCounts {
    std::uint64_t old = 0;    ///< last changed at or before a time
    std::uint64_t fresh = 0;  ///< changed after it
  };
  /// Counts dirty clusters that are not checked out. A cluster that changes all the time may
  /// count as old until takeDirty() looks at it.
  [[nodiscard]] DirtyCounts dirtyCounts(Clock::Time latest) const;

  /// `wake` is called whenever a cluster can be taken and none could before: quickly, from any
  /// thread, and it must not use the session. Empty: nobody is told, and once this has returned
  /// nobody is told any more.
  void whenDirty(std::function<void()> wake);

  /// What an uploader has before it, over all dirty clusters, checked out or not.
  struct Pending {
    std::uint64_t bytes = 0;   ///< of their local blocks; clusters behind the end need no upload
    std::uint64_t failed = 0;  ///< clusters whose last upload failed
  };
  /// Takes no lock; costs by the number of local clusters. What changes meanwhile is counted or
  /// not.
  [[nodiscard]] Pending pending() const;

  /// A cluster's content at one moment, as its upload will carry it.
  struct Snapshot {
    std::uint64_t changes = 0;  ///< the change counter: hand it back to acknowledge()
    ClusterBits bits;
    /// Why it must not be sent: EIO when the disk fails, for good after a failed sync; anything
    /// else (no room) when the next checkpoint may succeed.
    std::error_code notDurable;
  };
  /// Read before the content: what changes after it leaves the cluster dirty. Its blocks survive a
  /// power cut, which may take a checkpoint: the server keeps for good what it was sent. Where
  /// that checkpoint fails, `notDurable` tells.
  [[nodiscard]] Snapshot snapshot(std::uint64_t cluster) const;
  /// Reads a run of local blocks of one cluster, numbered within it; buffer.size() bytes.
  [[nodiscard]] std::error_code readBlocks(std::uint64_t cluster, std::uint64_t firstBlock,
                                           std::span<std::byte> buffer) const;
  /// The server has everything up to `changes` of a checked-out cluster. True if it is clean now;
  /// if it changed meanwhile it can be taken again. Counted as an upload also where nothing had to
  /// be sent for it: so the count is another one each time the cluster is clean anew.
  bool acknowledgeUpload(std::uint64_t cluster, std::uint64_t changes);
  /// An upload failed: counts `fails`; the cluster stays dirty and checked out.
  void failUpload(std::uint64_t cluster);

  /// If a cluster is clean, and both files and a power cut would say so: how many uploads of it
  /// they count. Before anything of it is sent again they call it dirty, and clean again only with
  /// more uploads.
  [[nodiscard]] std::optional<std::uint32_t> uploadsIfCleanOnDisk(std::uint64_t cluster) const;
  /// Its folder, for a file that is kept beside those of the session.
  [[nodiscard]] Folder& folder() const;

  /// Calls `visit` for every allocated cluster in ascending order; each is consistent in itself.
  void forEachCluster(const std::function<void(const ClusterInfo&)>& visit) const;
  [[nodiscard]] std::uint64_t localClusterCount() const;

 private:
  struct Parts;
  explicit Session(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// What `netcow info` shows: read without a lock, also while the session is in use.
struct SessionReport {
  std::string imageName;
  std::string uploadUuid;
  std::int64_t creationTime = 0;
  std::uint64_t imageSize = 0;
  std::uint64_t validRemoteSize = 0;
  std::uint64_t maxImageSize = 0;
  std::uint64_t clusters = 0;  ///< allocated
  std::uint64_t dirtyClusters = 0;
  std::uint64_t dirtyBytes = 0;  ///< local blocks of these, as far as they lie in the image
  std::uint64_t localBlocks = 0;
  std::uint64_t uploads = 0;         ///< successful, summed over clusters
  std::uint64_t failedClusters = 0;  ///< whose last upload failed
  std::uint64_t dataFileBytes = 0;   ///< length of `data`
  bool open = false;                 ///< `live` is there: in use, or its process was killed
  bool inUse = false;                ///< a process has it open
  std::int64_t process = 0;          ///< id of the process that has it open, or had; 0: none
};
/// Throws as Session::open.
SessionReport inspectSession(const std::string& directory);

}  // namespace netcow
