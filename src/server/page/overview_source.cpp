// SPDX-License-Identifier: Apache-2.0
#include "server/page/overview_source.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

namespace netcow {
namespace {

// Walking a folder of many images takes long: then it is done more rarely, so that it takes at most
// this part of the time.
constexpr int kPauseForWalk = 20;

// A file that grows is no change until it is closed.
constexpr std::chrono::seconds kListAtLeastEvery{5};

using FiguresOfImages = std::map<std::pair<std::string, std::uint16_t>, BlockFigures::Image>;

FiguresOfImages byName(const std::vector<BlockFigures::Image>& images) {
  FiguresOfImages figures;
  for (const auto& image : images) {
    figures[{image.image.name, image.image.revision}] = image;
  }
  return figures;
}

/// `entries` are sorted by name and revision.
std::vector<Overview::Image> groupByName(const std::vector<ImageCatalog::Entry>& entries,
                                         const FiguresOfImages& figures) {
  std::vector<Overview::Image> images;
  for (const auto& entry : entries) {
    if (images.empty() || images.back().name != entry.image.name) {
      images.push_back({.name = entry.image.name, .revisions = {}});
    }
    Overview::Revision revision = {.revision = entry.image.revision, .size = entry.size};
    const auto known = figures.find({entry.image.name, entry.image.revision});
    if (known != figures.end()) {
      revision.clients = known->second.clients;
      revision.bytesServed = known->second.bytes;
    }
    images.back().revisions.push_back(revision);
  }
  for (auto& image : images) {
    std::ranges::reverse(image.revisions);
  }
  return images;
}

}  // namespace

OverviewSource::OverviewSource(const ImageCatalog& catalog, const FolderWatch& watch,
                               const UploadService& uploads, std::function<BlockFigures()> blocks,
                               UploadKeys& keys, const Clock& clock)
    : catalog_(catalog),
      watch_(watch),
      uploads_(uploads),
      blocks_(std::move(blocks)),
      keys_(keys),
      clock_(clock),
      startedAt_(clock.now()) {}

Overview OverviewSource::make() {
  const BlockFigures blocks = blocks_();
  const auto sinceStart = clock_.now() - startedAt_;
  Overview overview;
  overview.time = clock_.unixSeconds();
  overview.milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(sinceStart).count();
  overview.uptimeSeconds = std::chrono::duration_cast<std::chrono::seconds>(sinceStart).count();
  overview.imagesFolder = catalog_.folder().string();
  std::error_code unknown;  // then 0 is shown
  const auto space = std::filesystem::space(catalog_.folder(), unknown);
  overview.imagesFreeBytes = unknown ? 0 : space.available;
  overview.clients = blocks.clients;
  overview.bytesServed = blocks.bytes;
  overview.requests = blocks.requests;
  overview.errors = blocks.errors;
  overview.images = groupByName(images(), byName(blocks.images));
  addUploads(overview);
  return overview;
}

const std::vector<ImageCatalog::Entry>& OverviewSource::images() {
  const auto before = clock_.now();
  if (before >= listAgainAt_ && mayHaveChanged()) {
    listedChanges_ = watch_.changes();  // before the walk, which may miss what comes meanwhile
    images_ = catalog_.list();
    const auto after = clock_.now();
    listedAt_ = after;
    listAgainAt_ = after + kPauseForWalk * (after - before);
  }
  return images_;
}

bool OverviewSource::mayHaveChanged() const {
  return !watch_.seesAll() || watch_.changes() != listedChanges_ ||
         listedAt_ == Clock::Time::min() || clock_.now() >= listedAt_ + kListAtLeastEvery;
}

void OverviewSource::addUploads(Overview& overview) {
  for (UploadRecord& record : uploads_.list()) {
    auto& list = hasEnded(record.state) ? overview.history : overview.uploads;
    std::string key = keys_.keyOf(record.uuid);
    list.push_back({.key = std::move(key), .record = std::move(record)});
  }
  const auto newestFirst = [](std::int64_t UploadRecord::* time) {
    return [time](const Overview::Upload& left, const Overview::Upload& right) {
      // Those of one second stay where they are from one overview to the next.
      return left.record.*time != right.record.*time ? left.record.*time > right.record.*time
                                                     : left.record.uuid < right.record.uuid;
    };
  };
  std::ranges::sort(overview.uploads, newestFirst(&UploadRecord::createdAt));
  setQueuePositions(overview.uploads);
  std::ranges::sort(overview.history, newestFirst(&UploadRecord::changedAt));
}

}  // namespace netcow
