// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/checksum_download.h"

#include <poll.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "source/dnbd3/checksum_query.h"
#include "source/dnbd3/handshake.h"
#include "source/dnbd3/poll_until.h"
#include "source/dnbd3/resolver.h"

namespace netcow {
namespace {

/// One server: the handshake, then the query on the same connection.
class Asking {
 public:
  Asking(const SocketAddress& address, std::string label, const WantedImage& wanted,
         Clock::Time deadline)
      : label_(std::move(label)), handshake_(std::in_place, address, wanted), deadline_(deadline) {}

  [[nodiscard]] const std::string& label() const { return label_; }
  [[nodiscard]] bool isOver() const { return !failure_.empty() || (query_ && query_->isOver()); }
  [[nodiscard]] Clock::Time deadline() const { return deadline_; }
  [[nodiscard]] pollfd polled() const {
    return query_ ? pollfd{query_->fd(), query_->events(), 0}
                  : pollfd{handshake_->fd(), handshake_->events(), 0};
  }
  /// Null unless it is over and the server gave one.
  [[nodiscard]] const ChecksumList* list() const {
    const bool has = query_ && query_->state() == ChecksumQuery::State::answered && query_->list();
    return has ? &*query_->list() : nullptr;
  }
  /// Why it is of no use, once it is over and there is no list.
  [[nodiscard]] std::string failure() const {
    if (!failure_.empty()) {
      return failure_;
    }
    return query_->state() == ChecksumQuery::State::failed ? query_->failure()
                                                           : "has no list of checksums";
  }
  [[nodiscard]] bool saidThereIsNone() const {
    return query_ && query_->state() == ChecksumQuery::State::answered && !query_->list();
  }

  void advance(Clock::Time now, std::chrono::milliseconds limit) {
    if (!query_) {
      handshake_->advance();
      if (handshake_->state() == Handshake::State::failed) {
        failure_ = handshake_->failure();
      } else if (handshake_->state() == Handshake::State::agreed) {
        query_.emplace(handshake_->takeSocket(), handshake_->reply().size);
        deadline_ = now + limit;
      }
    }
    if (query_ && query_->advance()) {
      deadline_ = now + limit;
    }
    if (!isOver() && now >= deadline_) {
      failure_ = "does not answer";
    }
  }

 private:
  std::string label_;
  std::optional<Handshake> handshake_;
  std::optional<ChecksumQuery> query_;  // once the server has agreed
  Clock::Time deadline_;
  std::string failure_;  // other than the query's
};

std::string labelOf(const Host& host, const SocketAddress& address) {
  const std::string name = host.text();
  const std::string number = address.text();
  return name == number ? name : name + " (" + number + ")";
}

/// Drives all until one has a list or all are over.
const Asking* firstWithList(std::vector<Asking>& all, std::chrono::milliseconds limit) {
  const Clock& clock = Clock::system();
  for (;;) {
    const Clock::Time now = clock.now();
    std::vector<pollfd> polled;
    Clock::Time end = Clock::Time::max();
    for (Asking& asking : all) {
      if (!asking.isOver()) {
        asking.advance(now, limit);
      }
      if (asking.list() != nullptr) {
        return &asking;
      }
      if (!asking.isOver()) {
        polled.push_back(asking.polled());
        end = std::min(end, asking.deadline());
      }
    }
    if (polled.empty()) {
      return nullptr;
    }
    pollUntil(polled, end, clock);
  }
}

[[noreturn]] void refuse(const ImageName& image, const std::vector<Asking>& all,
                         const std::string& unresolved) {
  std::string failures = unresolved;
  bool allSaidNone = unresolved.empty();
  for (const Asking& asking : all) {
    failures += asking.label() + ": " + asking.failure() + "; ";
    allSaidNone = allSaidNone && asking.saidThereIsNone();
  }
  const std::string file = image.name + ".r" + std::to_string(image.revision) + ".crc";
  throw UserError("no server gives a list of checksums of " + image.name + " revision " +
                  std::to_string(image.revision) + ": " + failures +
                  (allSaidNone ? "have its administrator put a sound " + file +
                                     " beside the image, without which nothing can be checked"
                               : "check the servers and their " + file));
}

}  // namespace

FoundChecksums downloadChecksums(const Dnbd3Options& options, const ImageName& image,
                                 std::uint64_t imageSize) {
  const std::chrono::milliseconds limit = options.timing.connectLimit;
  std::vector<Asking> all;
  std::string unresolved;
  const WantedImage wanted = {.image = image, .size = imageSize};
  for (const ResolvedHost& resolved : resolveHosts(options.hosts, limit)) {
    for (const SocketAddress& address : resolved.addresses) {
      all.emplace_back(address, labelOf(resolved.host, address), wanted,
                       Clock::system().now() + limit);
    }
    if (!resolved.error.empty()) {
      unresolved += resolved.host.text() + " has no address (" + resolved.error + "); ";
    }
  }
  const Asking* const found = firstWithList(all, limit);
  if (found == nullptr) {
    refuse(image, all, unresolved);
  }
  return {*found->list(), found->label()};
}

}  // namespace netcow
