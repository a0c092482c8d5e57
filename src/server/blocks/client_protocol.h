// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "format/dnbd3_messages.h"
#include "server/blocks/block_statistics.h"
#include "server/blocks/reply_queue.h"
#include "server/catalog/image_catalog.h"
#include "server/checksums/checksum_lists.h"

namespace netcow {

/// What all clients of a server share. Everything in it must outlive them.
struct BlockService {
  const ImageCatalog& catalog;
  const ChecksumLists& checksums;
  BlockStatistics& statistics;
  ReplyQueue::Payload otherServers;  ///< the answer to GET_SERVERS

  /// At most dnbd3::kMaxServerEntries of them are told.
  static ReplyQueue::Payload encodeServers(const std::vector<dnbd3::ServerEntry>& servers);
};

/// One client's side of the dnbd3 protocol without its socket: requests in, replies out.
///
/// When the queue of replies is full the caller stops reading from the client until some have
/// left. Not thread-safe.
class ClientProtocol {
 public:
  /// A whole message of a client fits into this many bytes.
  static constexpr std::size_t kLongestMessage =
      sizeof(dnbd3::RequestHeader) + dnbd3::kMaxRequestPayload;

  /// `service` must outlive this object. `leastFromFile`: see ReplyQueue.
  explicit ClientProtocol(const BlockService& service,
                          std::uint32_t leastFromFile = ReplyQueue::kLeastFromFile)
      : service_(service), replies_(service.statistics, leastFromFile) {}
  ~ClientProtocol();
  ClientProtocol(const ClientProtocol&) = delete;
  ClientProtocol& operator=(const ClientProtocol&) = delete;

  enum class Taken {
    whole,      ///< every whole message, as far as the queue has room
    needsDisk,  ///< the next message can be answered only where waiting for the disk is allowed
    broken,     ///< the client broke the protocol or asked for an image that is not here, and is
                ///< to be disconnected
  };
  /// Takes the whole messages at the front of `bytes`; `used` tells how many bytes that were.
  /// Throws what ImageCatalog::open() throws.
  Taken receive(std::span<const std::byte> bytes, std::size_t& used, DiskAccess access);

  /// How many more messages it takes before replies have left.
  [[nodiscard]] std::size_t room() const { return replies_.room(); }
  [[nodiscard]] bool hasReplies() const { return !replies_.empty(); }

  /// The next bytes for the client: see ReplyQueue. What was gathered is gathered again until
  /// sent() says that it has left.
  ReplyQueue::Gathered gather(std::span<std::byte> buffer, DiskAccess access) {
    return replies_.gather(buffer, image_.get(), access);
  }
  [[nodiscard]] std::optional<ReplyQueue::FilePiece> filePiece() const {
    return replies_.filePiece(image_.get());
  }
  /// Whether that piece can be sent with this access to the disk.
  [[nodiscard]] bool pieceIsReady(DiskAccess access) const {
    return replies_.pieceIsReady(*image_, access);
  }
  void fileHasEnded() { replies_.fileHasEnded(); }
  void sent(std::size_t length);

  /// What was selected; null before that.
  [[nodiscard]] const ServedImage* image() const { return image_.get(); }

 private:
  Taken handle(const dnbd3::RequestHeader& request, std::span<const std::byte> payload,
               DiskAccess access);
  bool select(std::uint64_t handle, std::span<const std::byte> payload);
  void queueBlock(const dnbd3::RequestHeader& request);
  ReplyQueue::Payload checksums();

  const BlockService& service_;
  std::unique_ptr<const ServedImage> image_;  // null until one is selected
  std::shared_ptr<ImageCounters> counters_;   // of the image; null like it
  // Whoever asks again and again still costs the memory of one list.
  std::weak_ptr<const std::vector<std::byte>> checksums_;
  ReplyQueue replies_;
  Clock::Time now_;  // when the requests being taken came
};

}  // namespace netcow
