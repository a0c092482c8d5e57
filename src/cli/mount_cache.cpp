// SPDX-License-Identifier: Apache-2.0
#include "cli/mount_cache.h"

#include <chrono>
#include <filesystem>
#include <utility>
#include <variant>
#include <vector>

#include "base/errors.h"
#include "base/logging.h"
#include "source/dnbd3/checksum_download.h"
#include "source/dnbd3/dnbd3_source.h"
#include "source/dnbd3/host_list.h"
#include "source/source_url.h"

namespace netcow {
namespace {

std::vector<Host> hostsOf(const MountCommand& command) {
  if (command.source.empty()) {
    return parseHostList(command.hosts);
  }
  const SourceUrl url = parseSourceUrl(command.source);
  if (std::holds_alternative<FileUrl>(url)) {
    throw UserError(
        "--cache keeps what servers send, but the base is a file of this machine; leave it out",
        ExitStatus::usage);
  }
  return {std::get<Dnbd3Url>(url).host};
}

/// In one form, however they were named.
std::string textOf(const std::vector<Host>& hosts) {
  std::string text;
  for (const Host& host : hosts) {
    text += (text.empty() ? "" : " ") + host.text();
  }
  return text;
}

std::optional<ChecksumList> fetchChecksums(const std::vector<Host>& hosts, const ImageName& image,
                                           std::uint64_t size) {
  Dnbd3Options options;
  options.hosts = hosts;
  options.image = image;
  // An unmount may have to wait for the end of this.
  options.timing.connectLimit = std::chrono::seconds(2);
  try {
    return downloadChecksums(options, image, size).list;
  } catch (const UserError& error) {
    spdlog::debug("the cache is not compared with checksums: {}", error.what());
    return std::nullopt;
  }
}

}  // namespace

std::unique_ptr<CachingSource> openCache(const MountCommand& command,
                                         std::unique_ptr<Source> source) {
  CacheOptions options;
  options.folder = command.cacheFolder;
  options.limit = command.cacheSize;
  options.servers = textOf(hostsOf(command));
  options.prefetchAll = command.prefetchAll;
  options.checksums = [hosts = hostsOf(command), image = source->image(), size = source->size()] {
    return fetchChecksums(hosts, image, size);
  };
  return std::make_unique<CachingSource>(std::move(source), options);
}

void refuseCacheAsSession(const std::string& folder) {
  std::error_code error;
  if (!folder.empty() && std::filesystem::exists(folder + "/cache.json", error)) {
    throw UserError(folder +
                    " is a part of a cache, which must not be changed; name another "
                    "folder for the session");
  }
}

}  // namespace netcow
