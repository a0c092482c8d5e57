// SPDX-License-Identifier: Apache-2.0
#include "cli/session_upload.h"

#include "base/errors.h"
#include "base/logging.h"
#include "upload/upload_requests.h"

namespace netcow {
namespace {

void store(Session& session, const std::string& uuid, bool sendAll) {
  if (const auto error = session.setUploadUuid(uuid, sendAll)) {
    throwErrno(error.value(), "cannot store the upload uuid in " + session.directory());
  }
}

void beginUpload(const UploadPrefix* prefix, const Credentials& credentials, const ImageName& base,
                 Session& session) {
  if (prefix == nullptr) {
    throw UserError("the session " + session.directory() +
                    " has no upload server to begin an upload at; name it with -C");
  }
  if (base.revision == 0) {
    throw UserError("the session " + session.directory() +
                    " does not say which revision it was made from; go on with it by `netcow mount "
                    "-L` with -h, -i, -r and --new-upload");
  }
  const std::string uuid = createUpload(*prefix, credentials, base);
  store(session, uuid, true);
  spdlog::info("began the upload {} of {} at {}", uuid, base.fileName(), prefix->shown());
}

}  // namespace

void chooseUpload(const TransferOptions& options, const UploadPrefix* prefix,
                  const Credentials& credentials, const ImageName& base, Session& session,
                  Origin& origin) {
  const bool known = origin.revision != 0;  // else there is no origin.json yet
  if (known && origin.uploadUuid.empty()) {
    // Written by an older version: what it says of a merge must not be taken for the next upload's.
    origin.uploadUuid = session.uploadUuid();
    origin.save(session.directory());
  }
  if (options.newUpload) {
    beginUpload(prefix, credentials, base, session);
  } else if (!options.uploadUuid.empty()) {
    store(session, options.uploadUuid, !isSameUpload(session.uploadUuid(), options.uploadUuid));
  }
  // An earlier run may have been killed between naming another upload and saving `origin`.
  origin.merge = origin.mergeOf(session.uploadUuid());
  if (origin.uploadUuid != session.uploadUuid()) {
    origin.uploadUuid = session.uploadUuid();
    if (known) {
      origin.save(session.directory());
    }
  }
}

}  // namespace netcow
