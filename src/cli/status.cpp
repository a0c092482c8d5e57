// SPDX-License-Identifier: Apache-2.0
#include "cli/status.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "base/errors.h"
#include "base/whole_io.h"
#include "cli/output.h"
#include "cli/run_command.h"
#include "cli/shown_prefix.h"
#include "cli/signal_thread.h"
#include "cli/status_text.h"
#include "session/origin.h"
#include "session/session.h"

namespace netcow {
namespace {

using State = StatusReport::State;

constexpr std::chrono::seconds kWatchInterval{1};

struct StatusOptions {
  std::string path;
  bool json = false;
  bool watch = false;
};

std::string textOfFile(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) ? readTextFile(path) : std::string();
}

/// What the process that has the session open wrote last; nothing if that was another one.
std::optional<UploadStatus> liveFigures(const std::string& session, std::int64_t process) {
  for (const char* const name : {"/status", "/progress"}) {
    const auto status = parseStatusText(textOfFile(session + name));
    if (status && status->process == process) {
      return status;
    }
  }
  return std::nullopt;
}

/// What went wrong in the last run, where the session is closed.
void addLastError(const std::string& session, UploadStatus& status) {
  for (const char* const name : {"/status", "/progress"}) {
    if (const auto last = parseStatusText(textOfFile(session + name));
        last && last->lastErrorTime > status.lastErrorTime) {
      status.lastError = last->lastError;
      status.lastErrorTime = last->lastErrorTime;
    }
  }
}

UploadStatus::Merge mergeOf(MergeState state) {
  switch (state) {
    case MergeState::asked:
      return UploadStatus::Merge::asked;
    case MergeState::done:
      return UploadStatus::Merge::done;
    case MergeState::refused:
      return UploadStatus::Merge::refused;
    case MergeState::none:
      break;
  }
  return UploadStatus::Merge::none;
}

State stateOf(const SessionReport& session, const std::optional<UploadStatus>& live) {
  if (!session.inUse) {
    return session.open ? State::killed : State::closed;
  }
  if (!live) {
    return State::inUse;
  }
  const bool mounted = live->state == UploadStatus::State::active ||
                       live->state == UploadStatus::State::backgroundUpload ||
                       live->state == UploadStatus::State::local;
  return mounted ? State::mounted : State::uploading;
}

UploadStatus figuresOf(const SessionReport& session, const Origin& origin) {
  UploadStatus status;
  status.uuid = session.uploadUuid;
  status.inQueue = session.dirtyClusters;
  status.idleClusters = session.clusters - session.dirtyClusters;
  status.bytesPending = session.dirtyBytes;
  status.clustersFailed = session.failedClusters;
  status.merge = mergeOf(origin.merge);
  if (status.inQueue == 0 && status.merge == UploadStatus::Merge::done) {
    status.state = UploadStatus::State::done;
  }
  return status;
}

StatusReport lookAtSession(const std::string& folder) {
  const SessionReport session = inspectSession(folder);
  const Origin origin = Origin::load(folder).value_or(Origin{});
  const auto live = session.inUse ? liveFigures(folder, session.process) : std::nullopt;
  StatusReport report;
  report.session = std::filesystem::absolute(folder).lexically_normal().string();
  report.state = stateOf(session, live);
  report.process = session.inUse ? session.process : 0;
  report.image = session.imageName;
  report.revision = origin.revision;
  report.dirtyClusters = session.dirtyClusters;
  const bool local = !live || live->state == UploadStatus::State::local;
  if (origin.uploadPrefix.empty() && local) {
    return report;
  }
  report.uploadServer = shownPrefix(origin.uploadPrefix);
  report.upload = live ? *live : figuresOf(session, origin);
  if (!session.inUse) {
    addLastError(folder, *report.upload);
  }
  return report;
}

StatusReport lookAt(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path + "/meta", ignored)) {
    return lookAtSession(path);
  }
  const std::string mountpoint = std::filesystem::absolute(path).lexically_normal().string();
  if (auto report = parseMountStatus(mountpoint, textOfFile(path + "/status"))) {
    return *report;
  }
  throw UserError(path +
                  " is neither a session nor a mounted image; name the folder that was given to "
                  "-c or -L, or the mountpoint as long as it is mounted");
}

/// Looks again and again, until what is looked at has ended. A mount that ended leaves its session.
class Watch {
 public:
  explicit Watch(const StatusOptions& options)
      : options_(options), clears_(!options.json && ::isatty(STDOUT_FILENO) == 1) {}

  void run() {
    StatusReport report = lookAt(options_.path);
    show(report);
    while (report.state != State::closed && report.state != State::killed) {
      std::this_thread::sleep_for(kWatchInterval);
      if (!lookAgain(report)) {
        return;
      }
      show(report);
    }
  }

 private:
  /// False: there is nothing left to look at.
  bool lookAgain(StatusReport& report) const {
    const std::string session = report.session;
    try {
      report = lookAt(report.mountpoint.empty() ? session : report.mountpoint);
      return true;
    } catch (const std::exception&) {
      if (report.mountpoint.empty()) {
        throw;
      }
    }
    if (!session.empty()) {
      report = lookAt(session);
    }
    return !session.empty();
  }

  void show(const StatusReport& report) {
    const std::string text =
        options_.json ? statusReportJson(report, /*oneLine=*/true) : statusReportText(report);
    if (text == shown_) {
      return;
    }
    const std::string before = clears_                           ? "\033[H\033[2J"
                               : shown_.empty() || options_.json ? ""
                                                                 : "\n";
    printAll(before + text);
    shown_ = text;
  }

  const StatusOptions options_;
  const bool clears_;
  std::string shown_;
};

void status(const StatusOptions& options) {
  if (!options.watch) {
    const StatusReport report = lookAt(options.path);
    printAll(options.json ? statusReportJson(report, false) : statusReportText(report));
    return;
  }
  // Whatever was printed is whole, and a mount that hangs must not keep the watch.
  const SignalThread signals({SIGINT, SIGTERM, SIGHUP},
                             [](int) { std::_Exit(static_cast<int>(ExitStatus::done)); });
  Watch(options).run();
}

}  // namespace

int statusCommand(int argc, char** argv) {
  CLI::App app("Tells how a mount, or the uploads of a session, go on, and what is to be done next",
               argv[0]);
  StatusOptions options;
  app.add_option("path", options.path, "A mountpoint, or a session's folder")
      ->required()
      ->type_name("MOUNTPOINT|SESSION");
  app.add_flag("--json", options.json, "For programs");
  app.add_flag("--watch", options.watch, "Go on until all is uploaded and closed, or Ctrl-C");
  return runCommand(app, argc, argv, [&options] {
    status(options);
    return ExitStatus::done;
  });
}

}  // namespace netcow
