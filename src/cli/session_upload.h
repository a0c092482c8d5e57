// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/transfer_options.h"
#include "format/image_name.h"
#include "session/origin.h"
#include "session/session.h"
#include "upload/upload_prefix.h"

namespace netcow {

/// Gives a session that was made before the upload that the options ask for, one they name or a
/// new one for `base` (revision 0: not known). Another upload than before holds nothing: everything
/// local is to be sent, and no merge was asked for; `origin` says so, and is saved where there was
/// one. Without such an option the upload stays as it is. Throws UserError.
void chooseUpload(const TransferOptions& options, const UploadPrefix* prefix,
                  const Credentials& credentials, const ImageName& base, Session& session,
                  Origin& origin);

}  // namespace netcow
