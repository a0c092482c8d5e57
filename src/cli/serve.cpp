// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "base/errors.h"
#include "base/logging.h"
#include "base/service_manager.h"
#include "cli/run_command.h"
#include "cli/serve_config.h"
#include "cli/serve_options.h"
#include "server/server.h"

namespace netcow {
namespace {

// Everything acknowledged survives a kill: a disk that hangs must not keep the machine from going
// down.
constexpr std::chrono::seconds kLongestEnd(30);

/// Every client and every upload takes descriptors; the usual soft limit of 1024 is for programs
/// that use select().
void raiseDescriptorLimit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

/// Makes the signals that are for us wait to be asked for; every thread started later inherits
/// this.
sigset_t blockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&signals, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

/// Ends the program when it does not end by itself.
class EndWatch {
 public:
  EndWatch()
      : thread_([](const std::stop_token& ended) {
          std::mutex mutex;
          std::condition_variable_any wake;
          std::unique_lock lock(mutex);
          wake.wait_for(lock, ended, kLongestEnd, [&ended] { return ended.stop_requested(); });
          if (!ended.stop_requested()) {
            spdlog::error("did not end within {} s: ends at once; nothing acknowledged is lost",
                          kLongestEnd.count());
            ::_exit(static_cast<int>(ExitStatus::failed));
          }
        }) {}

 private:
  std::jthread thread_;
};

/// The options of the command line and, where it names one, of the file.
ServeOptions readOptions(const CLI::App& app, ServeOptions options) {
  if (!options.config.empty()) {
    completeFromConfig(options, [&app](const std::string& name) {
      return app.get_option("--" + name)->count() > 0;
    });
  }
  return options;
}

/// Says which of the options that changed take a restart.
void tellWhatWaits(ServeOptions& before, ServeOptions& after) {
  const auto old = describeServeOptions(before);
  const auto now = describeServeOptions(after);
  for (std::size_t i = 0; i < old.size(); ++i) {
    const bool same =
        std::visit([&](auto* value) { return *value == *std::get<decltype(value)>(now[i].value); },
                   old[i].value);
    if (!same && !old[i].reloads) {
      spdlog::warn("{} changed in the configuration: that takes a restart", old[i].name);
    }
  }
  if (before.tlsCertificate.empty() != after.tlsCertificate.empty()) {
    spdlog::warn("turning TLS on or off takes a restart");
  }
}

/// SIGHUP: whatever is wrong, the server goes on as before.
void reload(Server& server, const CLI::App& app, const ServeOptions& given, ServeOptions& current) {
  try {
    ServeOptions next = readOptions(app, given);
    server.reload(serverOptions(next));
    spdlog::set_level(next.debug ? spdlog::level::debug : spdlog::level::info);
    tellWhatWaits(current, next);
    spdlog::info("read the configuration again");
  } catch (const std::exception& error) {
    spdlog::error("keeps the old configuration: {}", error.what());
  }
}

void serve(const CLI::App& app, const ServeOptions& given) {
  ServeOptions current = readOptions(app, given);
  const ServerOptions options = serverOptions(current);
  setUpLogging(current.logFile, current.debug);
  raiseDescriptorLimit();
  const sigset_t signals = blockSignals();
  Server server(options);
  for (const std::string& line : server.describe()) {
    spdlog::info("{}", line);
  }
  notifyReady();
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
    notifyReloading();
    reload(server, app, given, current);
    notifyReady();
  }
  spdlog::info("ends on signal {}", signal);
  notifyStopping();
  const EndWatch watch;
  server.stop();
}

}  // namespace

int serveCommand(int argc, char** argv) {
  CLI::App app("Exports a folder of images over dnbd3 and takes the changes that clients upload",
               "netcow serve");
  ServeOptions options;
  addServeOptions(app, options);
  return runCommand(app, argc, argv, [&app, &options] {
    serve(app, options);
    return ExitStatus::done;
  });
}

}  // namespace netcow
