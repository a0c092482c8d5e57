// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "session/checkpoint.h"
#include "session/dirty_clusters.h"
#include "session/loader.h"
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

  /// A cluster's content changed: counts it, and queues the cluster if it was clean. Takes the
  /// cluster's stripe when it was; the caller must not hold it.
  std::error_code touch(std::uint64_t cluster, Cluster& state);

  /// Changes local content in place by change(). The cluster is dirty in `live` before the first
  /// byte changes, and counted, so that no upload begun before can call it clean meanwhile: a
  /// process killed in between leaves nothing that is changed and called clean.
  template <class Change>
  std::error_code overwrite(std::uint64_t cluster, Cluster& state, Change change) {
    if (const auto error = touch(cluster, state)) {
      return error;
    }
    const std::error_code error = change();
    // Also after an error: some of it may have been written.
    const std::error_code touchError = touch(cluster, state);
    return error ? error : touchError;
  }

  /// As touch(), for a change of bits too: the entry is in `live` before the bits are published.
  /// The caller holds the cluster's stripe.
  std::error_code commitBits(std::uint64_t cluster, Cluster& state, const ClusterBits& bits);

  /// The cluster with space in `data`. The caller holds the cluster's stripe.
  std::error_code allocate(std::uint64_t cluster, Cluster*& state);

 private:
  void countChange(Cluster& state) const;
};

}  // namespace netcow
