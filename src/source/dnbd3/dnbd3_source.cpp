// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/dnbd3_source.h"

#include <poll.h>

#include <utility>

#include "base/errors.h"
#include "base/logging.h"
#include "source/dnbd3/dnbd3_client.h"
#include "source/dnbd3/name_refresher.h"
#include "source/dnbd3/poll_until.h"
#include "source/dnbd3/resolver.h"

namespace netcow {
namespace {

/// Adds what the hosts' names stand for to `servers`. Returns "host why" for those without, joined
/// by "; ".
std::string resolveInto(KnownServers& servers, const Dnbd3Options& options) {
  std::string failures;
  for (const ResolvedHost& resolved : resolveHosts(options.hosts, options.timing.connectLimit)) {
    addServers(servers, resolved);
    if (!resolved.error.empty()) {
      failures += (failures.empty() ? "" : "; ") + resolved.host.text() + " has no address (" +
                  resolved.error + ")";
    }
  }
  return failures;
}

/// The first server that has the image; nothing when all have failed.
std::optional<ServerFinder::Found> search(ServerFinder& finder) {
  std::vector<pollfd> polled;
  for (;;) {
    if (auto found = finder.advance(Clock::system().now())) {
      return found;
    }
    if (finder.hasFailed()) {
      return std::nullopt;
    }
    polled.clear();
    finder.addTo(polled);
    pollUntil(polled, finder.nextEvent(), Clock::system());
  }
}

std::string describe(const ImageName& image) {
  return image.name + (image.revision == 0 ? std::string(" (latest revision)")
                                           : " revision " + std::to_string(image.revision));
}

}  // namespace

std::unique_ptr<Source> connectDnbd3(const Dnbd3Options& options) {
  KnownServers servers({options.timing.firstRetryDelay, options.timing.longestRetryDelay});
  const std::string unresolved = resolveInto(servers, options);
  ServerFinder::Settings settings;
  settings.wanted.image = options.image;
  settings.limit = options.timing.connectLimit;
  ServerFinder finder(servers, std::move(settings));
  auto found = search(finder);
  if (!found) {
    const std::string failures = finder.failures();
    const bool both = !unresolved.empty() && !failures.empty();
    throw UserError(
        "no server gives image " + describe(options.image) + ": " + unresolved +
        (both ? "; " : "") + failures +
        (failures.empty() ? "; check the hosts" : "; check the hosts and the name of the image"));
  }
  if (!unresolved.empty()) {
    spdlog::warn("going on without some hosts: {}; check their names", unresolved);
  }
  return std::make_unique<Dnbd3Client>(options, std::move(servers), std::move(*found));
}

}  // namespace netcow
