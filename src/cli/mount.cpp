// SPDX-License-Identifier: Apache-2.0
#include "cli/mount.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>

#include "base/errors.h"
#include "base/logging.h"
#include "base/mutex.h"
#include "base/service_manager.h"
#include "cli/background.h"
#include "cli/base_to_compare.h"
#include "cli/mount_cache.h"
#include "cli/mount_options.h"
#include "cli/mount_session.h"
#include "cli/signal_thread.h"
#include "cli/upload_display.h"
#include "image/image.h"
#include "mount/fuse_options.h"
#include "mount/mount.h"
#include "mount/mount_guard.h"
#include "mount/mount_point.h"
#include "session/checkpoint_timer.h"
#include "session/discard.h"
#include "upload/uploader.h"

namespace netcow {
namespace {

/// Everything of one mount, in the order in which one part needs another.
///
/// SIGTERM and SIGINT end the mount as an unmount does; a second one changes nothing, because the
/// uploads that follow are what the user wants. SIGQUIT gives up uploading: at once in the final
/// pass, for what is new while mounted. SIGHUP is for terminals that close: it does nothing.
class MountRun {
 public:
  explicit MountRun(const MountCommand& given)
      : earlier_(earlierOrigin(given)),
        command_(completedBy(given, earlier_)),
        background_(!command_.foreground),
        signals_({SIGTERM, SIGINT, SIGQUIT, SIGHUP}, [this](int signal) { handle(signal); }) {}

  ExitStatus run() {
    setUpLogging({command_.logFile, command_.logLevel, line_});
    // What a look at the command line and the mountpoint can tell comes before anything is made.
    static_cast<void>(MountPoint(command_.mountpoint));
    static_cast<void>(parseFuseOptions(command_.fuseOptions));
    static_cast<void>(command_.transfer.access());
    source_ = openSource(command_);
    if (!command_.cacheFolder.empty()) {
      auto caching = openCache(command_, std::move(source_));
      cache_ = caching.get();
      source_ = std::move(caching);
    }
    try {
      if (!command_.sessionDirectory.empty()) {
        openSession();
      }
      image_ = std::make_unique<Image>(*source_, session_.session.get());
      mountAndServe();
    } catch (...) {
      undo();
      throw;
    }
    return finish();
  }

  /// Whether the terminal was told that all went well: errors then belong into the log.
  [[nodiscard]] bool ready() const { return ready_; }

 private:
  enum class Stage { starting, mounting, mounted, finalPass, discarding };

  void openSession() {
    session_ = openMountSession(command_, *source_, earlier_);
    UploadOptions options;
    options.prefix = session_.prefix;
    options.access = session_.access;
    options.merge = command_.merge;
    options.earlierMerge = session_.origin.merge;
    options.onMergeState = [this](MergeState state) {
      session_.origin.merge = state;
      session_.origin.save(command_.sessionDirectory);
    };
    options.statusFile = command_.statusFile;
    if (command_.statusToLog) {
      options.statusSink = [](const std::string& text) { spdlog::info("\n{}", text); };
    }
    command_.transfer.applyTo(options.rules);
    if (command_.minAge) {
      options.rules.minAge = *command_.minAge;
    }
    options.base = baseToCompare(session_.origin);
    uploader_ = std::make_unique<Uploader>(*session_.session, std::move(options));
  }

  void mountAndServe() {
    MountOptions options;
    options.mountpoint = command_.mountpoint;
    options.fuseOptions = command_.fuseOptions;
    options.statusText = [this] { return source_->statusText() + sessionText(); };
    options.workers = command_.singleThread ? 1 : 0;
    options.debugFuse = command_.debug;
    options.guard = &guard_;
    std::optional<CheckpointTimer> checkpoints;
    if (uploader_) {
      checkpoints.emplace(*session_.session);
      uploader_->start();
    }
    setStage(Stage::mounting);
    mount_ = std::make_unique<Mount>(*image_, std::move(options));
    setStage(Stage::mounted);
    background_.ready();
    ready_ = true;
    const std::string line = fmt::format("mounted {} revision {} at {}", source_->image().name,
                                         source_->image().revision, command_.mountpoint);
    spdlog::info("{}", line);
    notifyStatus(line);
    notifyReady();
    mount_->run([this] { source_->stop(); });
  }

  /// What `status` in the mount tells behind the connection; `netcow status` reads it.
  [[nodiscard]] std::string sessionText() const {
    std::string text = fmt::format("Process:  {}\n", ::getpid());
    if (session_.session) {
      text += "Session:  " + command_.sessionDirectory + "\n";
    }
    if (session_.prefix) {
      text += "Uploads to: " + session_.prefix->shown() + "\n\n" + statusText(uploader_->status());
    }
    return text;
  }

