// SPDX-License-Identifier: Apache-2.0
#include "cli/mount_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "base/errors.h"
#include "base/logging.h"
#include "cache/cache_space.h"
#include "cli/run_command.h"
#include "format/geometry.h"
#include "upload/upload_prefix.h"

namespace netcow {
namespace {

constexpr const char* kIntroduction =
    "Shows an image of a dnbd3 server, or of a local file, as the file `img` in MOUNTPOINT.\n"
    "With -c or -L it is writable: changes stay in the session's folder, are uploaded to the\n"
    "server named by -C, and merged into a new revision after unmounting if -m is given.\n";

constexpr std::uint64_t kSmallestPrefetch = std::uint64_t{1} << 20U;

[[noreturn]] void refuse(const std::string& line) {
  throw UserError(line + "; see netcow mount --help", ExitStatus::usage);
}

/// What CLI11 cannot put into a MountCommand by itself.
struct Raw {
  std::string newSession;
  std::string oldSession;
  std::string revision;
  std::optional<std::uint32_t> minAgeSeconds;
  double ioTimeoutSeconds = 0;
  std::string maxLocal;
  std::string maxImageSize;
  std::string prefetch;
  std::string cacheSize;
  bool foreground = false;
};

void addBaseOptions(CLI::App& app, MountCommand& command, Raw& raw) {
  app.add_option("-h,--host", command.hosts,
                 "dnbd3 servers, separated by blanks: HOST, HOST:PORT, [IPV6]:PORT")
      ->type_name("\"HOST...\"")
      ->group("Image");
  app.add_option("-i,--image", command.image, "Name of the image")
      ->type_name("NAME")
      ->group("Image");
  app.add_option("-r,--rid", raw.revision, "Revision of the image [the latest]")
      ->type_name("N")
      ->group("Image");
  app.add_flag("-S,--sticky", command.sticky, "Use only the servers named by -h")->group("Image");
  app.add_option("--io-timeout", raw.ioTimeoutSeconds,
                 "Let reads that no server answers for so long fail [wait for ever]")
      ->type_name("SECONDS")
      ->group("Image");
  app.add_option("--source", command.source,
                 "In place of -h: dnbd3://HOST[:PORT]/NAME?revision=N or file:///PATH")
      ->type_name("URL")
      ->group("Image");
}

void addSpeedOptions(CLI::App& app, Raw& raw) {
  app.add_option("--prefetch", raw.prefetch,
                 "Memory for what is read ahead of those who read a remote image in order; 0 = "
                 "do not read ahead [64M]")
      ->type_name("SIZE")
      ->group("Image");
}

void addSessionOptions(CLI::App& app, MountCommand& command, Raw& raw) {
  const char* const group = "Changes";
  app.add_option("-c,--cow", raw.newSession, "Writable: keep changes in a new session in DIR")
      ->type_name("DIR")
      ->group(group);
  app.add_option("-L,--loadcow", raw.oldSession, "Writable: go on with the session in DIR")
      ->type_name("DIR")
      ->group(group);
  app.add_option("-C,--cowServer", command.uploadPrefix, "Upload changes to this server")
      ->type_name("URL")
      ->group(group);
  app.add_flag("-m,--merge", command.merge, "After unmounting, make them a new revision")
      ->group(group);
  app.add_option("--min-age", raw.minAgeSeconds,
                 "While mounted, upload what has not changed for so long [60]")
      ->type_name("SECONDS")
      ->group(group);
  app.add_flag("--discard-on-exit", command.discardOnExit,
               "With -c: throw changes and session away after unmounting")
      ->group(group);
  app.add_option("--max-local", raw.maxLocal,
                 "Let changes take at most so much of the local disk [all of it]")
      ->type_name("SIZE")
      ->group(group);
  app.add_option("--max-image-size", raw.maxImageSize,
                 "With -c: what the image may grow to [10^12 bytes, or twice the image]")
      ->type_name("SIZE")
      ->group(group);
  app.add_flag("--cow-stats-file", command.statusFile, "Keep the file `status` in the session")
      ->group(group);
  app.add_flag("--cow-stats-stdout", command.statusToLog, "Log the same text every 5 s")
      ->group(group);
}

void addUploadOptions(CLI::App& app, MountCommand& command) {
  command.transfer.addTo(app, "Uploads");
}

void addCacheOptions(CLI::App& app, MountCommand& command, Raw& raw) {
  const char* const group = "Cache";
  app.add_option("--cache", command.cacheFolder,
                 "Keep what is read from servers in DIR, for the next mount of the image")
      ->type_name("DIR")
      ->group(group);
  app.add_option("--cache-size", raw.cacheSize,
                 "Let all images in DIR take at most so much [10G, or 80 % of what is free]")
      ->type_name("SIZE")
      ->group(group);
  app.add_flag("--prefetch-all", command.prefetchAll,
               "Fetch the whole image into the cache while nobody reads")
      ->group(group);
}

void addProcessOptions(CLI::App& app, MountCommand& command, Raw& raw) {
  const char* const group = "Process";
  app.add_flag("-f,--foreground", raw.foreground, "Stay in the foreground")->group(group);
  app.add_flag("-d,--debug", command.debug, "Stay in the foreground and log every request")
      ->group(group);
  app.add_flag("-s", command.singleThread, "Serve with one thread")->group(group);
  app.add_option("-o,--option", command.fuseOptions, "Mount options, separated by commas")
      ->type_name("OPTIONS")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  app.add_option("-l,--log", command.logFile, "Write the log to FILE [standard error]")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--log-level", command.logLevel, "debug, info, warning or error [info]")
      ->type_name("LEVEL")
      ->check(CLI::IsMember(logLevels()))
      ->group(group);
  app.add_option("mountpoint", command.mountpoint, "An existing folder")
      ->type_name("MOUNTPOINT")
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
}

/// What is short for an option of dnbd3-fuse stays so, whatever netcow has beside it.
void keepOlderOnes(std::vector<std::string>& fitting) {
  static constexpr std::array<std::string_view, 17> kOfDnbd3Fuse = {"--host",
                                                                    "--image",
                                                                    "--rid",
                                                                    "--option",
                                                                    "--log",
                                                                    "--sticky",
                                                                    "--debug",
                                                                    "--help",
                                                                    "--version",
                                                                    "--usage",
                                                                    "--cow",
                                                                    "--loadcow",
                                                                    "--cowServer",
                                                                    "--merge",
                                                                    "--upload-uuid",
                                                                    "--cow-stats-file",
                                                                    "--cow-stats-stdout"};
  const auto isNew = [](const std::string& name) {
    return std::ranges::find(kOfDnbd3Fuse, name) == kOfDnbd3Fuse.end();
  };
  if (!std::ranges::all_of(fitting, isNew)) {
    std::erase_if(fitting, isNew);
  }
}

/// Long names may be shortened as far as they are unique, as getopt_long(3) has it.
std::string fullOption(const std::string& argument, const std::vector<std::string>& names) {
  const std::string given = argument.substr(0, argument.find('='));
  std::vector<std::string> fitting;
  for (const std::string& name : names) {
    if (name == given) {
      return argument;
    }
    if (name.starts_with(given)) {
      fitting.push_back(name);
    }
  }
  if (fitting.size() > 1) {
    keepOlderOnes(fitting);
  }
  if (fitting.size() > 1) {
    refuse("the option " + given + " is short for both " + fitting[0] + " and " + fitting[1]);
  }
  return fitting.empty() ? argument : fitting[0] + argument.substr(given.size());
}

std::vector<std::string> expandOptions(const CLI::App& app,
                                       const std::vector<std::string>& arguments) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  std::vector<std::string> expanded;
  bool optionsEnded = false;
  for (const std::string& argument : arguments) {
    optionsEnded = optionsEnded || argument == "--";
    const bool isLong = !optionsEnded && argument.size() > 2 && argument.starts_with("--");
    expanded.push_back(isLong ? fullOption(argument, names) : argument);
  }
  return expanded;
}

std::string absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
}

