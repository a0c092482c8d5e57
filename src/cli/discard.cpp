// SPDX-License-Identifier: Apache-2.0
#include "cli/discard.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <optional>
#include <string>

#include "base/errors.h"
#include "cli/mount_cache.h"
#include "cli/output.h"
#include "cli/run_command.h"
#include "cli/transfer_options.h"
#include "session/discard.h"
#include "session/origin.h"
#include "session/session.h"
#include "upload/upload_requests.h"

namespace netcow {
namespace {

struct DiscardCommand {
  std::string session;
  bool yes = false;
  TransferOptions transfer;
};

/// What would be lost, for people.
std::string lossOf(const std::string& directory) {
  try {
    const SessionReport report = inspectSession(directory);
    const std::string changes =
        counted(report.clusters, "changed cluster") + " of the image " + report.imageName;
    return report.uploadUuid.empty()
               ? changes + ", never uploaded"
               : changes + ", " + std::to_string(report.dirtyClusters) + " of them not uploaded";
  } catch (const std::exception&) {
    return "a session too damaged to tell what it holds";
  }
}

void ask(const DiscardCommand& command) {
  if (::isatty(STDIN_FILENO) == 0) {
    throw UserError(
        "nobody is there to ask whether to throw " + command.session + " away; say so with --yes",
        ExitStatus::usage);
  }
  std::cout << command.session << " holds " << lossOf(command.session)
            << ". Throw it away for good? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer != "y" && answer != "Y" && answer != "yes") {
    throw UserError("nothing was removed");
  }
}

/// What tells of the upload that is on a server because of the session.
struct RemoteUpload {
  UploadPrefix prefix;
  Credentials credentials;
  std::string uuid;
};

/// Nothing where no upload is left, or where it is no longer only the session's: a merge that was
/// asked for goes on.
std::optional<RemoteUpload> remoteUpload(const DiscardCommand& command, const std::string& uuid) {
  std::optional<Origin> origin;
  try {
    origin = Origin::load(command.session);
  } catch (const UserError& error) {
    std::fprintf(stderr, "netcow discard: %s\n", error.what());
  }
  if (!origin || origin->uploadPrefix.empty() || uuid.empty()) {
    return std::nullopt;
  }
  const MergeState merge = origin->mergeOf(uuid);
  if (merge == MergeState::asked || merge == MergeState::done) {
    return std::nullopt;
  }
  return RemoteUpload{UploadPrefix(origin->uploadPrefix), command.transfer.access().current(),
                      uuid};
}

void removeFromServer(const RemoteUpload& upload) {
  const HttpAnswer answer = discardUpload(upload.prefix, upload.credentials, upload.uuid);
  const Verdict verdict = judge(answer);
  if (verdict == Verdict::unknown) {
    return;  // it is gone, or the server has no such call and lets uploads expire
  }
  if (verdict != Verdict::accepted) {
    std::fprintf(stderr,
                 "netcow discard: the upload %s was not removed from %s and stays there until the "
                 "server forgets it: %s%s\n",
                 upload.uuid.c_str(), upload.prefix.shown().c_str(), describe(answer).c_str(),
                 adviceFor(answer).c_str());
  }
}

ExitStatus discard(DiscardCommand& command) {
  command.transfer.parse();
  refuseCacheAsSession(command.session);
  SessionDiscard session(openSessionFolder(command.session));
  // Everything that may be wrong with the options comes before anything is removed.
  const auto upload = remoteUpload(command, session.uploadUuid());
  if (!command.yes && !session.committed()) {
    ask(command);
  }
  session.commit();
  if (upload) {
    removeFromServer(*upload);
  }
  session.removeFiles();
  const bool whole = removeEmptyFolder(command.session);
  printAll(command.session + (whole ? ": thrown away\n"
                                    : ": thrown away; the folder stays, it holds other files or "
                                      "is in use\n"));
  return ExitStatus::done;
}

}  // namespace

int discardCommand(int argc, char** argv) {
  CLI::App app(
      "Throws away a session and all changes in it, and its upload on the server unless a merge "
      "was asked for",
      argv[0]);
  DiscardCommand command;
  app.add_option("session", command.session, "The session's folder")
      ->required()
      ->type_name("SESSION");
  app.add_flag("-y,--yes", command.yes, "Do not ask");
  command.transfer.addAccessTo(app, "Uploads");
  return runCommand(app, argc, argv, [&command] { return discard(command); });
}

}  // namespace netcow
