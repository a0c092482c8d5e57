// SPDX-License-Identifier: Apache-2.0
#include "cli/verify_image.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "base/errors.h"
#include "base/logging.h"
#include "base/mutex.h"
#include "base/progress_meter.h"
#include "base/terminal_line.h"
#include "cli/output.h"
#include "cli/run_command.h"
#include "cli/signal_thread.h"
#include "cli/verification_text.h"
#include "source/checksum_file.h"
#include "source/dnbd3/checksum_download.h"
#include "source/dnbd3/dnbd3_source.h"
#include "source/file_source.h"
#include "source/image_verification.h"
#include "source/source_url.h"

namespace netcow {
namespace {

struct VerifyOptions {
  std::string hosts;
  std::string source;
  std::string image;
  std::uint16_t revision = 0;
  bool sticky = false;
  bool json = false;
};

/// An image and what it is compared with.
struct Opened {
  std::unique_ptr<Source> source;
  FoundChecksums checksums;
};

Opened openServer(std::vector<Host> hosts, ImageName image, bool sticky) {
  Dnbd3Options options;
  options.hosts = std::move(hosts);
  options.image = std::move(image);
  options.learnServers = !sticky;
  Opened opened;
  opened.source = connectDnbd3(options);
  // Which revision is the latest may change any time: the list is asked for by its number.
  opened.checksums = downloadChecksums(options, opened.source->image(), opened.source->size());
  return opened;
}

Opened openFile(const std::string& path) {
  const std::string fileName = path.substr(path.rfind('/') + 1);
  Opened opened;
  opened.source = std::make_unique<FileSource>(
      path, parseImageFileName(fileName).value_or(ImageName{fileName, 1}));
  auto list = readChecksumFile(path, opened.source->size(), "put the right list there");
  if (!list) {
    throw UserError("there is no list of checksums " + path +
                    ".crc, without which nothing can be checked; put it there, from a server that "
                    "has the image");
  }
  opened.checksums = {std::move(*list), path + ".crc"};
  return opened;
}

Opened open(const VerifyOptions& options) {
  if (options.source.empty()) {
    return openServer(parseHostList(options.hosts), {options.image, options.revision},
                      options.sticky);
  }
  const SourceUrl url = parseSourceUrl(options.source);
  if (const auto* file = std::get_if<FileUrl>(&url)) {
    return openFile(file->path);
  }
  const auto& server = std::get<Dnbd3Url>(url);
  return openServer({server.host}, server.image, options.sticky);
}

/// Tells on standard error how it goes: one line that changes on a terminal, else now and then a
/// new one.
class ProgressDisplay {
 public:
  ProgressDisplay(std::string name, std::uint64_t size, std::shared_ptr<TerminalLine> line)
      : name_(std::move(name)), line_(std::move(line)), meter_(size, Clock::system().now()) {}

  [[nodiscard]] std::chrono::milliseconds interval() const {
    return std::chrono::milliseconds(isTerminal_ ? 200 : 5'000);
  }

  void show(const ImageVerification::Progress& progress) {
    meter_.note(progress.bytes, Clock::system().now());
    const std::string bad = progress.bad == 0 ? "" : ", " + counted(progress.bad, "bad span");
    if (isTerminal_) {
      const std::size_t width = line_->width();
      line_->show(meter_.bar(width > bad.size() ? width - bad.size() : 0) + bad);
    } else if (progress.bytes != progress.size) {
      std::fprintf(stderr, "%s: %s%s\n", name_.c_str(), meter_.text().c_str(), bad.c_str());
      std::fflush(stderr);
    }
  }
  void clear() const { line_->clear(); }

 private:
  const std::string name_;
  const std::shared_ptr<TerminalLine> line_;
  const bool isTerminal_ = line_->isTerminal();
  ProgressMeter meter_;
};

/// What a signal ends: the wait for servers, where nothing was found yet, or the verification.
class Stopper {
 public:
  explicit Stopper(std::string name) : name_(std::move(name)) {}

