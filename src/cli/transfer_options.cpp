// SPDX-License-Identifier: Apache-2.0
#include "cli/transfer_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string_view>

#include "base/errors.h"
#include "base/logging.h"

namespace netcow {
namespace {

constexpr std::size_t kMostParallel = 64;

[[noreturn]] void refuse(const std::string& line) {
  throw UserError(line, ExitStatus::usage);
}

/// Bytes a second: a number with K, M, G or T behind it, each 1024 of the one before.
std::uint64_t parseRate(const std::string& text) {
  std::uint64_t rate = 0;
  try {
    std::string bytes = text;
    rate = CLI::AsSizeValue(false)(bytes).empty() ? std::stoull(bytes) : 0;
  } catch (const std::exception&) {
    rate = 0;
  }
  if (text.starts_with('-') || rate < kLeastBytesPerSecond) {
    refuse("--upload-limit " + text +
           " is no rate; give bytes a second, at least 4K, with K, M or G behind the number (each "
           "1024 of the one before)");
  }
  return rate;
}

std::string absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace

void TransferOptions::addTo(CLI::App& app, const std::string& group) {
  app.add_option("--upload-uuid", uploadUuid, "Use this upload of the server")
      ->type_name("UUID")
      ->group(group);
  app.add_flag("--new-upload", newUpload,
               "Begin another upload on the server, and send everything: for one that expired")
      ->group(group);
  app.add_option("--upload-parallel", parallel,
                 "Upload so many clusters at a time [2 while mounted, then 10]")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, kMostParallel).description(""))
      ->group(group);
  app.add_option("--upload-limit", rate_,
                 "Send at most so many bytes a second, with K, M or G [no limit]")
      ->type_name("RATE")
      ->group(group);
  app.add_option("--upload-timeout", timeoutSeconds_,
                 "Give up when the end takes longer; changes stay in the session [never]")
      ->type_name("SECONDS")
      ->group(group);
  addAccessTo(app, group);
}

void TransferOptions::addAccessTo(CLI::App& app, const std::string& group) {
  app.add_option("--token-file", tokenFile,
                 "Send the token in FILE with each request to the upload server")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--ca-file", caFile,
                 "Trust the certificates in FILE (PEM), not the system's, for https")
      ->type_name("FILE")
      ->group(group);
}

void TransferOptions::parse() {
  constexpr double kMostSeconds = 1e9;
  if (newUpload && !uploadUuid.empty()) {
    refuse("--new-upload begins an upload and --upload-uuid names one; leave out one of them");
  }
  if (!uploadUuid.empty()) {
    checkUploadUuid(uploadUuid);
  }
  if (!rate_.empty()) {
    bytesPerSecond = parseRate(rate_);
  }
  if (!(timeoutSeconds_ >= 0 && timeoutSeconds_ <= kMostSeconds)) {
    refuse("--upload-timeout must be from 0 to 1000000000 seconds; 0 waits until it is done");
  }
  if (timeoutSeconds_ > 0) {
    timeout =
        std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(timeoutSeconds_ * 1000)));
  }
  tokenFile = absolute(tokenFile);
  caFile = absolute(caFile);
}

bool TransferOptions::any() const {
  return !uploadUuid.empty() || newUpload || parallel || bytesPerSecond || timeout ||
         !tokenFile.empty() || !caFile.empty();
}

UploadAccess TransferOptions::access() const {
  return {tokenFile, caFile};
}

void TransferOptions::applyTo(UploadRules& rules) const {
  rules.parallelMounted = parallel.value_or(rules.parallelMounted);
  rules.parallelFinal = parallel.value_or(rules.parallelFinal);
  rules.bytesPerSecond = bytesPerSecond;
  rules.finalTimeout = timeout;
}

void warnOfPlainToken(const TransferOptions& options, const UploadPrefix& prefix) {
  constexpr std::string_view kHarmless[] = {"https://", "http://127.", "http://localhost",
                                            "http://[::1]"};
  const bool harmless =
      std::any_of(std::begin(kHarmless), std::end(kHarmless),
                  [&prefix](std::string_view begin) { return prefix.shown().starts_with(begin); });
  if (!options.tokenFile.empty() && !harmless) {
    spdlog::warn("the token goes to {} unencrypted, for everybody on the way to read; use https",
                 prefix.shown());
  }
}

}  // namespace netcow
