// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "format/image_name.h"
#include "source/dnbd3/host_list.h"
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
  /// A server that sends nothing for so long (and for five round trips) while it owes a block is
  /// late: others are tried beside it.
  std::chrono::milliseconds lateAfter{1'000};
  /// A server that keeps one block back while it answers other things is given up for it after
  /// silenceLimit at first, and later after at most this.
  std::chrono::milliseconds longestBlockLimit{300'000};
  /// How long a server is left alone after it failed: first, and at most.
  std::chrono::milliseconds firstRetryDelay{100};
  std::chrono::milliseconds longestRetryDelay{2'000};
  /// Known servers are measured so often: a few times after a connection was made, and later.
  std::chrono::milliseconds probeFirstEvery{2'000};
  std::chrono::milliseconds probeLaterEvery{45'000};
  /// For measuring one server.
  std::chrono::milliseconds probeLimit{5'000};
  /// When no server can be reached, names are looked up again: first after, and then every.
  std::chrono::milliseconds lookUpAfter{10'000};
  std::chrono::milliseconds lookUpEvery{30'000};
};

struct Dnbd3Options {
  std::vector<Host> hosts;   ///< at least one
  ImageName image;           ///< revision 0 = the latest
  bool learnServers = true;  ///< also use servers that servers name (false: sticky, -S)
  /// A read that is not answered so long after it was asked is EIO; nothing: it waits for ever.
  std::optional<std::chrono::milliseconds> ioTimeout;
  Dnbd3Timing timing;
};

/// Connects to all hosts at once; the first that has the image is read from. Waits until then, at
/// most twice timing.connectLimit. Throws UserError, which names every host and why it is of no
/// use, if there is none.
///
/// Afterwards image() and size() never change: whenever the connection is lost, or the server is
/// late or breaks the protocol, any known server that has exactly this image takes over, and
/// everything pending is asked again there. So does a server that was measured to be clearly
/// faster for a while. Reads wait as long as it takes, until stop() or options.ioTimeout. A block
/// that two servers refuse, or the only one, is EIO.
///
/// Reads of any length are asked for in pieces of at most 256 KiB, at most 200 at a time.
/// Completions run on the source's one thread; they must not call stop().
std::unique_ptr<Source> connectDnbd3(const Dnbd3Options& options);

}  // namespace netcow
