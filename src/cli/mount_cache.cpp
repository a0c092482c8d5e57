// SPDX-License-Identifier: Apache-2.0
#include "cli/mount_cache.h"

#include <filesystem>
#include <utility>
#include <variant>

#include "base/errors.h"
#include "source/host_list.h"
#include "source/source_url.h"

namespace netcow {
namespace {

/// In one form, however they were named.
std::string serversOf(const MountCommand& command) {
  std::vector<Host> hosts;
  if (command.source.empty()) {
    hosts = parseHostList(command.hosts);
  } else {
    const SourceUrl url = parseSourceUrl(command.source);
    if (std::holds_alternative<FileUrl>(url)) {
      throw UserError(
          "--cache keeps what servers send, but the base is a file of this machine; leave it out",
          ExitStatus::usage);
    }
    hosts = {std::get<Dnbd3Url>(url).host};
  }
  std::string servers;
  for (const Host& host : hosts) {
    servers += (servers.empty() ? "" : " ") + host.text();
  }
  return servers;
}

}  // namespace

std::unique_ptr<CachingSource> openCache(const MountCommand& command,
                                         std::unique_ptr<Source> source) {
  CacheOptions options;
  options.folder = command.cacheFolder;
  options.limit = command.cacheSize;
  options.servers = serversOf(command);
  options.prefetchAll = command.prefetchAll;
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
