// SPDX-License-Identifier: Apache-2.0
#include "cli/info.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstdint>
#include <ctime>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/errors.h"
#include "cli/output.h"
#include "cli/run_command.h"
#include "cli/shown_prefix.h"
#include "format/geometry.h"
#include "session/origin.h"
#include "session/session.h"

namespace netcow {
namespace {

/// "1.5 GiB (1610612736 bytes)"; small sizes only the exact way.
std::string sizeText(std::uint64_t bytes) {
  constexpr std::array kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  const std::string exact = fmt::format("{} bytes", bytes);
  return unit == 0 ? exact : fmt::format("{:.1f} {} ({})", value, kUnits.at(unit), exact);
}

std::string timeText(std::int64_t unixSeconds) {
  const std::time_t seconds = unixSeconds;
  std::tm local = {};
  if (::localtime_r(&seconds, &local) == nullptr) {
    return fmt::format("{} s since 1970", unixSeconds);
  }
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", local);
}

const char* mergeText(MergeState state) {
  switch (state) {
    case MergeState::asked:
      return "asked for, no answer known yet";
    case MergeState::done:
      return "accepted by the server";
    case MergeState::refused:
      return "refused by the server";
    case MergeState::none:
      break;
  }
  return "not asked for";
}

/// Collects lines of a title and a value.
class Lines {
 public:
  void add(std::string_view title, std::string_view value) {
    text_ += fmt::format("{:<13} {}\n", title, value);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void addOrigin(Lines& lines, const Origin& origin) {
  lines.add("Base", fmt::format("{} revision {}, {}", origin.imageName, origin.revision,
                                sizeText(origin.baseSize)));
  lines.add("Read from", origin.source);
  if (origin.uploadPrefix.empty()) {
    lines.add("Uploads to", "nowhere: the session stays local");
    return;
  }
  lines.add("Uploads to", shownPrefix(origin.uploadPrefix));
  lines.add("Merge", mergeText(origin.merge));
}

void addUpload(Lines& lines, const SessionReport& report) {
  if (report.uploadUuid.empty()) {
    lines.add("Upload", "none");
    return;
  }
  lines.add("Upload", report.uploadUuid);
  std::string waiting = counted(report.dirtyClusters, "cluster");
  if (report.failedClusters > 0) {
    waiting += fmt::format(", {} failed at the last attempt", report.failedClusters);
  }
  lines.add("Not uploaded", waiting);
  lines.add("Uploaded", counted(report.uploads, "cluster") + " so far, repetitions included");
}

/// For people: lines of a title, blanks, a value.
std::string infoText(const std::string& directory, const SessionReport& report,
                     const std::optional<Origin>& origin) {
  Lines lines;
  lines.add("Session", directory);
  lines.add("State", report.open ? "mounted, or its process ended without closing it" : "closed");
  lines.add("Created", timeText(report.creationTime));
  lines.add("Image", report.imageName);
  lines.add("Image size", sizeText(report.imageSize));
  lines.add("Of the base", sizeText(report.validRemoteSize) + " still visible");
  lines.add("May grow to", sizeText(report.maxImageSize));
  if (origin) {
    addOrigin(lines, *origin);
  }
  lines.add("Changed", fmt::format("{} in {}, {}", counted(report.localBlocks, "block"),
                                   counted(report.clusters, "cluster"),
                                   sizeText(report.localBlocks * kBlockSize)));
  addUpload(lines, report);
  lines.add("Data file", sizeText(report.dataFileBytes));
  return lines.text();
}

/// For programs. The keys are part of the interface: docs/formats/session.md.
std::string infoJson(const std::string& directory, const SessionReport& report,
                     const std::optional<Origin>& origin) {
  nlohmann::ordered_json json = {
      {"session", directory},
      {"open", report.open},
      {"creationTime", report.creationTime},
      {"imageName", report.imageName},
      {"imageSize", report.imageSize},
      {"validRemoteSize", report.validRemoteSize},
      {"maxImageSize", report.maxImageSize},
      {"uploadUuid", report.uploadUuid},
      {"clusters", report.clusters},
      {"dirtyClusters", report.dirtyClusters},
      {"failedClusters", report.failedClusters},
      {"localBlocks", report.localBlocks},
      {"localBytes", report.localBlocks * kBlockSize},
      {"uploads", report.uploads},
      {"dataFileBytes", report.dataFileBytes},
      {"origin", nullptr},
  };
  if (origin) {
    json["origin"] = {
        {"imageName", origin->imageName},
        {"revision", origin->revision},
        {"baseSize", origin->baseSize},
        {"source", origin->source},
        {"uploadPrefix", shownPrefix(origin->uploadPrefix)},
        {"merge", toText(origin->merge)},
    };
  }
  return jsonText(json);
}

void printInfo(const std::string& directory, bool json) {
  const SessionReport report = inspectSession(directory);
  auto origin = Origin::load(directory);
  if (origin) {
    origin->merge = origin->mergeOf(report.uploadUuid);
  }
  printAll(json ? infoJson(directory, report, origin) : infoText(directory, report, origin));
}

}  // namespace

int infoCommand(int argc, char** argv) {
  CLI::App app("Tell what a session holds, without changing it.", argv[0]);
  std::string directory;
  bool json = false;
  app.add_option("SESSION", directory, "the session's folder")->required();
  app.add_flag("--json", json, "for programs");
  return runCommand(app, argc, argv, [&] {
    printInfo(directory, json);
    return ExitStatus::done;
  });
}

}  // namespace netcow
