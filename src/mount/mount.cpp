// SPDX-License-Identifier: Apache-2.0
#include "mount/mount.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "base/errors.h"
#include "mount/filesystem.h"
#include "mount/fuse_options.h"
#include "mount/libfuse_messages.h"
#include "mount/mount_guard.h"
#include "mount/mount_point.h"
#include "mount/request_memory.h"
#include "mount/worker_loop.h"

namespace netcow {
namespace {

/// How long the end of a mount waits for requests that need a slow or silent server.
constexpr std::chrono::seconds kGrace(3);

/// Read-ahead when none is asked for: at 20 ms of round trip 200 MB/s, and small enough that a
/// page fault, which reads as much around it, stays cheap.
constexpr std::uint64_t kReadAhead = std::uint64_t{4} << 20U;

/// Takes the mount away from whoever uses it, and closes the connection.
struct DestroySession {
  void operator()(fuse_session* session) const {
    if (point->isOurs()) {            // else libfuse would unmount what lies there now
      fuse_session_unmount(session);  // nothing if it is unmounted already
    }
    fuse_session_destroy(session);
  }
  const MountPoint* point;
};
using SessionPointer = std::unique_ptr<fuse_session, DestroySession>;

/// The words of a command line for libfuse, which changes them.
class FuseArguments {
 public:
  explicit FuseArguments(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      if (fuse_opt_add_arg(&arguments_, word.c_str()) != 0) {
        throw std::bad_alloc();
      }
    }
  }
  ~FuseArguments() { fuse_opt_free_args(&arguments_); }
  FuseArguments(const FuseArguments&) = delete;
  FuseArguments& operator=(const FuseArguments&) = delete;
  fuse_args* get() { return &arguments_; }

 private:
  fuse_args arguments_ = {};
};

std::vector<std::string> commandLine(const FuseOptions& options, bool debug) {
  // Ours first, so that a user's fsname or subtype wins.
  std::vector<std::string> words = {"netcow", "-o", "fsname=netcow,subtype=netcow", "-o",
                                    "default_permissions"};
  for (const std::string& option : options.passedOn) {
    words.insert(words.end(), {"-o", option});
  }
  if (debug) {
    words.emplace_back("-d");
  }
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ",") + word;
  }
  return text;
}

SessionPointer mountFilesystem(Filesystem& filesystem, const MountPoint& point,
                               const FuseOptions& options, bool debug) {
  const LibfuseMessages messages;
  FuseArguments arguments(commandLine(options, debug));
  const fuse_lowlevel_ops& operations = Filesystem::operations();
  SessionPointer session(
      fuse_session_new(arguments.get(), &operations, sizeof operations, &filesystem), {&point});
  if (session == nullptr) {
    throw UserError("cannot mount on " + point.path() + " with -o " + joined(options.passedOn) +
                        ": " + messages.text() + "; leave out what is not known",
                    ExitStatus::usage);
  }
  if (fuse_session_mount(session.get(), point.path().c_str()) != 0) {
    throw UserError("cannot mount on " + point.path() + ": " +
                    (messages.text().empty() ? "fusermount3 refused" : messages.text()) +
                    "; see that /dev/fuse is there and that this user may mount");
  }
  return session;
}

unsigned workersThatHelp() {
  return std::clamp(std::thread::hardware_concurrency(), 2U, 4U);
}

FuseOptions parseAndWarn(const std::vector<std::string>& given) {
  FuseOptions options = parseFuseOptions(given);
  for (const std::string& option : options.ignored) {
    spdlog::warn("mount option {} has no effect any more and is ignored", option);
  }
  return options;
}

}  // namespace

// Destroyed in reverse: workers, then the connection, then what their requests used.
struct Mount::Parts {
  Parts(Image& image, MountOptions given)
      : options(parseAndWarn(given.fuseOptions)),
        guard(given.guard),
        workers(given.workers != 0 ? given.workers : workersThatHelp()),
        point(std::move(given.mountpoint)),
        filesystem(image, memory, options.limits, std::move(given.statusText)),
        session(mountFilesystem(filesystem, point, options, given.debugFuse)),
        loop(session.get(), memory, image) {
    filesystem.image().setSession(session.get());
  }

  void settle();
  void leave(const std::function<void()>& stopSource);

  const FuseOptions options;
  MountGuard* const guard;
  const unsigned workers;
  MountPoint point;
  RequestMemory memory;
  Filesystem filesystem;
  SessionPointer session;
  WorkerLoop loop;
};

/// What can be done only once the connection is up.
void Mount::Parts::settle() {
  point.recognise();
  if (guard != nullptr && point.device()) {
    guard->watch(*point.device());
  }
  point.readAhead(options.limits.maxReadahead.value_or(kReadAhead));
}

/// Ends a mount that is still there, while workers go on serving it. Whoever uses it, under this
/// path or, in another namespace or after it was detached, under none: what was changed through
/// memory maps is written back. That may have to wait for the network: after a while the source is
/// stopped, which lets it fail instead.
void Mount::Parts::leave(const std::function<void()>& stopSource) {
  std::future<void> polite = std::async(std::launch::async, [this] {
    point.unmount();
    filesystem.image().collectMappedChanges();
  });
  if (polite.wait_for(kGrace) != std::future_status::ready) {
    stopSource();
  }
  polite.get();
}

Mount::Mount(Image& image, MountOptions options)
    : parts_(std::make_unique<Parts>(image, std::move(options))) {
  parts_->loop.start(parts_->workers);
  parts_->settle();
}

Mount::~Mount() = default;

void Mount::run(const std::function<void()>& stopSource) {
  Parts& parts = *parts_;
  bool sourceStopped = false;
  const auto stopSourceOnce = [&] {
    if (!std::exchange(sourceStopped, true)) {
      stopSource();
    }
  };
  const bool gone = parts.loop.waitForEnd();
  if (!gone) {
    parts.leave(stopSourceOnce);
  }
  ImageFile& image = parts.filesystem.image();
  static_cast<void>(image.refuseAndDrain(kGrace));
  stopSourceOnce();
  // Only now, with workers still there: telling the kernel of changed pages waits for reads of
  // those pages, and one may just be on its way to a worker.
  image.stopThreads();
  parts.loop.stop();
  parts.session.reset();  // who still uses the mount gets ENOTCONN from here on
}

void Mount::requestStop() {
  parts_->loop.requestEnd();
}

}  // namespace netcow
