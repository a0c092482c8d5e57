// SPDX-License-Identifier: Apache-2.0
#include "cli/check.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <string>

#include "cli/output.h"
#include "cli/run_command.h"
#include "session/check.h"
#include "session/repair.h"

namespace netcow {
namespace {

std::string findingLines(const std::string& directory, const CheckReport& report) {
  std::string text;
  for (const Finding& finding : report.findings) {
    text += fmt::format("{}/{} {}. {}\n", directory, finding.file, finding.what,
                        finding.kindClass().meaning);
  }
  const std::uint64_t all = report.unsound + report.notes;
  if (all > report.findings.size()) {
    text += fmt::format("{}: {} more\n", directory, all - report.findings.size());
  }
  return text;
}

std::string advice(const std::string& directory, const CheckReport& report) {
  const std::uint64_t hopeless = report.hopeless();
  if (report.inUse && !report.sound()) {
    return "; it is changing meanwhile: unmount it and check again";
  }
  if (hopeless > 0) {
    return fmt::format("; {} only by hand: nothing is repaired beside that",
                       counted(hopeless, "finding") + " can be mended");
  }
  if (report.repairable > 0) {
    return "; `netcow check --repair " + directory + "` mends what was found";
  }
  return "";
}

/// The last line: the verdict and what was looked at.
std::string summary(const std::string& directory, const CheckReport& report) {
  const std::string verdict =
      report.sound() ? "sound" : "not sound: " + counted(report.unsound, "problem");
  return fmt::format("{}: {}{}; {}; {}, {}, {}{}\n", directory, verdict,
                     report.notes > 0 ? ", " + counted(report.notes, "note") : "", report.state(),
                     counted(report.tables, "table"), counted(report.clusters, "cluster"),
                     counted(report.localBlocks, "local block"), advice(directory, report));
}

nlohmann::ordered_json findingsJson(const CheckReport& report) {
  auto findings = nlohmann::ordered_json::array();
  for (const Finding& finding : report.findings) {
    const FindingClass& kind = finding.kindClass();
    findings.push_back({{"kind", kind.name},
                        {"file", finding.file},
                        {"what", finding.what},
                        {"meaning", kind.meaning},
                        {"unsound", kind.unsound},
                        {"repairable", kind.repairable}});
  }
  return findings;
}

/// The keys are part of the interface: docs/formats/session.md.
nlohmann::ordered_json reportJson(const std::string& directory, const CheckReport& report) {
  return {{"session", directory},
          {"sound", report.sound()},
          {"state", report.stateName()},
          {"problems", report.unsound},
          {"notes", report.notes},
          {"repairable", report.repairable},
          {"tables", report.tables},
          {"clusters", report.clusters},
          {"localBlocks", report.localBlocks},
          {"leakedBytes", report.leakedBytes},
          {"findings", findingsJson(report)}};
}

void show(const std::string& directory, const CheckReport& report, bool json) {
  printAll(json ? jsonText(reportJson(directory, report))
                : findingLines(directory, report) + summary(directory, report));
}

void showRepair(const std::string& directory, const RepairReport& report, bool json) {
  if (json) {
    auto object = reportJson(directory, report.after);
    object["done"] = report.done;
    object["before"] = reportJson(directory, report.before);
    printAll(jsonText(object));
    return;
  }
  std::string text = report.done.empty() ? "" : findingLines(directory, report.before);
  for (const std::string& line : report.done) {
    text += directory + ": " + line + "\n";
  }
  printAll(text);
  show(directory, report.after, false);
}

}  // namespace

int checkCommand(int argc, char** argv) {
  CLI::App app(
      "Tell whether a session is sound. Without --repair nothing is changed. Exit status 0: sound; "
      "1: not, or it could not be checked.",
      argv[0]);
  std::string directory;
  bool repair = false;
  bool json = false;
  app.add_option("SESSION", directory, "the session's folder")->required();
  app.add_flag("--repair", repair, "mend what can be without losing anything");
  app.add_flag("--json", json, "for programs");
  return runCommand(app, argc, argv, [&] {
    const auto folder = openSessionFolder(directory);
    CheckReport report;
    if (repair) {
      const RepairReport repaired = repairSession(*folder);
      showRepair(directory, repaired, json);
      report = repaired.after;
    } else {
      report = checkSession(*folder);
      show(directory, report, json);
    }
    return report.sound() ? ExitStatus::done : ExitStatus::failed;
  });
}

}  // namespace netcow
