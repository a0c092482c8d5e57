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
#include "server/catalog/served_image.h"

namespace netcow {

/// What one client is still to be told, in order.
///
/// A reply is an entry of a few words; content is taken from the image only while it is being
/// sent. So a client costs the same little memory whether it asks for 4 KiB or 16 MiB, and whether
/// it receives or not: what the system does not take is read again when it does.
///
/// Small replies are gathered into a buffer and leave together. The content of a large one is a
/// piece of the image's file, which the system sends by itself, behind a header that was gathered.
///
/// Not thread-safe.
class ReplyQueue {
 public:
  using Payload = std::shared_ptr<const std::vector<std::byte>>;

  static constexpr std::size_t kMost = 1024;
  /// Content from this length on is sent from the file.
  static constexpr std::uint32_t kLeastFromFile = 32U << 10U;

  /// `leastFromFile`: as above. `statistics` must outlive the queue.
  explicit ReplyQueue(BlockStatistics& statistics, std::uint32_t leastFromFile = kLeastFromFile)
      : statistics_(statistics), leastFromFile_(leastFromFile) {}

  [[nodiscard]] bool empty() const { return replies_.empty(); }
  /// How many more fit.
  [[nodiscard]] std::size_t room() const { return kMost - replies_.size(); }

  /// A header, with the payload if there is one. `arrived`: when it was asked for.
  void addPlain(dnbd3::Command command, std::uint64_t handle, Payload payload, Clock::Time arrived);
  /// `size` bytes of the image, from `position` on; they lie in it.
  void addContent(std::uint64_t handle, std::uint64_t position, std::uint32_t size,
                  Clock::Time arrived);

  enum class State {
    ready,
    needsDisk,  ///< it goes on only where waiting for the disk is allowed
    broken,     ///< the image cannot be read in the middle of a reply: the client must go
  };
  struct Gathered {
    std::size_t length = 0;  ///< bytes put into the buffer
    State state = State::ready;
    bool pieceFollows = false;  ///< of the file, right behind them
  };
  /// Fills `buffer` (at least a ReplyHeader) with the next bytes, up to a piece of the file.
  /// `image`: the one that content is from; null only while no content was added. A reply whose
  /// content cannot be read becomes an ERROR if nothing of it was sent.
  Gathered gather(std::span<std::byte> buffer, const ServedImage* image, DiskAccess access);

  struct FilePiece {
    std::uint64_t offset = 0;
    std::size_t length = 0;
  };
  /// What comes next, if that is to be sent from the file.
  [[nodiscard]] std::optional<FilePiece> filePiece(const ServedImage* image) const;
  /// Whether that piece can be sent with this access to the disk.
  [[nodiscard]] bool pieceIsReady(const ServedImage& image, DiskAccess access) const;
  /// The file is shorter than it was: the rest of the reply is gathered, as zeros.
  void fileHasEnded() { replies_.front().fromFile = false; }

  /// The client was sent the next `length` bytes. Returns how many of them were content.
  std::uint64_t sent(std::size_t length);

 private:
  struct Reply {
    dnbd3::ReplyHeader header;
    std::uint8_t headerSent = 0;  ///< bytes of it
    bool fromFile = false;
    Payload payload;             ///< null: what remains is content of the image
    std::uint64_t position = 0;  ///< of the next byte in payload or image
    std::uint64_t remaining = 0;
    Clock::Time arrived;
  };

  static std::uint64_t lengthInFile(const Reply& reply, const ServedImage* image);
  std::error_code prepare(const Reply& reply, std::span<std::byte> scratch,
                          const ServedImage* image, DiskAccess access) const;
  std::error_code copyNext(const Reply& reply, std::span<std::byte> into, const ServedImage* image,
                           DiskAccess access) const;
  std::optional<State> afterFailure(Reply& reply, const std::error_code& error,
                                    const ServedImage* image);
  void finishFront(Clock::Time now);

  BlockStatistics& statistics_;
  const std::uint32_t leastFromFile_;
  std::deque<Reply> replies_;
};

}  // namespace netcow
