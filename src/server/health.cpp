// SPDX-License-Identifier: Apache-2.0
#include "server/health.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <system_error>

#include "base/unique_fd.h"
#include "base/whole_io.h"

namespace netcow {
namespace {

/// Why a file cannot be written in a folder. The file has no name, so nothing is left behind.
std::error_code tryToWrite(const std::string& folder) {
  const UniqueFd file(::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (!file) {
    return {errno, std::generic_category()};
  }
  const std::byte content[4096] = {};
  return pwriteAll(file.get(), content, 0);
}

std::string checkRegistry(const std::function<void()>& ask) {
  try {
    ask();
    return {};
  } catch (const std::exception& error) {
    return std::string("the registry of uploads does not answer: ") + error.what() + "\n";
  }
}

}  // namespace

HttpResponse checkHealth(const HealthChecks& checks) {
  std::string problems;
  std::error_code error;
  std::filesystem::directory_iterator(checks.imagesFolder, error);
  if (error) {
    problems += "the folder of images cannot be read: " + error.message() + "\n";
  }
  error = tryToWrite(checks.stateFolder);
  if (error) {
    problems += "the folder for uploads cannot be written: " + error.message() + "\n";
  }
  problems += checkRegistry(checks.askRegistry);
  if (problems.empty()) {
    return {.body = "ok\n"};
  }
  return {.status = 503, .body = problems, .retryAfterSeconds = 10};
}

}  // namespace netcow
