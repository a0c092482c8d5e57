// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "cli/check.h"
#include "cli/discard.h"
#include "cli/info.h"
#include "cli/map.h"
#include "cli/merge.h"
#include "cli/mount.h"
#include "cli/serve.h"
#include "cli/status.h"
#include "cli/upload.h"
#include "cli/verify_image.h"

namespace {

constexpr const char* kUsage =
    "netcow edits disk images that live on other machines.\n"
    "\n"
    "  netcow mount         show an image as a writable file; upload and merge what changes\n"
    "  netcow serve         export a folder of images, take uploads, merge them\n"
    "  netcow upload        send what a session still has to send, without mounting\n"
    "  netcow discard       throw a session away\n"
    "  netcow merge         make the new image of a session here, without a server\n"
    "  netcow status        tell how a mount or its uploads go on, and what to do next\n"
    "  netcow info          tell what a session holds\n"
    "  netcow map           tell which parts of an image a session holds\n"
    "  netcow check         tell whether a session is sound, and repair what can be\n"
    "  netcow verify-image  compare an image on a server with its checksums\n"
    "\n"
    "Each command tells its options with --help. A link to this program named dnbd3-fuse takes\n"
    "the options of that program.\n";

int runMount(int argc, char** argv) {
  return netcow::mountCommand(std::vector<std::string>(argv + 1, argv + argc));
}

struct Command {
  std::string_view name;
  int (*run)(int argc, char** argv);  ///< argv[0] is the name for messages
};

constexpr Command kCommands[] = {{"mount", runMount},
                                 {"serve", netcow::serveCommand},
                                 {"upload", netcow::uploadCommand},
                                 {"discard", netcow::discardCommand},
                                 {"merge", netcow::mergeCommand},
                                 {"status", netcow::statusCommand},
                                 {"info", netcow::infoCommand},
                                 {"map", netcow::mapCommand},
                                 {"check", netcow::checkCommand},
                                 {"verify-image", netcow::verifyImageCommand}};

}  // namespace

int main(int argc, char** argv) {
  // A reader of the log that goes away must not take a mount with it.
  std::signal(SIGPIPE, SIG_IGN);
  const std::string_view program = argc > 0 ? argv[0] : "netcow";
  if (program.substr(program.rfind('/') + 1) == "dnbd3-fuse") {
    return runMount(argc, argv);
  }
  const std::string_view wanted = argc > 1 ? argv[1] : "--help";
  for (const Command& command : kCommands) {
    if (command.name == wanted) {
      std::string name = "netcow " + std::string(wanted);
      argv[1] = name.data();
      return command.run(argc - 1, argv + 1);
    }
  }
  if (wanted == "--help" || wanted == "-h" || wanted == "help") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (wanted == "--version" || wanted == "-V") {
    std::puts("netcow " NETCOW_VERSION);
    return 0;
  }
  std::fprintf(stderr, "netcow: there is no command `%s`; `netcow --help` lists them\n", argv[1]);
  return static_cast<int>(netcow::ExitStatus::usage);
}
