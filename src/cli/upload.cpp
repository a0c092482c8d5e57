// SPDX-License-Identifier: Apache-2.0
#include "cli/upload.h"

#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>

#include "base/errors.h"
#include "base/logging.h"
#include "cli/base_to_compare.h"
#include "cli/mount_cache.h"
#include "cli/run_command.h"
#include "cli/session_upload.h"
#include "cli/signal_thread.h"
#include "cli/transfer_options.h"
#include "cli/upload_display.h"
#include "session/origin.h"
#include "session/session.h"
#include "upload/uploader.h"

namespace netcow {
namespace {

struct UploadCommand {
  std::string session;
  std::string prefix;
  std::string logFile;
  std::string logLevel = "info";
  bool merge = false;
  bool statusFile = false;
  TransferOptions transfer;
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
  command.transfer.addTo(app, "Uploads");
  app.add_option("--log-level", command.logLevel, "debug, info, warning or error [info]")
      ->type_name("LEVEL")
      ->check(CLI::IsMember(logLevels()));
}

UploadPrefix prefixOf(const UploadCommand& command, const Origin& origin) {
  const std::string& prefix = command.prefix.empty() ? origin.uploadPrefix : command.prefix;
  if (prefix.empty()) {
    throw UserError("the session " + command.session +
                    " does not know an upload server; name it with -C");
  }
  return UploadPrefix(prefix);
}

/// What is known of the session, also of one of another program.
Origin originOf(const UploadCommand& command, const Session& session) {
  Origin origin = Origin::load(command.session).value_or(Origin{});
  if (origin.imageName.empty()) {
    origin.imageName = session.imageName();
  }
  return origin;
}

UploadOptions uploadOptions(const UploadCommand& command, Session& session, Origin& origin) {
  UploadOptions options;
  options.prefix = prefixOf(command, origin);
  options.access = command.transfer.access();
  warnOfPlainToken(command.transfer, *options.prefix);
  chooseUpload(command.transfer, &*options.prefix, options.access.current(),
               {origin.imageName, origin.revision}, session, origin);
  options.merge = command.merge;
  options.earlierMerge = origin.merge;
  options.onMergeState = [&command, &origin](MergeState state) {
    origin.merge = state;
    origin.save(command.session);
  };
  options.statusFile = command.statusFile;
  command.transfer.applyTo(options.rules);
  options.base = baseToCompare(origin);
  return options;
}

UploadOutcome finishUploads(const UploadCommand& command, Session& session,
                            const std::shared_ptr<TerminalLine>& line) {
  Origin origin = originOf(command, session);
  Uploader uploader(session, uploadOptions(command, session, origin));
  const SignalThread signals({SIGTERM, SIGINT, SIGQUIT}, [&uploader](int) { uploader.cancel(); });
  const UploadDisplay display([&uploader] { return uploader.status(); }, line);
  return uploader.finish();
}

ExitStatus upload(UploadCommand& command) {
  command.transfer.parse();
  const auto line = std::make_shared<TerminalLine>(STDERR_FILENO);
  setUpLogging({command.logFile, command.logLevel, line});
  refuseCacheAsSession(command.session);
  const auto session = Session::open(command.session);
  if (!session->recovery().empty()) {
    spdlog::warn("{}", session->recovery());
  }
  UploadOutcome outcome;
  try {
    outcome = finishUploads(command, *session, line);
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
