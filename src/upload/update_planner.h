// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <system_error>
#include <vector>

#include "session/session.h"
#include "upload/base_blocks.h"
#include "upload/cluster_update.h"
#include "upload/sent_clusters.h"

// Decides what of a dirty cluster has to be sent.
//
// A block is left out if the server was never sent it and it holds what the merged image shows
// there without it: the base up to validRemoteSize, zeros behind. That stays true: should
// validRemoteSize fall later, what grows again is zeroed, which makes the cluster dirty anew.
// A cluster is not sent if the body that it would make is the one the server has.
// Both are looked at after the session's snapshot, so what is written meanwhile leaves the cluster
// dirty, and is looked at again.
namespace netcow {

/// What that may cost: a base nearby (a local file) is read wherever there is a block in question.
/// Reading one over a network costs as much as sending, so of a cluster with many blocks in
/// question eight are read, 2 % of what it sends, and the rest only if one of them is as in the
/// base. Of one with few blocks all are read; once 16 clusters in a row have shown none, only each
/// eighth is looked at, so that at most an eighth of what is sent is read in vain. Writers wait for
/// none of it, but uploads under way pause meanwhile, a round trip; for a base that does not
/// answer, two seconds a minute (base_blocks.h).
///
/// Not thread-safe. `session`, `sent` and `base` must outlive it.
class UpdatePlanner {
 public:
  /// `base` may be null: then only zeros behind it are left out.
  UpdatePlanner(Session& session, SentClusters& sent, BaseBlocks* base);

  struct Plan {
    enum class Kind {
      send,        ///< `update`, which `sent` has been told of
      unchanged,   ///< the server has just that
      nothing,     ///< every block is as in the base, and the server was never sent one
      notDurable,  ///< must not be sent, see Session::Snapshot; `error` tells why
    };
    Kind kind = Kind::send;
    ClusterUpdate update;
    std::error_code error;
  };
  /// Of a cluster that is checked out.
  Plan plan(std::uint64_t cluster);

 private:
  [[nodiscard]] ClusterBits blocksToSend(std::uint64_t cluster, const ClusterBits& local);
  void leaveOutFarBlocks(std::uint64_t cluster, ClusterBits candidates, ClusterBits& bits);
  std::uint64_t leaveOut(std::uint64_t cluster, const ClusterBits& candidates, ClusterBits& bits);
  bool readVisibleBase(std::uint64_t cluster, const ClusterBits& wanted);
  [[nodiscard]] bool serverHas(const ClusterUpdate& update);

  Session& session_;
  SentClusters& sent_;
  BaseBlocks* const base_;
  std::uint64_t inVain_ = 0;        ///< clusters in a row of which nothing was as in a far base
  std::vector<std::byte> local_;    ///< blocks that are looked at
  std::vector<std::byte> visible_;  ///< the same, as they would show without being sent
};

}  // namespace netcow
