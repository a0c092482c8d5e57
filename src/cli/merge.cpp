// SPDX-License-Identifier: Apache-2.0
#include "cli/merge.h"

#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "base/errors.h"
#include "cli/run_command.h"
#include "cli/signal_thread.h"
#include "merge/base_check.h"
#include "merge/merge.h"
#include "session/origin.h"
#include "session/session.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;

struct MergeOptions {
  std::string session;
  std::string base;
  std::string output;
  std::string verify = "sample";
};

VerifyBase verifyBaseNamed(const std::string& how) {
  if (how == "none") {
    return VerifyBase::none;
  }
  return how == "all" ? VerifyBase::all : VerifyBase::sample;
}

void checkOutput(const MergeOptions& options) {
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(options.output, ignored))) {
    throw UserError(options.output +
                    " exists already, and a merge never replaces an image; name another file with "
                    "--output");
  }
  const fs::path folder = fs::weakly_canonical(fs::absolute(options.output), ignored).parent_path();
  const fs::path session = fs::canonical(options.session, ignored);
  for (fs::path at = folder; !session.empty() && at != at.root_path(); at = at.parent_path()) {
    if (at == session) {
      throw UserError(options.output +
                      " would lie in the session's folder, where only the session's own files may "
                      "be; name another file with --output");
    }
  }
}

/// Closed however the merge ends: one that was only read looks clean to the next program.
class OpenedSession {
 public:
  explicit OpenedSession(const std::string& directory) : session_(Session::open(directory)) {
    if (!session_->recovery().empty()) {
      std::fprintf(stderr, "netcow merge: %s\n", session_->recovery().c_str());
    }
  }
  ~OpenedSession() {
    if (const auto error = session_->close()) {
      std::fprintf(stderr,
                   "netcow merge: cannot close the session %s: %s; it stays recoverable, and the "
                   "next command that opens it recovers it\n",
                   session_->directory().c_str(), error.message().c_str());
    }
  }
  OpenedSession(const OpenedSession&) = delete;
  OpenedSession& operator=(const OpenedSession&) = delete;

  [[nodiscard]] const Session& operator*() const { return *session_; }
  [[nodiscard]] const Session* operator->() const { return session_.get(); }

 private:
  std::unique_ptr<Session> session_;
};

void printResult(const MergeOptions& options, std::uint64_t size, const BaseVerification& verified,
                 const MergeResult& result) {
  const OverlayBlocks& blocks = result.blocks;
  const std::string verification = verified.hasList ? fmt::format(", {} of {} checksums compared",
                                                                  verified.checked, verified.all)
                                                    : "";
  fmt::print(
      "{}: {} bytes; base {} {}{}; {} changed blocks in {} clusters: {} shared, {} copied, "
      "{} zeros\n",
      options.output, size, options.base, result.baseShared ? "shared" : "copied", verification,
      blocks.all(), result.clusters, blocks.shared, blocks.copied, blocks.zeros);
}

void makeImage(const MergeOptions& options, MergeProgress& progress) {
  checkOutput(options);
  const OpenedSession session(options.session);
  checkBaseFits(options.base, *session, Origin::load(options.session));
  const BaseVerification verified =
      verifyBase(options.base, verifyBaseNamed(options.verify), progress.cancel);
  MergeRequest request;
  request.baseFile = options.base;
  request.outputFile = options.output;
  request.originalFileSize = session->validRemoteSize();
  request.newFileSize = session->imageSize();
  const MergeResult result = mergeSession(*session, request, progress);
  printResult(options, request.newFileSize, verified, result);
}

void merge(const MergeOptions& options) {
  MergeProgress progress;
  const SignalThread signals({SIGINT, SIGTERM, SIGHUP},
                             [&progress](int) { progress.cancel = true; });
  try {
    makeImage(options, progress);
  } catch (const std::system_error& error) {
    const bool stopped = toErrno(error.code()) == ECANCELED;
    throw UserError(std::string(stopped ? "stopped by a signal" : error.what()) +
                    "; no image was made, base and session are as they were; " +
                    (stopped ? "run the same command to begin again"
                             : "mend that and run the same command again"));
  }
}

}  // namespace

int mergeCommand(int argc, char** argv) {
  CLI::App app("Makes a new image file of a session and the image it was made from", argv[0]);
  MergeOptions options;
  app.add_option("session", options.session, "The session's folder")
      ->required()
      ->type_name("SESSION");
  app.add_option("--base", options.base, "The image the session was made from")
      ->required()
      ->type_name("FILE");
  app.add_option("--output", options.output, "The new image; must not exist")
      ->required()
      ->type_name("FILE");
  app.add_option("--verify", options.verify,
                 "How much of the base to compare with the list of checksums beside it "
                 "(BASE.crc): none, sample (at most 256 MiB; the default) or all")
      ->type_name("HOW")
      ->check(CLI::IsMember({"none", "sample", "all"}).description(""));
  return runCommand(app, argc, argv, [&options] {
    merge(options);
    return ExitStatus::done;
  });
}

}  // namespace netcow
