// SPDX-License-Identifier: Apache-2.0
#include "cli/upload.h"

#include <csignal>
#include <string>

#include "base/errors.h"
#include "base/logging.h"
#include "cli/mount_cache.h"
#include "cli/run_command.h"
#include "cli/signal_thread.h"
#include "session/origin.h"
#include "session/session.h"
#include "upload/uploader.h"

namespace netcow {
namespace {

struct UploadCommand {
  std::string session;
  std::string prefix;
  std::string logFile;
  bool merge = false;
  bool statusFile = false;
};

void addOptions(CLI::App& app, UploadCommand& command) {
  app.add_option("session", command.session, "The session's folder")
      ->required()
      ->type_name("SESSION");
  app.add_option("-C,--cowServer", command.prefix, "The upload server [as it was when mounted]")
      ->type_name("URL");
  app.add_flag("-m,--merge", command.merge, "Then make the changes a new revision");
  app.add_flag("--cow-stats-file", command.statusFile, "Keep the file `status` in the session");
  app.add_option("-l,--log", command.logFile, "Write the log to FILE [standard error]")
      ->type_name("FILE");
}

UploadOptions uploadOptions(const UploadCommand& command, Origin& origin) {
  const std::string& prefix = command.prefix.empty() ? origin.uploadPrefix : command.prefix;
  if (prefix.empty()) {
    throw UserError("the session " + command.session +
                    " does not know an upload server; name it with -C");
  }
  UploadOptions options;
  options.prefix.emplace(prefix);
  options.merge = command.merge;
  options.earlierMerge = origin.merge;
  options.onMergeState = [&command, &origin](MergeState state) {
    origin.merge = state;
    origin.save(command.session);
  };
  options.statusFile = command.statusFile;
  return options;
}

UploadOutcome finishUploads(const UploadCommand& command, Session& session) {
  Origin origin = Origin::load(command.session).value_or(Origin{});
  if (origin.imageName.empty()) {  // a session of another program
    origin.imageName = session.imageName();
  }
  Uploader uploader(session, uploadOptions(command, origin));
  const SignalThread signals({SIGTERM, SIGINT, SIGQUIT}, [&uploader](int) { uploader.cancel(); });
  return uploader.finish();
}

ExitStatus upload(const UploadCommand& command) {
  setUpLogging(command.logFile, false);
  refuseCacheAsSession(command.session);
  const auto session = Session::open(command.session);
  if (!session->recovery().empty()) {
    spdlog::warn("{}", session->recovery());
  }
  UploadOutcome outcome;
  try {
    outcome = finishUploads(command, *session);
  } catch (...) {
    // A wrong option must not make it look like the session of a killed process.
    static_cast<void>(session->close());
    throw;
  }
  if (const auto error = session->close()) {
    const std::string what = "cannot close the session " + command.session;
    if (outcome.status == ExitStatus::done) {
      throwErrno(error.value(), what);
    }
    spdlog::error("{}: {}", what, error.message());
  }
  spdlog::log(outcome.status == ExitStatus::done ? spdlog::level::info : spdlog::level::err, "{}",
              outcome.message);
  return outcome.status;
}

}  // namespace

int uploadCommand(int argc, char** argv) {
  CLI::App app("Sends what a session holds and its upload server does not have yet", argv[0]);
  UploadCommand command;
  addOptions(app, command);
  return runCommand(app, argc, argv, [&command] { return upload(command); });
}

}  // namespace netcow
