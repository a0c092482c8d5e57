// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/http/http_message.h"

namespace netcow {

/// Whether a browser sends this for a page of another site. Such a request must not change
/// anything: the person in front of the browser need not know of it. Programs that are no browsers
/// send none of the fields that tell (Sec-Fetch-Site, Origin) and are never meant.
bool isFromAnotherSite(const HttpRequest& request);

}  // namespace netcow
