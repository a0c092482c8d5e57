// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "format/image_name.h"
#include "source/host_list.h"
#include "source/source.h"

namespace netcow {

/// The times a dnbd3 source keeps to. The defaults are what servers expect; tests shorten them.
struct Dnbd3Timing {
  /// For looking up names, and again for connecting and selecting the image on one server.
  std::chrono::milliseconds connectLimit{10'000};
  /// Something is sent at least this often.
  std::chrono::milliseconds keepAliveEvery{10'000};
  /// A server that says nothing for so long while it owes an answer is given up.
  std::chrono::milliseconds silenceLimit{13'000};
  /// How long a server is left alone after it failed: first, and at most.
  std::chrono::milliseconds firstRetryDelay{100};
  std::chrono::milliseconds longestRetryDelay{2'000};
};

struct Dnbd3Options {
  std::vector<Host> hosts;   ///< at least one
  ImageName image;           ///< revision 0 = the latest
  bool learnServers = true;  ///< also use servers that servers name (false: sticky, -S)
  Dnbd3Timing timing;
};

/// Connects to all hosts at once; the first that has the image is read from. Waits until then, at
/// most twice timing.connectLimit. Throws UserError, which names every host and why it is of no
/// use, if there is none.
///
/// Afterwards image() and size() never change: whenever the connection is lost or the server
/// breaks the protocol, any known server that has exactly this image takes over, and everything
/// pending is asked again there. Reads wait for that as long as it takes, until stop(). A block
/// that two servers refuse, or the only one, is EIO.
///
/// Reads of any length are asked for in pieces of at most 256 KiB, at most 200 at a time.
/// Completions run on the source's one thread; they must not call stop().
std::unique_ptr<Source> connectDnbd3(const Dnbd3Options& options);

}  // namespace netcow
