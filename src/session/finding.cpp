// SPDX-License-Identifier: Apache-2.0
#include "session/finding.h"

#include <array>
#include <cstddef>

namespace netcow {
namespace {

constexpr bool kUnsound = true;
constexpr bool kNote = false;
constexpr bool kRepairable = true;
constexpr bool kByHand = false;

/// By FindingKind.
constexpr std::array kClasses = {
    FindingClass{"missing-file", kUnsound, kByHand,
                 "Without it there is no session; name the folder that was given to -c, or put the "
                 "file back from a backup."},
    FindingClass{"header", kUnsound, kByHand,
                 "Nothing behind it can be understood; put `meta` back from a backup."},
    FindingClass{"counter", kUnsound, kRepairable,
                 "Only a count is wrong; the tables tell the right one."},
    FindingClass{"data-magic", kUnsound, kByHand,
                 "This may be the data of something else; put the right file back."},
    FindingClass{"table-index", kUnsound, kByHand,
                 "The changes in 1.25 GiB of the image cannot be found; put `meta` back from a "
                 "backup."},
    FindingClass{"table-twice", kUnsound, kByHand,
                 "Two parts of the image show the same changes, so one of them lost its own; put "
                 "`meta` back from a backup."},
    FindingClass{"tables-differ", kUnsound, kByHand,
                 "`meta` and `live` are not of one session; put back the files that belong "
                 "together."},
    FindingClass{"offset-range", kUnsound, kByHand,
                 "The changes in this cluster cannot be found; put `meta` and `data` back from a "
                 "backup."},
    FindingClass{"offset-twice", kUnsound, kByHand,
                 "Both clusters show the same content, so at least one is wrong; put `meta` back "
                 "from a backup."},
    FindingClass{"bits-without-place", kUnsound, kByHand,
                 "The changes in this cluster cannot be found; put `meta` back from a backup."},
    FindingClass{"blocks-behind-end", kUnsound, kByHand,
                 "The content of these blocks is lost; put `data` back from a backup."},
    FindingClass{"live", kUnsound, kByHand, "Only a person can say which state is the right one."},
    FindingClass{"origin", kUnsound, kByHand, "The changes themselves are not touched by this."},
    FindingClass{"not-closed", kNote, kRepairable,
                 "Opening the session recovers it, and so does --repair."},
    FindingClass{"stale-counter", kNote, kRepairable,
                 "netcow counts anew, but another program may use space twice."},
    FindingClass{"zero-offset", kNote, kRepairable,
                 "netcow takes it for `no space in data`, another program may not."},
    FindingClass{"leaked-space", kNote, kRepairable,
                 "It belongs to no cluster, and can be given back to the disk."},
    FindingClass{"leftover", kNote, kRepairable, "It is of no use any more, and can be removed."},
};
static_assert(kClasses.size() == static_cast<std::size_t>(FindingKind::leftover) + 1);

}  // namespace

const FindingClass& classOf(FindingKind kind) {
  return kClasses[static_cast<std::size_t>(kind)];
}

}  // namespace netcow
