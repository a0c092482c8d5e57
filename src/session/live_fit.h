// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <system_error>

#include "session/table_file.h"

// Whether `live` can be the newer state of its `meta`.
//
// `live` is never synced. It survives a killed process in the page cache, but not a disk that went
// away and came back in the same boot (a lost iSCSI, USB or loop device, a file system that shut
// itself down): then each page of it is new, old or a hole, and nobody may have been able to mark
// it. Two things tell:
//   - netcow never writes an offset of 0 to `live`, so a 0 is a page that never reached the disk;
//   - a mount takes neither a place nor a bit from a cluster, and `live` has every entry before
//     `meta`. So an entry of `live` that has less than that of `meta` is an old page. Who replaces
//     or forgets bits (an upload server, a cache) counts one upload more at that; so one with fewer
//     uploads is old too if it has a bit that `meta` lacks.
namespace netcow {

/// The worst comes last.
enum class LiveFit {
  newer,        ///< as it should be
  older,        ///< a part of it is older than `meta`
  contradicts,  ///< it has another place for a cluster than `meta`
  torn,         ///< a part of it never reached the disk
};

/// Compares the tables that both hold; what makes no sense by itself is not judged here. `live` may
/// be in use. The worst that is found counts.
std::error_code compareWithMeta(TableFile& live, TableFile& meta, LiveFit& fit);

}  // namespace netcow