  /// Null: none is under way.
  void setVerification(ImageVerification* verification) {
    const MutexLock lock(mutex_);
    verification_ = verification;
    ended_ = verification == nullptr;
  }
  void stop() {
    const MutexLock lock(mutex_);
    if (verification_ != nullptr) {
      verification_->stop();
    } else if (!ended_) {
      // The network may keep the main thread for long.
      std::fprintf(stderr, "%s: stopped before anything was compared; run it again\n",
                   name_.c_str());
      std::_Exit(static_cast<int>(ExitStatus::failed));
    }
  }

 private:
  const std::string name_;
  Mutex mutex_;
  ImageVerification* verification_ NETCOW_GUARDED_BY(mutex_) = nullptr;
  bool ended_ NETCOW_GUARDED_BY(mutex_) = false;
};

ExitStatus verify(const std::string& name, const VerifyOptions& options) {
  const auto line = std::make_shared<TerminalLine>(STDERR_FILENO);
  setUpLogging({"", "warning", line});  // which server is used says the result
  Stopper stopper(name);
  const SignalThread signals({SIGINT, SIGTERM, SIGHUP}, [&stopper](int) { stopper.stop(); });
  const Opened opened = open(options);
  ImageVerification verification(*opened.source, opened.checksums.list);
  ProgressDisplay display(name, opened.source->size(), line);
  const Clock::Time begin = Clock::system().now();
  stopper.setVerification(&verification);
  VerifiedImage verified;
  verified.report = verification.run(
      display.interval(),
      [&display](const ImageVerification::Progress& progress) { display.show(progress); });
  stopper.setVerification(nullptr);
  display.clear();
  opened.source->stop();
  verified.image = opened.source->image();
  verified.size = opened.source->size();
  verified.listFrom = opened.checksums.from;
  verified.duration =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::system().now() - begin);
  printAll(options.json ? verificationJson(verified) : verificationText(verified));
  return verified.report.allGood() ? ExitStatus::done : ExitStatus::failed;
}

void requireImage(const VerifyOptions& options) {
  const bool named = !options.hosts.empty() && !options.image.empty();
  if (options.source.empty() && !named) {
    throw UserError(
        "name the image with -h and -i, or with --source; see netcow verify-image "
        "--help",
        ExitStatus::usage);
  }
  if (options.source.empty() && !isValidImageName(options.image)) {
    throw UserError("'" + options.image + "' cannot be the name of an image; check -i",
                    ExitStatus::usage);
  }
}

}  // namespace

int verifyImageCommand(int argc, char** argv) {
  CLI::App app("Compares a whole image with the list of checksums that its server has", argv[0]);
  app.set_help_flag("--help", "Print this help message and exit");
  VerifyOptions options;
  auto* const hosts =
      app.add_option("-h,--host", options.hosts,
                     "dnbd3 servers, separated by blanks: HOST, HOST:PORT, [IPV6]:PORT")
          ->type_name("\"HOST...\"");
  auto* const image =
      app.add_option("-i,--image", options.image, "Name of the image")->type_name("NAME");
  auto* const revision =
      app.add_option("-r,--rid", options.revision, "Revision of the image [the latest]")
          ->type_name("N");
  app.add_flag("-S,--sticky", options.sticky, "Read only from the servers named by -h");
  app.add_option("--source", options.source,
                 "In place of -h, -i and -r: dnbd3://HOST[:PORT]/NAME?revision=N, or file:///PATH "
                 "with its list in PATH.crc")
      ->type_name("URL")
      ->excludes(hosts)
      ->excludes(image)
      ->excludes(revision);
  app.add_flag("--json", options.json, "For programs");
  return runCommand(app, argc, argv, [&] {
    requireImage(options);
    return verify(app.get_name(), options);
  });
}

}  // namespace netcow
