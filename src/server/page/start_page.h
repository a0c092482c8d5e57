// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/catalog/image_catalog.h"
#include "server/http/http_message.h"
#include "server/uploads/upload_service.h"

namespace netcow {

/// What a browser sees at `/`: what this is, the images, the uploads.
HttpResponse startPage(const ImageCatalog& catalog, const UploadService& uploads);

}  // namespace netcow
