// SPDX-License-Identifier: Apache-2.0
#include "cli/mount_session.h"

#include <algorithm>
#include <filesystem>

#include "base/errors.h"
#include "base/logging.h"
#include "cli/session_upload.h"
#include "source/dnbd3/dnbd3_source.h"
#include "source/dnbd3/host_list.h"
#include "source/file_source.h"
#include "source/prefetch/prefetch_source.h"
#include "source/source_url.h"
#include "upload/upload_requests.h"

namespace netcow {
namespace {

[[noreturn]] void refuse(const MountCommand& command, const std::string& why) {
  throw UserError("the session " + command.sessionDirectory + " " + why);
}

std::unique_ptr<Source> connect(const MountCommand& command, std::vector<Host> hosts,
                                ImageName image) {
  Dnbd3Options options;
  options.hosts = std::move(hosts);
  options.image = std::move(image);
  options.learnServers = !command.sticky;
  options.ioTimeout = command.ioTimeout;
  std::unique_ptr<Source> source = connectDnbd3(options);
  if (command.prefetch == 0) {
    return source;
  }
  PrefetchSource::Options prefetch;
  prefetch.memory = command.prefetch;
  return std::make_unique<PrefetchSource>(std::move(source), prefetch);
}

/// -i and -r name the image of a file too; without them its own name does.
ImageName nameOfFile(const MountCommand& command, const std::string& path) {
  const std::string fileName = path.substr(path.rfind('/') + 1);
  ImageName name = parseImageFileName(fileName).value_or(ImageName{fileName, 1});
  if (!command.image.empty()) {
    name.name = command.image;
  }
  if (command.revision != 0) {
    name.revision = command.revision;
  }
  return name;
}

/// Room to grow costs nothing: tables that are not used take no space.
std::uint64_t defaultMaxImageSize(std::uint64_t baseSize) {
  return std::clamp(2 * baseSize, kDefaultMaxImageSize, kLargestImageSize);
}

std::unique_ptr<Session> makeSession(const MountCommand& command, const Source& source) {
  NewSession settings;
  settings.maxImageSize = command.maxImageSize.value_or(defaultMaxImageSize(source.size()));
  if (settings.maxImageSize < source.size()) {
    throw UserError("--max-image-size " + std::to_string(settings.maxImageSize) +
                        " is less than the image has now, " + std::to_string(source.size()) +
                        " bytes; leave it out or give more",
                    ExitStatus::usage);
  }
  settings.imageName = source.image().name;
  settings.uploadUuid = command.transfer.uploadUuid;
  settings.baseSize = source.size();
  return Session::create(command.sessionDirectory, settings);
}

/// What -L found must fit to what the source serves: another base would turn every block that is
/// not local into another one.
void checkFits(const MountCommand& command, const Session& session, const Source& source,
               const std::optional<Origin>& earlier) {
  if (session.imageName() != source.image().name) {
    refuse(command, "belongs to the image " + session.imageName() + ", not to " +
                        source.image().name + "; leave out -i or name the right image");
  }
  if (!earlier || earlier->revision == 0) {
    spdlog::warn("the session {} does not say which revision it was made from; using revision {}",
                 command.sessionDirectory, source.image().revision);
    if (session.validRemoteSize() > source.size()) {
      refuse(command, "was made from a larger image; name the right revision with -r");
    }
    return;
  }
  if (earlier->revision != source.image().revision) {
    refuse(command, "was made from revision " + std::to_string(earlier->revision) + ", not from " +
                        std::to_string(source.image().revision) +
                        "; leave out -r or name the right revision");
  }
  if (earlier->baseSize != source.size()) {
    refuse(command, "was made from an image of " + std::to_string(earlier->baseSize) +
                        " bytes, but the source has " + std::to_string(source.size()) +
                        "; the server serves another image under this name");
  }
}

/// A new session's upload is made on the server last: one that could not be used leaves nothing
/// behind there.
void createUploadIfMissing(const MountCommand& command, MountSession& mount, const Source& source) {
  if (!mount.prefix || !mount.session->uploadUuid().empty()) {
    return;
  }
  if (command.loadSession) {
    refuse(
        command,
        "has no upload on a server; begin one with --new-upload, or name one with --upload-uuid");
  }
  const std::string uuid = createUpload(*mount.prefix, mount.access.current(), source.image());
  if (const auto error = mount.session->setUploadUuid(uuid, false)) {
    throwErrno(error.value(), "cannot store the upload uuid in " + command.sessionDirectory);
  }
}

void prepare(const MountCommand& command, const Source& source,
             const std::optional<Origin>& earlier, MountSession& mount) {
  mount.origin = earlier.value_or(Origin{});
  if (command.loadSession) {
    if (!mount.session->recovery().empty()) {
      spdlog::warn("{}", mount.session->recovery());
    }
    checkFits(command, *mount.session, source, earlier);
    chooseUpload(command.transfer, mount.prefix ? &*mount.prefix : nullptr, mount.access.current(),
                 source.image(), *mount.session, mount.origin);
  }
  createUploadIfMissing(command, mount, source);
  mount.origin.imageName = source.image().name;
  mount.origin.revision = source.image().revision;
  mount.origin.baseSize = source.size();
  mount.origin.source = command.source.empty() ? command.hosts : command.source;
  mount.origin.uploadPrefix = command.uploadPrefix;
  mount.origin.uploadUuid = mount.session->uploadUuid();
  mount.origin.save(command.sessionDirectory);
}

void fillIn(MountCommand& complete, const Origin& origin) {
  if (complete.image.empty()) {
    complete.image = origin.imageName;
  }
  if (complete.image == origin.imageName && complete.revision == 0) {
    complete.revision = origin.revision;
  }
  if (complete.hosts.empty() && complete.source.empty()) {
    const bool isUrl = origin.source.find("://") != std::string::npos;
    (isUrl ? complete.source : complete.hosts) = origin.source;
  }
  if (complete.uploadPrefix.empty()) {
    complete.uploadPrefix = origin.uploadPrefix;
  }
}

}  // namespace

std::optional<Origin> earlierOrigin(const MountCommand& command) {
  if (command.loadSession && !std::filesystem::is_directory(command.sessionDirectory)) {
    refuse(command, "does not exist; -L takes the folder that was given to -c");
  }
  return command.loadSession ? Origin::load(command.sessionDirectory) : std::nullopt;
}

MountCommand completedBy(const MountCommand& command, const std::optional<Origin>& origin) {
  MountCommand complete = command;
  if (origin) {
    fillIn(complete, *origin);
  }
  if (complete.hosts.empty() && complete.source.empty()) {
    refuse(command, "does not say where its base comes from; name it with -h, -i and -r");
  }
  if (complete.merge && complete.uploadPrefix.empty()) {
    throw UserError(
        "-m merges what was uploaded, but this session has no upload server; name it "
        "with -C",
        ExitStatus::usage);
  }
  return complete;
}

std::unique_ptr<Source> openSource(const MountCommand& command) {
  if (command.source.empty()) {
    return connect(command, parseHostList(command.hosts), {command.image, command.revision});
  }
  const SourceUrl url = parseSourceUrl(command.source);
  if (const auto* file = std::get_if<FileUrl>(&url)) {
    return std::make_unique<FileSource>(file->path, nameOfFile(command, file->path));
  }
  const auto& server = std::get<Dnbd3Url>(url);
  ImageName image = server.image;
  if (!command.image.empty() && command.image != image.name) {
    throw UserError("--source names the image " + image.name + ", -i the image " + command.image +
                        "; leave out one of them",
                    ExitStatus::usage);
  }
  if (command.revision != 0) {
    image.revision = command.revision;
  }
  return connect(command, {server.host}, image);
}

MountSession openMountSession(const MountCommand& command, const Source& source,
                              const std::optional<Origin>& earlier) {
  MountSession mount;
  if (!command.uploadPrefix.empty()) {
    mount.prefix.emplace(command.uploadPrefix);
    mount.access = command.transfer.access();
    warnOfPlainToken(command.transfer, *mount.prefix);
  }
  mount.session =
      command.loadSession ? Session::open(command.sessionDirectory) : makeSession(command, source);
  if (command.maxLocal) {
    mount.session->limitLocal(*command.maxLocal);
  }
  try {
    prepare(command, source, earlier, mount);
  } catch (...) {
    // A wrong option must not make it look like the session of a killed process.
    static_cast<void>(mount.session->close());
    throw;
  }
  return mount;
}

}  // namespace netcow
