// SPDX-License-Identifier: Apache-2.0
#include "cli/verification_text.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/progress_meter.h"
#include "cli/output.h"
#include "format/dnbd3_messages.h"

namespace netcow {
namespace {

struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  ///< behind the last byte
};

/// Neighbouring spans as one range.
std::vector<ByteRange> rangesOf(const std::vector<std::uint64_t>& spans, std::uint64_t size) {
  std::vector<ByteRange> ranges;
  for (const std::uint64_t span : spans) {
    const ByteRange range{span * dnbd3::kCrcSpan, std::min((span + 1) * dnbd3::kCrcSpan, size)};
    if (!ranges.empty() && ranges.back().end == range.begin) {
      ranges.back().end = range.end;
    } else {
      ranges.push_back(range);
    }
  }
  return ranges;
}

std::string lines(const VerifiedImage& verified, const std::vector<std::uint64_t>& spans,
                  const std::string& what) {
  std::string text;
  for (const ByteRange& range : rangesOf(spans, verified.size)) {
    text += fmt::format("bytes {} to {}: {}\n", range.begin, range.end - 1, what);
  }
  return text;
}

std::string sumUp(const VerifiedImage& verified) {
  const VerificationReport& report = verified.report;
  const std::string image =
      fmt::format("{} revision {}", verified.image.name, verified.image.revision);
  const std::string compared =
      report.checked == report.spans
          ? fmt::format("all {} compared", counted(report.spans, "checksum"))
          : fmt::format("{} of {} compared", report.checked, counted(report.spans, "checksum"));
  std::string finding;
  if (!report.bad.empty()) {
    finding = fmt::format("bad: {} of 16 MiB differ{} from the list of {}",
                          counted(report.bad.size(), "span"), report.bad.size() == 1 ? "s" : "",
                          verified.listFrom);
  }
  if (!report.unreadable.empty()) {
    finding += fmt::format("{}{} of 16 MiB cannot be read", finding.empty() ? "not good: " : ", ",
                           counted(report.unreadable.size(), "span"));
  }
  if (finding.empty()) {
    finding = report.stopped ? "nothing bad so far" : "good";
  }
  std::string next;
  if (report.stopped) {
    next = "; stopped before the end, run it again for the rest";
  } else if (!report.allGood()) {
    next = "; bring a good copy to the server, or, if the image is the right one, a new list";
  }
  const double seconds = std::chrono::duration<double>(verified.duration).count();
  return fmt::format("{}: {}; {} in {:.1f} s{}\n", image, finding, compared, seconds, next);
}

nlohmann::ordered_json jsonOf(const std::vector<std::uint64_t>& spans, std::uint64_t size) {
  auto array = nlohmann::ordered_json::array();
  for (const ByteRange& range : rangesOf(spans, size)) {
    array.push_back({{"offset", range.begin}, {"length", range.end - range.begin}});
  }
  return array;
}

}  // namespace

std::string verificationText(const VerifiedImage& verified) {
  const VerificationReport& report = verified.report;
  return lines(verified, report.bad, "bad: not what the list says, also when read a second time") +
         lines(verified, report.unreadable, "cannot be read, tried twice") +
         lines(verified, report.onlyOnce,
               "wrong or not readable at first, right when read a second time: look after the "
               "network and the memory of client and server") +
         sumUp(verified);
}

std::string verificationJson(const VerifiedImage& verified) {
  const VerificationReport& report = verified.report;
  nlohmann::ordered_json json;
  json["image"] = verified.image.name;
  json["revision"] = verified.image.revision;
  json["size"] = verified.size;
  json["checksumsFrom"] = verified.listFrom;
  json["spanSize"] = dnbd3::kCrcSpan;
  json["spans"] = report.spans;
  json["checked"] = report.checked;
  json["good"] = report.allGood();
  json["stopped"] = report.stopped;
  json["bad"] = jsonOf(report.bad, verified.size);
  json["unreadable"] = jsonOf(report.unreadable, verified.size);
  json["wrongOnlyOnce"] = jsonOf(report.onlyOnce, verified.size);
  json["seconds"] = std::chrono::duration<double>(verified.duration).count();
  return jsonText(json);
}

}  // namespace netcow
