// SPDX-License-Identifier: Apache-2.0
#include "upload/update_planner.h"

#include <algorithm>
#include <cstring>

#include "upload/upload_body.h"

namespace netcow {
namespace {

/// So many blocks in question are all read from a far base; of more, this many first.
constexpr std::uint64_t kFewBlocks = 16;
constexpr std::uint64_t kSample = 8;
/// After so many clusters in vain only each kOneIn-th is compared with a far base.
constexpr std::uint64_t kMostInVain = 16;
constexpr std::uint64_t kOneIn = 8;

/// A body is read in pieces of this.
constexpr std::size_t kHashBuffer = std::size_t{256} * 1024;

ClusterBits operator-(ClusterBits bits, const ClusterBits& others) {
  for (std::size_t i = 0; i < bits.bytes.size(); ++i) {
    bits.bytes[i] = static_cast<std::uint8_t>(bits.bytes[i] & ~others.bytes[i]);
  }
  return bits;
}

/// Some of `bits`, spread over all of them.
ClusterBits sampleOf(const ClusterBits& bits) {
  ClusterBits sample;
  const std::uint64_t step = bits.count() / kSample;
  std::uint64_t number = 0;
  for (std::uint64_t block = bits.findNext(0, true); block < kBlocksPerCluster;
       block = bits.findNext(block + 1, true)) {
    if (number++ % step == 0) {
      sample.set(block);
    }
  }
  return sample;
}

/// Calls visit(first, end) for each run of blocks.
template <class Visit>
void forEachRun(const ClusterBits& bits, Visit visit) {
  for (std::uint64_t first = bits.findNext(0, true); first < kBlocksPerCluster;) {
    const std::uint64_t end = bits.findNext(first, false);
    visit(first, end);
    first = bits.findNext(end, true);
  }
}

}  // namespace

UpdatePlanner::UpdatePlanner(Session& session, SentClusters& sent, BaseBlocks* base)
    : session_(session), sent_(sent), base_(base) {}

UpdatePlanner::Plan UpdatePlanner::plan(std::uint64_t cluster) {
  Plan plan;
  const Session::Snapshot snapshot = session_.snapshot(cluster);
  plan.update = {cluster, snapshot.changes, snapshot.bits, 0};
  if (snapshot.notDurable) {
    plan.kind = Plan::Kind::notDurable;
    plan.error = snapshot.notDurable;
    return plan;
  }
  plan.update.bits = blocksToSend(cluster, snapshot.bits);
  plan.update.leftOut = snapshot.bits.count() - plan.update.bits.count();
  if (plan.update.bits.none()) {
    plan.kind = Plan::Kind::nothing;
  } else if (serverHas(plan.update)) {
    plan.kind = Plan::Kind::unchanged;
  } else {
    sent_.willSend(cluster, plan.update.bits);
  }
  return plan;
}

ClusterBits UpdatePlanner::blocksToSend(std::uint64_t cluster, const ClusterBits& local) {
  ClusterBits bits = local;
  ClusterBits inBase = local - sent_.mayHold(cluster);
  const std::uint64_t begin = cluster * kClusterSize;
  const std::uint64_t visible = std::max(session_.validRemoteSize(), begin) - begin;
  ClusterBits behindBase = inBase;
  for (std::uint64_t block = 0; block < kBlocksPerCluster; ++block) {
    (block * kBlockSize < visible ? behindBase : inBase).clear(block);
  }
  leaveOut(cluster, behindBase, bits);
  if (base_ != nullptr && base_->isNear()) {
    leaveOut(cluster, inBase, bits);
  } else if (base_ != nullptr && !inBase.none()) {
    leaveOutFarBlocks(cluster, inBase, bits);
  }
  return bits;
}

void UpdatePlanner::leaveOutFarBlocks(std::uint64_t cluster, ClusterBits candidates,
                                      ClusterBits& bits) {
  if (++inVain_ > kMostInVain && inVain_ % kOneIn != 0) {
    return;
  }
  std::uint64_t found = 0;
  if (candidates.count() > kFewBlocks) {
    const ClusterBits sample = sampleOf(candidates);
    found = leaveOut(cluster, sample, bits);
    candidates = found > 0 ? candidates - sample : ClusterBits{};
  }
  found += leaveOut(cluster, candidates, bits);
  if (found > 0) {
    inVain_ = 0;
  }
}

/// Takes those of the candidates out of `bits` that show the same without being sent. How many?
std::uint64_t UpdatePlanner::leaveOut(std::uint64_t cluster, const ClusterBits& candidates,
                                      ClusterBits& bits) {
  if (candidates.none() || !readVisibleBase(cluster, candidates)) {
    return 0;
  }
  std::uint64_t count = 0;
  std::size_t at = 0;
  local_.resize(visible_.size());
  forEachRun(candidates, [&](std::uint64_t first, std::uint64_t end) {
    const auto local = std::span(local_).subspan(at, (end - first) * kBlockSize);
    const bool known = !session_.readBlocks(cluster, first, local);
    for (std::uint64_t block = first; block < end; ++block, at += kBlockSize) {
      if (known && std::memcmp(&local_[at], &visible_[at], kBlockSize) == 0) {
        bits.clear(block);
        ++count;
      }
    }
  });
  return count;
}

/// What the merged image shows where nothing was sent. False if not all of it could be read.
bool UpdatePlanner::readVisibleBase(std::uint64_t cluster, const ClusterBits& wanted) {
  const std::uint64_t begin = cluster * kClusterSize;
  const std::uint64_t visible = std::max(session_.validRemoteSize(), begin) - begin;
  std::vector<BaseBlocks::Part> parts;
  std::size_t at = 0;
  visible_.assign(wanted.count() * kBlockSize, std::byte{0});
  forEachRun(wanted, [&](std::uint64_t first, std::uint64_t end) {
    const std::uint64_t from = first * kBlockSize;
    const std::uint64_t ofBase = std::clamp(visible, from, end * kBlockSize) - from;
    if (ofBase > 0) {
      parts.push_back({std::span(visible_).subspan(at, ofBase), begin + from, false});
    }
    at += (end - first) * kBlockSize;
  });
  if (!parts.empty() && base_ != nullptr) {
    base_->read(parts);
  }
  return std::ranges::all_of(parts, &BaseBlocks::Part::read);
}

bool UpdatePlanner::serverHas(const ClusterUpdate& update) {
  const auto has = sent_.body(update.cluster);
  if (!has) {
    return false;
  }
  UploadBody body(session_, update, &sent_.hashKey());
  std::size_t used = 0;
  local_.resize(kHashBuffer);
  do {
    if (body.read(local_, used)) {
      return false;
    }
  } while (used > 0);
  return body.takeDigest() == has;
}

}  // namespace netcow
