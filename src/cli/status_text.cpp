// SPDX-License-Identifier: Apache-2.0
#include "cli/status_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "base/progress_meter.h"
#include "cli/output.h"

namespace netcow {
namespace {

using State = StatusReport::State;
using Merge = UploadStatus::Merge;

template <class Number>
Number numberOf(std::string_view text) {
  Number number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string_view withoutBlanksInFront(std::string_view text) {
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}

void takeLine(StatusReport& report, std::string_view title, const std::string& value) {
  if (title == "Image") {
    report.image = value;
  } else if (title == "Revision") {
    report.revision = numberOf<std::uint32_t>(value);
  } else if (title == "Process") {
    report.process = numberOf<std::int64_t>(value);
  } else if (title == "Session") {
    report.session = value;
  } else if (title == "Uploads to") {
    report.uploadServer = value;
  } else {
    report.connection.emplace_back(title, value);
  }
}

std::string_view stateName(State state) {
  switch (state) {
    case State::mounted:
      return "mounted";
    case State::uploading:
      return "uploading";
    case State::inUse:
      return "in-use";
    case State::killed:
      return "killed";
    case State::closed:
      break;
  }
  return "closed";
}

std::string stateText(const StatusReport& report) {
  const std::string process =
      report.process == 0 ? "" : fmt::format(" by process {}", report.process);
  switch (report.state) {
    case State::mounted:
      return "mounted" + process;
    case State::uploading:
      return "not mounted any more; being uploaded" + process;
    case State::inUse:
      return "in use" + process;
    case State::killed:
      return "its process ended without closing it; nothing is lost";
    case State::closed:
      break;
  }
  return "closed";
}

std::string mergeText(const UploadStatus& upload) {
  switch (upload.merge) {
    case Merge::none:
      return "not asked for";
    case Merge::wanted:
      return "asked for when everything is uploaded";
    case Merge::asked:
      return "asked for, no answer known yet";
    case Merge::merging:
      return upload.clustersToMerge == 0
                 ? "the server is at it"
                 : fmt::format("the server has merged {} of {}", upload.mergedClusters,
                               counted(upload.clustersToMerge, "cluster"));
    case Merge::refused:
      return "refused by the server";
    case Merge::done:
      break;
  }
  return "done";
}

std::string timeText(std::int64_t unixSeconds) {
  const std::time_t seconds = unixSeconds;
  std::tm local = {};
  return ::localtime_r(&seconds, &local) == nullptr ? std::to_string(unixSeconds)
                                                    : fmt::format("{:%Y-%m-%d %H:%M:%S}", local);
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

void addUpload(Lines& lines, const StatusReport& report, const UploadStatus& upload) {
  lines.add("Uploads to", report.uploadServer);
  std::string pending = counted(report.dirtyClusters, "cluster");
  if (report.dirtyClusters > 0) {
    pending += ", " + sizeText(static_cast<double>(upload.bytesPending));
  }
  if (upload.modifiedClusters > 0) {
    pending += fmt::format("; {} changed too lately to be sent", upload.modifiedClusters);
  }
  if (upload.clustersFailed > 0) {
    pending += fmt::format("; {} failed at the last attempt", upload.clustersFailed);
  }
  lines.add("Not uploaded", pending);
  if (report.state == State::mounted || report.state == State::uploading) {
    lines.add("Uploaded", fmt::format("{}, {} since the start",
                                      counted(upload.totalClustersUploaded, "cluster"),
                                      sizeText(static_cast<double>(upload.bytesUploaded))));
    if (upload.activeUploads > 0 && upload.eta) {
      lines.add("Time left", durationText(*upload.eta));
    }
  }
  lines.add("Merge", mergeText(upload));
  if (!upload.lastError.empty()) {
    lines.add("Last error", timeText(upload.lastErrorTime) + " " + upload.lastError);
  }
}

/// What is to be done with a session that nobody has open.
std::string nextForClosed(const StatusReport& report) {
  if (!report.upload) {
    return "`netcow mount -L " + report.session +
           " MOUNTPOINT` goes on with it, `netcow merge` makes a new image of it here";
  }
  const bool merged = report.upload->merge == Merge::done;
  if (report.dirtyClusters > 0) {
    return "`netcow upload " + std::string(merged ? "" : "-m ") + report.session +
           "` sends the rest" + (merged ? "" : " and asks for the new revision");
  }
  if (merged) {
    return "nothing: all is uploaded and merged, and the folder can be removed";
  }
  if (report.upload->merge == Merge::refused) {
    return "all is uploaded, but the server refused the merge; its log tells why";
  }
  return "all is uploaded; `netcow upload -m " + report.session + "` makes it a new revision";
}

std::string nextForMounted(const StatusReport& report) {
  if (report.session.empty()) {
    return "nothing: the mount is read-only";
  }
  const std::string unmount =
      "unmount it" + (report.mountpoint.empty() ? "" : " (umount " + report.mountpoint + ")");
  if (!report.upload) {
    return unmount + " when all is changed; changes stay in " + report.session;
  }
  return unmount + " when all is changed: the rest is uploaded then" +
         (report.upload->merge == Merge::wanted ? ", and the server makes a new revision" : "");
}

nlohmann::ordered_json uploadJson(const StatusReport& report, const UploadStatus& upload) {
  nlohmann::ordered_json json = {
      {"server", report.uploadServer},
      {"uuid", upload.uuid},
      {"state", toText(upload.state)},
      {"dirtyClusters", report.dirtyClusters},
      {"inQueue", upload.inQueue},
      {"modifiedClusters", upload.modifiedClusters},
      {"idleClusters", upload.idleClusters},
      {"totalClustersUploaded", upload.totalClustersUploaded},
      {"activeUploads", upload.activeUploads},
      {"avgSpeedKb", upload.avgSpeedKb},
      {"bytesPending", upload.bytesPending},
      {"bytesUploaded", upload.bytesUploaded},
      {"clustersFailed", upload.clustersFailed},
      {"lastError", nullptr},
      {"lastErrorTime", nullptr},
      {"mergeState", toText(upload.merge)},
      {"mergedClusters", upload.mergedClusters},
      {"clustersToMerge", upload.clustersToMerge},
      {"etaSeconds", nullptr},
  };
  if (!upload.lastError.empty()) {
    json["lastError"] = upload.lastError;
    json["lastErrorTime"] = upload.lastErrorTime;
  }
  if (upload.eta) {
    json["etaSeconds"] = upload.eta->count();
  }
  return json;
}

template <class Value>
nlohmann::ordered_json orNull(const Value& value) {
  return value == Value{} ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(value);
}

}  // namespace

std::optional<StatusReport> parseMountStatus(const std::string& mountpoint,
                                             const std::string& text) {
  StatusReport report;
  report.state = State::mounted;
  report.mountpoint = mountpoint;
  std::istringstream lines(text.substr(0, text.find("[General]")));
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(": ");
    if (colon != std::string::npos) {
      takeLine(report, std::string_view(line).substr(0, colon),
               std::string(withoutBlanksInFront(std::string_view(line).substr(colon + 1))));
    }
  }
  if (!text.starts_with("Image:") || report.revision == 0) {
    return std::nullopt;
  }
  report.upload = parseStatusText(text);
  if (report.upload) {
    report.dirtyClusters = report.upload->inQueue + report.upload->modifiedClusters;
  }
  return report;
}

std::string nextStep(const StatusReport& report) {
  switch (report.state) {
    case State::mounted:
      return nextForMounted(report);
    case State::uploading:
      return "wait: the session is closed when everything is uploaded" +
             std::string(report.upload && report.upload->merge != Merge::none ? " and merged" : "");
    case State::inUse:
      return "wait until it is closed";
    case State::closed:
    case State::killed:
      break;
  }
  return nextForClosed(report);
}

std::string statusReportText(const StatusReport& report) {
  Lines lines;
  if (!report.mountpoint.empty()) {
    lines.add("Mountpoint", report.mountpoint);
  }
  lines.add("State", stateText(report));
  lines.add(
      "Image",
      report.image + (report.revision == 0 ? "" : fmt::format(" revision {}", report.revision)));
  for (const auto& [title, value] : report.connection) {
    if (title == "Server" || title == "State" || title == "Round trip" || title == "Cache") {
      lines.add(title == "State" ? "Connection" : title, value);
    }
  }
  if (report.session.empty()) {
    lines.add("Session", "none: read-only");
  } else {
    lines.add("Session", report.session);
    if (report.upload) {
      addUpload(lines, report, *report.upload);
    } else {
      lines.add("Uploads to", "nowhere: the session stays local");
    }
  }
  lines.add("Next", nextStep(report));
  return lines.text();
}

std::string statusReportJson(const StatusReport& report, bool oneLine) {
  nlohmann::ordered_json json = {
      {"mountpoint", orNull(report.mountpoint)},
      {"session", orNull(report.session)},
      {"state", stateName(report.state)},
      {"process", orNull(report.process)},
      {"image", report.image},
      {"revision", orNull(report.revision)},
      {"connection", nullptr},
      {"upload", nullptr},
      {"next", nextStep(report)},
  };
  for (const auto& [title, value] : report.connection) {
    auto& values = json["connection"];
    if (title == "Known server") {
      values[title].push_back(value);
    } else {
      values[title] = value;
    }
  }
  if (report.upload) {
    json["upload"] = uploadJson(report, *report.upload);
  }
  if (!oneLine) {
    return jsonText(json);
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace netcow
