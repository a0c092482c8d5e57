// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace netcow {

/// `netcow verify-image -h HOSTS -i NAME [-r N]`: compares a whole image with the list of
/// checksums that its server has, or that lies beside a local file. argv[0] is the name for
/// messages. Prints, and returns the exit status: 0 only if every checksum was compared and fits.
int verifyImageCommand(int argc, char** argv);

}  // namespace netcow
