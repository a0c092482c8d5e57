// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "format/dnbd3_messages.h"
#include "server/blocks/block_statistics.h"
#include "server/catalog/image_catalog.h"

namespace netcow {

/// One client's side of the dnbd3 protocol without its socket: requests in, replies out.
///
/// A request becomes an entry of a few words in a queue; its data is read from the image only
/// while the reply is being sent, piece by piece into the caller's buffer. So a client costs the
/// same little memory whether it asks for 4 KiB or 16 MiB, and many small replies leave together.
/// When the queue is full the caller stops reading from the client until replies have left.
///
/// Not thread-safe.
class ClientProtocol {
 public:
  /// A whole message of a client fits into this many bytes.
  static constexpr std::size_t kLongestMessage =
      sizeof(dnbd3::RequestHeader) + dnbd3::kMaxRequestPayload;
  /// Requests that may wait for their replies.
  static constexpr std::size_t kMaxQueued = 1024;

  /// All must outlive this object. At most dnbd3::kMaxServerEntries other servers are told.
  ClientProtocol(const ImageCatalog& catalog, const std::vector<dnbd3::ServerEntry>& otherServers,
                 BlockStatistics& statistics);
  ~ClientProtocol();
  ClientProtocol(const ClientProtocol&) = delete;
  ClientProtocol& operator=(const ClientProtocol&) = delete;

  /// Takes the whole messages at the front of `bytes`, as far as the queue has room; `used` tells
  /// how many bytes that were. False: the client broke the protocol or asked for an image that is
  /// not here, and is to be disconnected. Throws what ImageCatalog::open() throws.
  bool receive(std::span<const std::byte> bytes, std::size_t& used);

  [[nodiscard]] bool queueFull() const { return replies_.size() >= kMaxQueued; }
  [[nodiscard]] bool hasReplies() const { return !replies_.empty(); }

  /// Fills `buffer`, as far as there is something to say, with the next bytes for the client.
  /// `buffer` must hold at least a ReplyHeader. Nothing: the image became unreadable in the middle
  /// of a reply, and the client is to be disconnected.
  std::optional<std::size_t> produce(std::span<std::byte> buffer);

  /// What was selected; null before that.
  [[nodiscard]] const ServedImage* image() const { return image_.get(); }

 private:
  using Payload = std::shared_ptr<const std::vector<std::byte>>;

  /// What the client will hear: a header, then `header.size` bytes of the image from `position`
  /// on, or of `payload`.
  struct Reply {
    dnbd3::ReplyHeader header;
    bool headerSent = false;
    Payload payload = nullptr;   ///< null: the image
    std::uint64_t position = 0;  ///< of the next byte
    std::uint64_t remaining = 0;
    Clock::Time arrived;  ///< when the request came
  };

  bool handle(const dnbd3::RequestHeader& request, std::span<const std::byte> payload);
  bool select(std::uint64_t handle, std::span<const std::byte> payload);
  void queueBlock(const dnbd3::RequestHeader& request);
  void finishFront();
  void queuePlain(dnbd3::Command command, std::uint64_t handle, Payload payload = nullptr);
  const Payload& checksums();
  bool copyPiece(Reply& reply, std::span<std::byte> into) const;

  const ImageCatalog& catalog_;
  Payload otherServers_;
  BlockStatistics& statistics_;
  std::shared_ptr<ImageCounters> counters_;   // of the image; null like it
  std::unique_ptr<const ServedImage> image_;  // null until one is selected
  Payload checksums_;                         // read when they are first asked for
  std::deque<Reply> replies_;
  Clock::Time now_;  // when the requests being taken came
};

}  // namespace netcow