std::uint16_t parseRevision(const std::string& text) {
  if (text.empty()) {
    return 0;
  }
  const bool digits =
      text.size() <= 5 &&
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  const unsigned long value = digits ? std::stoul(text) : 65'536;
  if (value > 65'535) {
    refuse("-r " + text + " is no revision: they are numbers from 1 to 65535, 0 is the latest");
  }
  return static_cast<std::uint16_t>(value);
}

/// Turns a size with a unit into one in bytes. False if it is none.
bool applyUnit(std::string& size) {
  try {
    return CLI::AsSizeValue(false)(size).empty();
  } catch (const CLI::ValidationError&) {
    return false;
  }
}

std::optional<std::uint64_t> parseSize(const std::string& option, const std::string& text) {
  if (text.empty()) {
    return std::nullopt;
  }
  std::string bytes = text;
  if (!applyUnit(bytes)) {
    refuse(option + " " + text +
           " is no size; give a number, with K, M, G or T behind it (each 1024 of the one before)");
  }
  return std::stoull(bytes);
}

/// A fraction of a second is fine; 0 means for ever, as leaving it out does.
std::optional<std::chrono::milliseconds> parseTimeout(double seconds) {
  constexpr double kMost = 1e6;
  if (!(seconds >= 0 && seconds <= kMost)) {
    refuse("--io-timeout must be from 0 to 1000000 seconds; 0 waits for ever");
  }
  const std::chrono::milliseconds time(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
  return time.count() == 0 ? std::nullopt : std::optional(time);
}

void checkBase(const MountCommand& command) {
  if (!command.source.empty() && !command.hosts.empty()) {
    refuse("-h and --source both name a source; leave out one of them");
  }
  // A session knows where its base came from.
  if (command.loadSession || !command.source.empty()) {
    return;
  }
  if (command.hosts.empty()) {
    refuse("no server is named; give one with -h, or a --source");
  }
  if (command.image.empty()) {
    refuse("no image is named; give its name with -i");
  }
}

void checkSession(const MountCommand& command, const Raw& raw) {
  if (!raw.newSession.empty() && !raw.oldSession.empty()) {
    refuse("-c makes a new session and -L goes on with an old one; leave out one of them");
  }
  const bool session = !command.sessionDirectory.empty();
  if (command.merge && (!session || (!command.loadSession && command.uploadPrefix.empty()))) {
    refuse("-m merges what was uploaded; it needs a session (-c or -L) and an upload server (-C)");
  }
  if (!session && !command.uploadPrefix.empty()) {
    refuse("-C uploads changes, but without a session (-c or -L) there are none");
  }
  if (!session && (command.statusFile || command.statusToLog)) {
    refuse("--cow-stats-* belong to a session; name one with -c or -L");
  }
}

void checkUploads(const MountCommand& command) {
  const bool mayUpload = command.loadSession || !command.uploadPrefix.empty();
  if (command.transfer.any() && command.sessionDirectory.empty()) {
    refuse(
        "--upload-*, --new-upload, --token-file and --ca-file belong to a session; name one "
        "with -c or -L");
  }
  if (command.transfer.any() && !mayUpload) {
    refuse("--upload-*, --token-file and --ca-file are for an upload server; name it with -C");
  }
  if (command.transfer.newUpload && !command.loadSession) {
    refuse("--new-upload is for a session that is gone on with (-L); -c begins an upload anyway");
  }
  if (!command.discardOnExit) {
    return;
  }
  if (command.sessionDirectory.empty() || command.loadSession) {
    refuse(
        "--discard-on-exit throws a new session away (-c); for an older one there is `netcow "
        "discard`");
  }
  if (!command.uploadPrefix.empty()) {
    refuse("-C uploads changes and --discard-on-exit throws them away; leave out one of them");
  }
}

void checkLimits(const MountCommand& command) {
  if (command.maxLocal && command.sessionDirectory.empty()) {
    refuse("--max-local limits a session; name one with -c or -L");
  }
  if (command.maxLocal && *command.maxLocal < kClusterSize) {
    refuse("--max-local is too small to keep any change; give at least 2M");
  }
  if (command.prefetch != 0 && command.prefetch < kSmallestPrefetch) {
    refuse("--prefetch is too small to read anything ahead; give at least 1M, or 0");
  }
  if (!command.maxImageSize) {
    return;
  }
  if (command.sessionDirectory.empty() || command.loadSession) {
    refuse("--max-image-size is fixed when a session is made; it belongs to -c");
  }
  if (*command.maxImageSize == 0 || *command.maxImageSize > kLargestImageSize) {
    refuse("--max-image-size must be from 1 byte to 16T");
  }
}

void checkCache(const MountCommand& command) {
  if (command.cacheFolder.empty()) {
    if (command.cacheSize) {
      refuse("--cache-size limits a cache; name its folder with --cache");
    }
    if (command.prefetchAll) {
      refuse("--prefetch-all fills a cache; name its folder with --cache");
    }
    return;
  }
  if (command.cacheSize && *command.cacheSize < CacheSpace::kLeast) {
    refuse("--cache-size is too small to keep anything for long; give at least 16M");
  }
  if (command.source.starts_with("file:")) {
    refuse("--cache keeps what servers send; a file of this machine needs none: leave it out");
  }
  const auto folder = [](const std::string& path) {
    return std::filesystem::path(path + "/").lexically_normal();
  };
  if (folder(command.cacheFolder) == folder(command.sessionDirectory)) {
    refuse("--cache and the session are the same folder; name another for one of them");
  }
}

void complete(MountCommand& command, const Raw& raw) {
  command.foreground = raw.foreground || command.debug;
  if (command.debug) {
    command.logLevel = "debug";
  }
  command.loadSession = !raw.oldSession.empty();
  command.sessionDirectory = absolute(command.loadSession ? raw.oldSession : raw.newSession);
  command.logFile = absolute(command.logFile);
  command.revision = parseRevision(raw.revision);
  if (raw.minAgeSeconds) {
    command.minAge = std::chrono::seconds(*raw.minAgeSeconds);
  }
  command.ioTimeout = parseTimeout(raw.ioTimeoutSeconds);
  command.maxLocal = parseSize("--max-local", raw.maxLocal);
  command.maxImageSize = parseSize("--max-image-size", raw.maxImageSize);
  command.prefetch = parseSize("--prefetch", raw.prefetch).value_or(command.prefetch);
  command.cacheFolder = absolute(command.cacheFolder);
  command.cacheSize = parseSize("--cache-size", raw.cacheSize);
  command.transfer.parse();
  checkSession(command, raw);
  checkUploads(command);
  checkCache(command);
  checkLimits(command);
  checkBase(command);
  if (command.mountpoint.empty()) {
    refuse("no mountpoint is named; give an existing folder");
  }
  command.mountpoint = absolute(command.mountpoint);
}

}  // namespace

std::optional<MountCommand> parseMountCommand(const std::vector<std::string>& arguments) {
  CLI::App app(kIntroduction, "netcow mount");
  app.set_help_flag("-H,--help,--usage", "Print this text")->group("Process");  // -h is --host
  // As getopt_long(3) users are used to: of two values the last one counts.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  MountCommand command;
  Raw raw;
  addBaseOptions(app, command, raw);
  addSpeedOptions(app, raw);
  addSessionOptions(app, command, raw);
  addUploadOptions(app, command);
  addCacheOptions(app, command, raw);
  addProcessOptions(app, command, raw);
  app.set_version_flag("-v,-V,--version", "netcow " NETCOW_VERSION)->group("Process");
  if (arguments.empty()) {
    std::fputs(app.help().c_str(), stdout);
    return std::nullopt;
  }
  try {
    std::vector<std::string> expanded = expandOptions(app, arguments);
    std::reverse(expanded.begin(), expanded.end());  // as CLI11 wants them
    app.parse(std::move(expanded));
  } catch (const CLI::Success& text) {
    app.exit(text);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    refuse(usageLine(error));
  }
  complete(command, raw);
  return command;
}

}  // namespace netcow
