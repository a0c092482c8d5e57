// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace netcow {

/// A file of the source tree that is part of the program.
struct EmbeddedFile {
  std::string_view name;  ///< without a folder
  std::string_view content;
};

/// The files in assets/, embedded by cmake/embed_files.cmake.
std::span<const EmbeddedFile> embeddedPageFiles();

}  // namespace netcow