  /// After an error: nothing stays mounted, and what was written meanwhile stays in the session.
  void undo() {
    setStage(Stage::starting);
    source_->stop();
    mount_.reset();
    uploader_.reset();
    if (session_.session) {
      static_cast<void>(session_.session->close());
    }
  }

  ExitStatus finish() {
    notifyStopping();
    if (cache_ != nullptr) {
      cache_->close();  // the final pass may take long, and others may want it
    }
    if (!uploader_) {
      return ExitStatus::done;
    }
    if (command_.discardOnExit) {
      return discard();
    }
    setStage(Stage::finalPass);
    UploadOutcome outcome;
    {
      const UploadDisplay display([this] { return uploader_->status(); }, line_);
      outcome = uploader_->finish();
    }
    if (const auto error = session_.session->close()) {
      spdlog::error("cannot close the session {}: {}; it is recovered when it is opened again",
                    command_.sessionDirectory, error.message());
      if (outcome.status == ExitStatus::done) {
        return ExitStatus::failed;
      }
    }
    if (outcome.status == ExitStatus::done) {
      spdlog::info("{}", outcome.message);
    } else {
      spdlog::error("{}", outcome.message);
    }
    return outcome.status;
  }

  /// Nothing of the session is wanted any more, so it is not closed either.
  ExitStatus discard() {
    setStage(Stage::discarding);
    uploader_->finish();
    uploader_.reset();
    mount_.reset();
    image_.reset();
    session_.session.reset();
    const bool whole = discardSession(command_.sessionDirectory);
    spdlog::info("the session {} is thrown away{}", command_.sessionDirectory,
                 whole ? "" : "; the folder stays, it holds other files");
    return ExitStatus::done;
  }

  void setStage(Stage stage) {
    const MutexLock lock(mutex_);
    stage_ = stage;
    if (stage == Stage::mounted && endWanted_) {
      mount_->requestStop();
    }
  }

  void handle(int signal) {
    const MutexLock lock(mutex_);
    const bool end = signal == SIGTERM || signal == SIGINT;
    if (stage_ == Stage::starting && signal != SIGHUP) {
      // Nobody has used the mount, and the network may keep the main thread for long.
      std::fputs("netcow mount: stopped before anything was mounted\n", stderr);
      std::_Exit(static_cast<int>(ExitStatus::failed));
    } else if (stage_ == Stage::mounting && signal != SIGHUP) {
      endWanted_ = true;
    } else if (stage_ == Stage::mounted && end) {
      mount_->requestStop();
    } else if (stage_ == Stage::mounted && signal == SIGQUIT && uploader_) {
      uploader_->setNoNewUploads();
    } else if (stage_ == Stage::finalPass && signal == SIGQUIT) {
      uploader_->cancel();
    }
  }

  const std::optional<Origin> earlier_;
  const MountCommand command_;
  Background background_;
  MountGuard guard_;  ///< forks: before there are threads, and by the process that stays
  bool ready_ = false;
  const std::shared_ptr<TerminalLine> line_ = std::make_shared<TerminalLine>(STDERR_FILENO);
  std::unique_ptr<Source> source_;
  CachingSource* cache_ = nullptr;  ///< source_, where there is a cache
  MountSession session_;
  std::unique_ptr<Image> image_;
  std::unique_ptr<Uploader> uploader_;
  std::unique_ptr<Mount> mount_;
  Mutex mutex_;  ///< with stage_ it also publishes the pointers above to the signal thread
  Stage stage_ NETCOW_GUARDED_BY(mutex_) = Stage::starting;
  bool endWanted_ NETCOW_GUARDED_BY(mutex_) = false;  ///< while mounting
  SignalThread signals_;                              // last: its thread uses what stands above
};

/// The line goes to the terminal as long as somebody waits there, then to the log.
int report(const std::exception& error, ExitStatus status, bool toLog) {
  if (toLog) {
    spdlog::error("{}", error.what());
  } else {
    std::fprintf(stderr, "netcow mount: %s\n", error.what());
  }
  return static_cast<int>(status);
}

int runMount(const MountCommand& command) {
  std::unique_ptr<MountRun> mount;
  try {
    mount = std::make_unique<MountRun>(command);
    return static_cast<int>(mount->run());
  } catch (const UserError& error) {
    return report(error, error.status(), mount && mount->ready());
  } catch (const std::exception& error) {
    return report(error, ExitStatus::failed, mount && mount->ready());
  }
}

}  // namespace

int mountCommand(const std::vector<std::string>& arguments) {
  try {
    const auto command = parseMountCommand(arguments);
    if (command) {
      refuseCacheAsSession(command->sessionDirectory);
    }
    return command ? runMount(*command) : static_cast<int>(ExitStatus::done);
  } catch (const UserError& error) {
    return report(error, error.status(), false);
  }
}

}  // namespace netcow
