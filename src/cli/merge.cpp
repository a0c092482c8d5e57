// SPDX-License-Identifier: Apache-2.0
#include "cli/merge.h"

#include <cstdio>
#include <filesystem>
#include <string>

#include "base/errors.h"
#include "cli/run_command.h"
#include "merge/merge.h"
#include "session/origin.h"
#include "session/session.h"

namespace netcow {
namespace {

struct MergeOptions {
  std::string session;
  std::string base;
  std::string output;
};

/// A server rounds an image's size up to whole blocks, so a session over it knows the rounded one.
bool fits(std::uint64_t fileSize, std::uint64_t baseSize) {
  return fileSize == baseSize || roundUp(fileSize, kBlockSize) == baseSize;
}

/// The blocks that are not local come from the base: another one would make garbage.
void checkBase(const MergeOptions& options, const Session& session) {
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(options.base, error);
  if (error) {
    throw UserError("cannot read the base " + options.base + ": " + error.message());
  }
  const auto origin = Origin::load(options.session);
  const bool known = origin && origin->baseSize != 0;
  if (known && !fits(size, origin->baseSize)) {
    throw UserError(options.base + " has " + std::to_string(size) +
                    " bytes, but the session was made from " + origin->imageName + " revision " +
                    std::to_string(origin->revision) + " of " + std::to_string(origin->baseSize) +
                    " bytes; name that one with --base");
  }
  if (!known && roundUp(size, kBlockSize) < session.validRemoteSize()) {
    throw UserError(options.base +
                    " is smaller than what the session shows of its base; name the "
                    "image it was made from with --base");
  }
}

void merge(const MergeOptions& options) {
  const auto session = Session::open(options.session);
  if (!session->recovery().empty()) {
    std::fprintf(stderr, "netcow merge: %s\n", session->recovery().c_str());
  }
  checkBase(options, *session);
  MergeRequest request;
  request.baseFile = options.base;
  request.outputFile = options.output;
  request.originalFileSize = session->validRemoteSize();
  request.newFileSize = session->imageSize();
  MergeProgress progress;
  const MergeResult result = mergeSession(*session, request, progress);
  if (const auto error = session->close()) {
    throwErrno(error.value(), "cannot close the session " + options.session);
  }
  std::printf("%s: %llu bytes, %llu changed blocks in %llu clusters over %s (%s)\n",
              options.output.c_str(), static_cast<unsigned long long>(request.newFileSize),
              static_cast<unsigned long long>(result.blocks.all()),
              static_cast<unsigned long long>(result.clusters), options.base.c_str(),
              result.baseShared ? "shared with it" : "copied");
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
  return runCommand(app, argc, argv, [&options] {
    merge(options);
    return ExitStatus::done;
  });
}

}  // namespace netcow
