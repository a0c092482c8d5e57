// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "session/checkpoint.h"
#include "session/dirty_clusters.h"
#include "session/loader.h"
#include "session/piece.h"
#include "session/session.h"

namespace netcow {

/// What an open session consists of, in the order in which one part needs another.
struct Session::Parts {
  Parts(std::unique_ptr<Folder> openedFolder, LoadedSession loaded,
        std::unique_ptr<LiveFile> liveFile, std::string recoveryText, const Clock& sessionClock);

  std::unique_ptr<Folder> folder;
  const Clock& clock;
  const std::string recovery;
  std::unique_ptr<File> metaFile;
  std::unique_ptr<File> dataFile;
  std::unique_ptr<LiveFile> live;
  std::unique_ptr<BlockMap> map;
  HeaderState header;
  DataFile data;
  SessionTables tables;
  Checkpointer checkpointer;
  DirtyClusters dirtyQueue;
  /// Local blocks of the part of the base that is visible.
  std::atomic<std::uint64_t> coveredBlocks = 0;
  std::atomic<std::uint64_t> allocatedClusters = 0;  ///< they never become fewer
  /// What lies behind it in the image has no space in `data`; at first that is not known.
  std::atomic<std::uint64_t> spaceEnd = UINT64_MAX;

  Mutex releaseMutex;    ///< while what was forgotten is released: one at a time
  Mutex forgottenMutex;  ///< guards the list alone
  /// Clusters whose space is to be given back.
  std::set<std::uint64_t> forgotten NETCOW_GUARDED_BY(forgottenMutex);
  /// Counts up after bits were cleared and before their blocks are punched.
  std::atomic<std::uint64_t> forgets = 0;

  /// While one lives, the cluster's content is being changed: no upload counts as its newest.
  class ChangeUnderWay {
   public:
    ChangeUnderWay(Cluster& state, const Clock& clock) : state_(state) {
      state_.changedAt.store(clock.now().time_since_epoch().count(), std::memory_order_relaxed);
      // Sequentially consistent, as is the look at `dirty` that follows: see session_uploads.cpp.
      state_.changes.fetch_add(1);
    }
    // Also after an error: some of it may have been written.
    ~ChangeUnderWay() { state_.changesEnded.fetch_add(1); }
    ChangeUnderWay(const ChangeUnderWay&) = delete;
    ChangeUnderWay& operator=(const ChangeUnderWay&) = delete;

   private:
    Cluster& state_;
  };

  /// Makes a clean cluster dirty, in `live` first, and queues it. Called with a change under way;
  /// the caller holds the cluster's stripe.
  std::error_code makeDirty(std::uint64_t cluster, Cluster& state);

  /// Changes local content in place by change(). The cluster is dirty in `live` before the first
  /// byte changes: a process killed in between leaves nothing that is changed and called clean.
  /// Takes the cluster's stripe when it was clean; the caller must not hold it.
  template <class Change>
  std::error_code overwrite(std::uint64_t cluster, Cluster& state, Change change) {
    const ChangeUnderWay underWay(state, clock);
    if (!state.dirty.load()) {
      const MutexLock lock(map->stripe(cluster));
      if (const auto error = makeDirty(cluster, state)) {
        return error;
      }
    }
    return change();
  }

  /// Writes `bytes` at `within` of a cluster, where not every block touched is local yet.
  std::error_code writeNewBlocks(std::uint64_t cluster, std::uint64_t within,
                                 std::span<const std::byte> bytes);

  /// How many of `bits` lie in the part of the base that is visible.
  [[nodiscard]] std::uint64_t coveredIn(std::uint64_t cluster, const ClusterBits& bits) const;
  /// Sets coveredBlocks anew, for another validRemoteSize. Nothing may become local meanwhile.
  void countCovered();

  /// Makes `bits` the local blocks of a cluster, and makes it dirty: its entry is in `live` before
  /// the bits are published. The caller holds the cluster's stripe.
  std::error_code commitBits(std::uint64_t cluster, Cluster& state, const ClusterBits& bits);

  /// Session::fillBlocks() for a part of one cluster.
  std::error_code fillBlocks(const Piece& piece, std::span<const std::byte> content);
  /// Gives back the space of what is not local in a cluster, unless it was forgotten once more.
  std::error_code punchForgotten(std::uint64_t cluster);

  /// Session::zero() for a part of one cluster, of which the base reaches `baseEnd` blocks.
  std::error_code zero(const Piece& piece, std::uint64_t baseEnd);

  /// Session::reserve() for a part of one cluster. Adds to `added` what is not local and had no
  /// space before.
  std::error_code reserve(const Piece& piece, std::vector<Piece>& added);
  /// Adds the parts of a run of blocks, in a cluster at `place`, that have no space in `data`.
  std::error_code addWithoutSpace(const Piece& run, std::uint64_t place,
                                  std::vector<Piece>& found) const;
  /// How much of a range of the image has no space in `data`.
  std::error_code spaceMissing(std::uint64_t begin, std::uint64_t end, std::uint64_t& bytes) const;
  /// Gives back what was reserved for blocks that are not local.
  void giveBackReserved(const Piece& piece);

  /// Raises spaceEnd; call it before space is taken.
  void spaceMayReach(std::uint64_t end);
  /// A part of `data` that one cluster owns.
  struct Space {
    std::uint64_t place = 0;
    std::uint64_t length = 0;
    std::uint64_t bytes = 0;  ///< that have space on the disk
  };
  /// The next part of a cluster in [offset, end) of the image that has any space on the disk; no
  /// bytes if there is none. Moves `offset` behind it.
  std::error_code findSpace(std::uint64_t& offset, std::uint64_t end, Space& space) const;
  /// Gives back all space in [begin, end) of the image, where nothing can be read.
  std::error_code punchBetween(std::uint64_t begin, std::uint64_t end);

  /// The run of data or hole that begins at a block; at most `length`, whole blocks.
  std::error_code extentAt(std::uint64_t offset, std::uint64_t length,
                           DataFile::Extent& extent) const;
  /// The first byte of [offset, end) in a run of the wanted kind.
  std::error_code find(bool wanted, std::uint64_t offset, std::uint64_t end,
                       std::uint64_t& found) const;

  /// The cluster with a place in `data`. The caller holds the cluster's stripe.
  std::error_code allocate(std::uint64_t cluster, Cluster*& state);
};

}  // namespace netcow
