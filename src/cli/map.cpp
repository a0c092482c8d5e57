// SPDX-License-Identifier: Apache-2.0
#include "cli/map.h"

#include <spdlog/fmt/fmt.h>

#include <string>
#include <string_view>

#include "cli/output.h"
#include "cli/run_command.h"
#include "session/session_map.h"

namespace netcow {
namespace {

std::string_view nameOf(RangeKind kind) {
  switch (kind) {
    case RangeKind::local:
      return "local";
    case RangeKind::zero:
      return "zero";
    case RangeKind::base:
      break;
  }
  return "base";
}

/// Prints in parts: an image may have millions of ranges.
class MapPrinter {
 public:
  explicit MapPrinter(bool json) : json_(json) {
    text_ = json_ ? "[" : fmt::format("{:>16} {:>16}  {}\n", "offset", "length", "kind");
  }

  void range(const ImageRange& range) {
    if (json_) {
      text_ += fmt::format(R"({}{{"offset": {}, "length": {}, "kind": "{}"}})", separator_,
                           range.offset, range.length, nameOf(range.kind));
      separator_ = ",\n ";
    } else {
      text_ += fmt::format("{:>16} {:>16}  {}\n", range.offset, range.length, nameOf(range.kind));
    }
    if (text_.size() > (1U << 16U)) {
      flush();
    }
  }

  void finish() {
    text_ += json_ ? "]\n" : "";
    flush();
  }

 private:
  void flush() {
    printAll(text_);
    text_.clear();
  }

  const bool json_;
  std::string text_;
  std::string_view separator_;
};

}  // namespace

int mapCommand(int argc, char** argv) {
  CLI::App app(
      "Tell which ranges of an image are stored in a session (local), are zeros (zero), or come "
      "from the base (base), in bytes. The session may be mounted.",
      argv[0]);
  std::string directory;
  bool json = false;
  app.add_option("SESSION", directory, "the session's folder")->required();
  app.add_flag("--json", json, "for programs: an array of objects");
  return runCommand(app, argc, argv, [&] {
    const auto folder = openSessionFolder(directory);
    MapPrinter printer(json);
    mapSession(*folder, [&printer](const ImageRange& range) { printer.range(range); });
    printer.finish();
    return ExitStatus::done;
  });
}

}  // namespace netcow
