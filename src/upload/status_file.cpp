// SPDX-License-Identifier: Apache-2.0
#include "upload/status_file.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/logging.h"
#include "base/whole_io.h"

namespace netcow {
namespace {

void makeOldLink(const std::string& directory) {
  const std::filesystem::path link = directory + "/status.txt";
  std::error_code error;
  if (std::filesystem::read_symlink(link, error) == "status") {
    return;
  }
  std::filesystem::remove(link, error);
  std::filesystem::create_symlink("status", link, error);
  if (error) {
    spdlog::warn("cannot make the link {}: {}", link.string(), error.message());
  }
}

}  // namespace

StatusFile StatusFile::status(const std::string& directory) {
  makeOldLink(directory);
  return StatusFile(directory + "/status");
}

StatusFile StatusFile::progress(const std::string& directory) {
  return StatusFile(directory + "/progress");
}

void StatusFile::write(std::string_view text, bool durable) {
  try {
    replaceTextFile(path_, text, durable);
    complained_ = false;
  } catch (const std::exception& error) {
    if (!std::exchange(complained_, true)) {
      spdlog::warn("{}; uploads go on without it", error.what());
    }
  }
}

}  // namespace netcow
