// SPDX-License-Identifier: Apache-2.0
#include "cli/base_to_compare.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "base/errors.h"
#include "source/dnbd3/dnbd3_source.h"
#include "source/dnbd3/host_list.h"
#include "source/file_source.h"
#include "source/source_url.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;

/// A read of a file on one of these may wait for a server for as long as that is away.
constexpr std::array kFarFileSystems = {
    static_cast<std::uint32_t>(NFS_SUPER_MAGIC),  static_cast<std::uint32_t>(SMB2_SUPER_MAGIC),
    static_cast<std::uint32_t>(CIFS_SUPER_MAGIC), static_cast<std::uint32_t>(FUSE_SUPER_MAGIC),
    static_cast<std::uint32_t>(CEPH_SUPER_MAGIC), static_cast<std::uint32_t>(AFS_SUPER_MAGIC),
    static_cast<std::uint32_t>(V9FS_MAGIC)};

bool isOnThisMachine(const std::string& path) {
  struct statfs about = {};
  return ::statfs(path.c_str(), &about) == 0 &&
         std::ranges::find(kFarFileSystems, static_cast<std::uint32_t>(about.f_type)) ==
             kFarFileSystems.end();
}

/// Whoever takes longer is not worth waiting for: sending takes no longer.
constexpr std::chrono::milliseconds kConnectLimit = 500ms;
constexpr std::chrono::milliseconds kReadLimit = 2s;

std::unique_ptr<Source> connectBriefly(std::vector<Host> hosts, const ImageName& image) {
  Dnbd3Options options;
  options.hosts = std::move(hosts);
  options.image = image;
  options.learnServers = false;
  options.ioTimeout = kReadLimit;
  options.timing.connectLimit = kConnectLimit;
  return connectDnbd3(options);
}

std::unique_ptr<Source> open(const std::string& source, const ImageName& image) {
  if (source.find("://") == std::string::npos) {
    return connectBriefly(parseHostList(source), image);
  }
  const SourceUrl url = parseSourceUrl(source);
  if (const auto* file = std::get_if<FileUrl>(&url)) {
    if (!isOnThisMachine(file->path)) {
      throw UserError(file->path + " may be on another machine");
    }
    return std::make_unique<FileSource>(file->path, image);
  }
  return connectBriefly({std::get<Dnbd3Url>(url).host}, image);
}

}  // namespace

std::optional<BaseBlocks::Options> baseToCompare(const Origin& origin) {
  if (origin.source.empty() || origin.revision == 0) {
    return std::nullopt;
  }
  BaseBlocks::Options base;
  base.image = {origin.imageName, origin.revision};
  base.size = origin.baseSize;
  base.isNear = origin.source.starts_with("file://");
  base.open = [source = origin.source, image = base.image] { return open(source, image); };
  return base;
}

}  // namespace netcow
