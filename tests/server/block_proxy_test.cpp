// SPDX-License-Identifier: Apache-2.0
// What a dnbd3 proxy sends to the server that it has its images from, byte by byte: it says that it
// is a server, copies the list of checksums, relays its clients' requests with their hop counts,
// and fetches the rest of the image in the background.
#include <gmock/gmock.h>

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "server/blocks/block_server.h"
#include "server/dnbd3_bytes.h"
#include "server/raw_client.h"
#include "server/test_files.h"
#include "support/checksummed_file.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::Bytes;
using test::ByteWriter;
using test::RawClient;

constexpr std::uint64_t kServedSize = (std::uint64_t{40} << 20U) + 4096;
constexpr std::uint64_t kRealSize = kServedSize - 1000;
constexpr std::uint64_t kIsServer = 1;
constexpr std::uint64_t kBackground = 2;

class BlockProxyTest : public testing::Test {
 protected:
  BlockProxyTest() {
    test::writeFile(directory_ / "lab/win.r4", content_);
    content_.resize(kServedSize);
    for (std::size_t at = 0; at < content_.size(); at += kSpan) {
      crcs_.push_back(test::plainCrc32(
          std::span(content_).subspan(at, std::min<std::size_t>(kSpan, content_.size() - at))));
    }
    test::writeChecksumList(directory_ / "lab/win.r4", crcs_);
    BlockServerOptions options;
    options.addresses = {{"127.0.0.1", 0}};
    server_ = std::make_unique<BlockServer>(catalog_, checksums_, options);
    server_->start();
  }
  RawClient select(std::uint16_t revision, std::uint64_t flags) {
    RawClient proxy(server_->addresses().front().port);
    const Bytes payload = ByteWriter().u16(3).text("lab/win").u16(revision).u8(flags).bytes();
    proxy.send(test::request(2, 0, static_cast<std::uint32_t>(payload.size()), 0, payload));
    expect(proxy, test::selectReply("lab/win", 4, kServedSize));
    return proxy;
  }
  static void expect(RawClient& proxy, const Bytes& reply) {
    EXPECT_EQ(proxy.receive(reply.size()), reply);
  }
  Bytes contentAt(std::uint64_t offset, std::uint64_t length) {
    const auto begin = content_.begin() + static_cast<std::ptrdiff_t>(offset);
    return {begin, begin + static_cast<std::ptrdiff_t>(length)};
  }
  /// The hop count is the top byte of the offset.
  static Bytes relayed(std::uint64_t hops, std::uint64_t offset, std::uint32_t length,
                       std::uint64_t handle) {
    return test::request(1, hops << 56U | offset, length, handle);
  }

  static constexpr std::size_t kSpan = std::size_t{16} << 20U;
  test::SeededRandom random_;
  test::TemporaryDirectory directory_;
  Bytes content_ = random_.bytes(kRealSize);
  std::vector<std::uint32_t> crcs_;
  ImageCatalog catalog_ = ImageCatalog(directory_.path());
  ChecksumLists checksums_ = ChecksumLists(catalog_, directory_ / ".own");
  std::unique_ptr<BlockServer> server_;
};

TEST_F(BlockProxyTest, GetsTheListOfChecksumsBeforeItCopiesTheLatestRevision) {
  RawClient proxy = select(0, kIsServer);
  proxy.send(test::request(8, 0, 0, 0));
  expect(proxy, test::reply(8, 0, test::checksumListOf(crcs_)));
}

TEST_F(BlockProxyTest, GetsBlocksForItsClientsWhateverTheHopCount) {
  RawClient proxy = select(4, kIsServer);
  for (const std::uint64_t hops : {1U, 2U, 7U, 200U, 255U}) {
    // Its handles are addresses in its memory.
    const std::uint64_t handle = 0x7F80'1234'0000'0000U + hops;
    proxy.send(relayed(hops, 8192, 65'536, handle));
    expect(proxy, test::reply(1, handle, contentAt(8192, 65'536)));
  }
  proxy.send(relayed(3, kServedSize, 4096, 9));
  expect(proxy, test::reply(4, 9));
  proxy.send(relayed(3, kServedSize - 4096, 4096, 10));
  expect(proxy, test::reply(1, 10, contentAt(kServedSize - 4096, 4096)));
}

TEST_F(BlockProxyTest, CopiesTheWholeImageInTheBackground) {
  RawClient proxy = select(4, kIsServer | kBackground);
  constexpr std::uint32_t kPiece = std::uint32_t{1} << 20U;
  for (std::uint64_t at = 0; at < kServedSize; at += kPiece) {
    const auto length =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(kPiece, kServedSize - at));
    proxy.send(relayed(0, at, length, at));
    proxy.send(test::request(5, 0, 0, 0));  // and is alive meanwhile
    expect(proxy, test::reply(1, at, contentAt(at, length)));
    expect(proxy, test::reply(5, 0));
  }
}

}  // namespace
}  // namespace netcow
