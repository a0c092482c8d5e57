// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/uploads/upload_record.h"

namespace netcow {

/// What the page shows: the whole server at one moment. Never changed once it was made.
struct Overview {
  struct Revision {
    std::uint16_t revision = 0;
    std::uint64_t size = 0;         ///< bytes of the file
    std::uint64_t clients = 0;      ///< connected now
    std::uint64_t bytesServed = 0;  ///< since the server started
  };
  struct Image {
    std::string name;
    std::vector<Revision> revisions;  ///< the newest first; at least one
  };
  struct Upload {
    std::string key;  ///< UploadKeys
    UploadRecord record;
    std::uint64_t queuePosition = 0;  ///< of a merge that waits, from 1; 0 = it does not wait
  };

  std::int64_t time = 0;           ///< unix seconds
  std::int64_t milliseconds = 0;   ///< of a clock that never goes back, for rates
  std::int64_t uptimeSeconds = 0;  ///< of the server
  std::string imagesFolder;
  std::uint64_t imagesFreeBytes = 0;  ///< of the disk with the folder
  std::uint64_t clients = 0;          ///< of all images
  std::uint64_t bytesServed = 0;      ///< of all images, since the server started
  std::uint64_t requests = 0;         ///< of dnbd3 clients
  std::uint64_t errors = 0;           ///< of these, what was answered with an error
  std::vector<Image> images;          ///< by name
  std::vector<Upload> uploads;        ///< that go on, the newest first
  std::vector<Upload> history;        ///< that ended, the last first
};

/// Sets the queuePosition of every upload whose merge waits, in the order in which merges were
/// asked for. One that has taken time does not wait.
void setQueuePositions(std::vector<Overview::Upload>& uploads);

/// Which part of an overview somebody wants.
struct OverviewQuery {
  std::string filter;  ///< only images whose name holds this, in any case
  std::size_t imageLimit = 100;
};

constexpr std::size_t kMostImagesInOverview = 2'000;
/// Revisions of all images together; beyond it only the newest one of each name is listed.
constexpr std::size_t kMostRevisionsInOverview = 5'000;
constexpr std::size_t kMostUploadsInOverview = 200;
constexpr std::size_t kMostHistoryInOverview = 100;

/// The overview as JSON, as docs/formats/server-json.md describes it. Bytes that are not UTF-8 are
/// replaced. Its length is bounded by the limits above.
std::string overviewJson(const Overview& overview, const OverviewQuery& query);

}  // namespace netcow
