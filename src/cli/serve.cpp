// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.h"

#include <sys/resource.h>

#include <csignal>
#include <string>

#include "base/errors.h"
#include "base/logging.h"
#include "cli/run_command.h"
#include "server/server.h"

namespace netcow {
namespace {

struct ServeOptions {
  std::string images;
  std::string listen;
  std::string http;
  std::string state;
  std::string logFile;
  bool debug = false;
};

void addOptions(CLI::App& app, ServeOptions& options) {
  app.add_option("--images", options.images, "Folder of images, NAME.rN in it and its sub-folders")
      ->required()
      ->type_name("DIR");
  app.add_option("--listen", options.listen, "Where dnbd3 clients connect [127.0.0.1:5003]")
      ->type_name("HOST:PORT");
  app.add_option("--http", options.http, "Where uploads and web browsers connect [127.0.0.1:5000]")
      ->type_name("HOST:PORT");
  app.add_option("--state", options.state,
                 "Folder for uploads that are not merged yet [.netcow in the folder of images]")
      ->type_name("DIR");
  app.add_option("-l,--log", options.logFile, "Write the log to a file [standard error]")
      ->type_name("FILE");
  app.add_flag("-d,--debug", options.debug, "Log more");
}

ServerOptions serverOptions(const ServeOptions& given) {
  ServerOptions options;
  options.imagesFolder = given.images;
  options.stateFolder = given.state;
  options.blocksAddress = parseListenAddress(given.listen, options.blocksAddress);
  options.httpAddress = parseListenAddress(given.http, options.httpAddress);
  return options;
}

/// Every client and every upload takes descriptors; the usual soft limit of 1024 is for programs
/// that use select().
void raiseDescriptorLimit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

/// Makes the signals that end the program wait to be asked for; every thread started later
/// inherits this.
sigset_t blockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

void serve(const ServeOptions& given) {
  const ServerOptions options = serverOptions(given);
  setUpLogging(given.logFile, given.debug);
  raiseDescriptorLimit();
  const sigset_t endSignals = blockEndSignals();
  Server server(options);
  for (const std::string& line : server.describe()) {
    spdlog::info("{}", line);
  }
  int signal = 0;
  sigwait(&endSignals, &signal);
  spdlog::info("ends on signal {}", signal);
  server.stop();
}

}  // namespace

int serveCommand(int argc, char** argv) {
  CLI::App app("Exports a folder of images over dnbd3 and takes the changes that clients upload",
               "netcow serve");
  ServeOptions options;
  addOptions(app, options);
  return runCommand(app, argc, argv, [&options] {
    serve(options);
    return ExitStatus::done;
  });
}

}  // namespace netcow
