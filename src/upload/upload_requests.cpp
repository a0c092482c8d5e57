// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_requests.h"

#include <utility>

#include "base/errors.h"
#include "format/session_files.h"

namespace netcow {
namespace {

[[noreturn]] void throwCannotCreate(const UploadPrefix& prefix, const ImageName& image,
                                    const std::string& why) {
  throw UserError("cannot begin an upload of " + image.fileName() + " at " + prefix.shown() + ": " +
                  why);
}

std::string whyRefused(const HttpAnswer& answer) {
  switch (judge(answer)) {
    case Verdict::unknown:
      return describe(answer) +
             "; check that -C names the upload server and that it holds this revision";
    case Verdict::pause:
      return describe(answer) + "; it asks to try again in " +
             std::to_string(answer.retryAfter->count()) + " seconds";
    case Verdict::again:
      return describe(answer) + "; check that the server runs and try again";
    default: {
      const std::string advice = adviceFor(answer);
      return describe(answer) + (advice.empty() ? "; check the address given with -C" : advice);
    }
  }
}

}  // namespace

std::string createUpload(const UploadPrefix& prefix, const Credentials& credentials,
                         const ImageName& image) {
  const std::string form = "revision=" + std::to_string(image.revision) +
                           "&bitfieldSize=" + std::to_string(kBitfieldSize) +
                           "&imageName=" + HttpCall::escape(image.name);
  const HttpAnswer answer = HttpCall::postForm(prefix.url("create"), credentials, form)->perform();
  if (judge(answer) != Verdict::accepted) {
    throwCannotCreate(prefix, image, whyRefused(answer));
  }
  std::string uuid = answer.body;
  while (uuid.ends_with('\n') || uuid.ends_with('\r')) {
    uuid.pop_back();
  }
  if (!isUploadUuid(uuid) || uuid.find_first_of("<>\"{}") != std::string::npos) {
    throwCannotCreate(prefix, image,
                      "the answer is no upload uuid: " + describe(answer) +
                          "; check that -C names an upload server");
  }
  return uuid;
}

HttpAnswer discardUpload(const UploadPrefix& prefix, const Credentials& credentials,
                         const std::string& uuid) {
  const std::string url = prefix.url("session") + "?uuid=" + HttpCall::escape(uuid);
  return HttpCall::remove(url, credentials)->perform();
}

UploadRequests::UploadRequests(UploadPrefix prefix, UploadAccess access, const std::string& uuid)
    : prefix_(std::move(prefix)), access_(std::move(access)), uuid_(HttpCall::escape(uuid)) {}

std::unique_ptr<HttpCall> UploadRequests::makeUpdate(const Session& session,
                                                     const ClusterUpdate& update,
                                                     const HashKey* hashKey,
                                                     std::chrono::seconds giveUpAfter) {
  const std::string url =
      prefix_.url("update") + "?uuid=" + uuid_ + "&clusterindex=" + std::to_string(update.cluster);
  return HttpCall::postCluster(url, access_.current(), session, update, hashKey, giveUpAfter);
}

std::unique_ptr<HttpCall> UploadRequests::makeMerge(std::uint64_t validRemoteSize,
                                                    std::uint64_t imageSize) {
  return HttpCall::postForm(prefix_.url("merge"), access_.current(),
                            "originalFileSize=" + std::to_string(validRemoteSize) +
                                "&newFileSize=" + std::to_string(imageSize) + "&uuid=" + uuid_);
}

std::unique_ptr<HttpCall> UploadRequests::makeStatus() {
  return HttpCall::get(prefix_.url("status") + "?uuid=" + uuid_, access_.current());
}

}  // namespace netcow
