// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "format/image_name.h"
#include "source/dnbd3/host_list.h"

namespace netcow {

/// dnbd3://host[:port]/name[?revision=N]: an image on a dnbd3 server.
struct Dnbd3Url {
  Host host;
  ImageName image;  ///< revision 0 (none given) = the latest
  bool operator==(const Dnbd3Url&) const = default;
};

/// file:///path: a file of this machine.
struct FileUrl {
  std::string path;  ///< absolute
  bool operator==(const FileUrl&) const = default;
};

using SourceUrl = std::variant<Dnbd3Url, FileUrl>;

/// Reads what --source takes. Name and path may hold %XX. Throws UserError (wrong usage).
SourceUrl parseSourceUrl(std::string_view url);

}  // namespace netcow
