// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.h"

#include <sys/resource.h>

#include <csignal>
#include <string>
#include <vector>

#include "base/errors.h"
#include "base/logging.h"
#include "cli/run_command.h"
#include "server/blocks/other_servers.h"
#include "server/server.h"

namespace netcow {
namespace {

struct ServeOptions {
  std::string images;
  std::vector<std::string> listen;
  std::vector<std::string> alternativeServers;
  std::uint64_t checksumRate = ServerOptions().checksumBytesPerSecond;
  std::size_t maxClients = ServerOptions().maxBlockClients;
  std::string http;
  std::string state;
  std::string logFile;
  bool debug = false;
};

void addOptions(CLI::App& app, ServeOptions& options) {
  app.add_option("--images", options.images, "Folder of images, NAME.rN in it and its sub-folders")
      ->required()
      ->type_name("DIR");
  app.add_option("--listen", options.listen,
                 "Where dnbd3 clients connect; may be given several times [127.0.0.1:5003]")
      ->type_name("HOST:PORT");
  app.add_option("--alt-server", options.alternativeServers,
                 "Another dnbd3 server that has these images, for clients to know; may be given "
                 "up to 8 times")
      ->type_name("HOST:PORT");
  app.add_option("--max-clients", options.maxClients,
                 "How many dnbd3 clients may be connected at once")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option(
         "--checksum-rate", options.checksumRate,
         "How much is read in a second to make lists of checksums (NAME.rN.crc) that images "
         "lack; 0 = none are made [64M]")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
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
  const ListenAddress usual = options.blocksAddresses.front();
  if (!given.listen.empty()) {
    options.blocksAddresses.clear();
  }
  for (const std::string& address : given.listen) {
    options.blocksAddresses.push_back(parseListenAddress(address, usual));
  }
  options.otherServers = lookUpOtherServers(given.alternativeServers);
  options.maxBlockClients = given.maxClients;
  options.checksumBytesPerSecond = given.checksumRate;
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
  setUpLogging(given.logFile, given.debug);
  const ServerOptions options = serverOptions(given);
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
