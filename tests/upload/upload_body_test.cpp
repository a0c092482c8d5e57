// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_body.h"

#include <gtest/gtest.h>

#include "support/seeded_random.h"
#include "upload/uploading_session.h"

namespace netcow {
namespace {

using test::SeededRandom;
using test::UploadingSession;

constexpr HashKey kHashKey = {std::byte{7}};

/// Reads all of `body`, asking for as many bytes as `wanted()` says.
template <class Wanted>
std::string readAll(UploadBody& body, Wanted wanted) {
  std::string text;
  for (;;) {
    std::string part(wanted(), '?');
    std::size_t used = 0;
    EXPECT_FALSE(body.read(std::as_writable_bytes(std::span(part)), used));
    if (used == 0) {
      return text;
    }
    text.append(part, 0, used);
  }
}

class Body : public testing::Test {
 protected:
  /// An update that carries everything local.
  [[nodiscard]] ClusterUpdate everythingOf(std::uint64_t cluster) {
    const Session::Snapshot snapshot = local.session().snapshot(cluster);
    return {cluster, snapshot.changes, snapshot.bits, 0};
  }

  UploadingSession local{"some-uuid"};
};

TEST_F(Body, IsTheBitfieldAndThenTheLocalBlocks) {
  local.write(3, 0, 1, 'a');
  local.write(3, 7, 3, 'b');
  local.write(3, 319, 1, 'c');
  UploadBody body(local.session(), everythingOf(3), &kHashKey);
  const std::string text = readAll(body, [] { return 1U << 20U; });
  EXPECT_EQ(body.size(), 40U + 5 * 4096);
  EXPECT_EQ(text, local.expectedBodies().at(3));
}

TEST_F(Body, IsTheSameInPiecesOfAnySize) {
  SeededRandom random;
  for (int i = 0; i < 30; ++i) {
    local.write(2, random.between(0, 300), random.between(1, 20), static_cast<char>('a' + i % 26));
  }
  UploadBody body(local.session(), everythingOf(2), &kHashKey);
  const std::string expected = local.expectedBodies().at(2);
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t largest = random.oneIn(2) ? 9000 : 300'000;
    EXPECT_EQ(readAll(body, [&] { return random.between(1, largest); }), expected);
    body.rewind();
  }
}

TEST_F(Body, BeginsAnewInTheMiddleOfABlock) {
  local.fill(1, 'x');
  UploadBody body(local.session(), everythingOf(1), &kHashKey);
  std::string part(50, '?');
  std::size_t used = 0;
  ASSERT_FALSE(body.read(std::as_writable_bytes(std::span(part)), used));
  body.rewind();
  EXPECT_EQ(readAll(body, [] { return 5000U; }), local.expectedBodies().at(1));
}

TEST_F(Body, MayCarryNoBlockAtAll) {
  ASSERT_FALSE(local.session().replaceCluster(4, ClusterBits{}, {}));
  UploadBody body(local.session(), everythingOf(4), &kHashKey);
  EXPECT_EQ(body.size(), 40U);
  EXPECT_EQ(readAll(body, [] { return 100U; }), std::string(40, '\0'));
}

TEST_F(Body, KeepsItsBlocksWhenMoreBecomeLocal) {
  local.write(5, 10, 1, 'a');
  UploadBody body(local.session(), everythingOf(5), &kHashKey);
  const std::string before = local.expectedBodies().at(5);
  local.write(5, 11, 1, 'b');
  EXPECT_EQ(body.size(), 40U + 4096);
  EXPECT_EQ(readAll(body, [] { return 100'000U; }), before);
  EXPECT_NE(local.session().snapshot(5).changes, body.update().changes);
}

TEST_F(Body, CarriesTheBlocksOfItsUpdateAndNoOther) {
  local.write(1, 5, 1, 'a');
  ClusterUpdate update = everythingOf(1);
  local.write(1, 3, 4, 'b');
  local.write(1, 5, 1, 'a');
  UploadBody body(local.session(), update, &kHashKey);
  ClusterBits bits;
  bits.set(5);
  const std::string bitfield(bits.bytes.begin(), bits.bytes.end());
  EXPECT_EQ(readAll(body, [] { return 3000U; }), bitfield + std::string(4096, 'a'));
}

TEST_F(Body, KnowsTheDigestOfWhatWasHandedOut) {
  local.fill(1, 'x');
  UploadBody body(local.session(), everythingOf(1), &kHashKey);
  std::string begun(50'000, '?');
  std::size_t used = 0;
  ASSERT_FALSE(body.read(std::as_writable_bytes(std::span(begun)), used));
  EXPECT_FALSE(body.takeDigest()) << "of a body that was not read to its end";
  body.rewind();
  // Changed after it was handed out: the server has the old content, and that is what counts.
  const std::string sent = readAll(body, [&] {
    local.write(1, 0, 1, 'y');
    return 100'000U;
  });
  KeyedHash expected(kHashKey);
  expected.add(std::as_bytes(std::span(sent)));
  EXPECT_EQ(body.takeDigest(), expected.finish());
}

TEST_F(Body, HasNoDigestWithoutAKey) {
  local.fill(1, 'x');
  UploadBody body(local.session(), everythingOf(1), nullptr);
  EXPECT_EQ(readAll(body, [] { return 100'000U; }), local.expectedBodies().at(1));
  EXPECT_FALSE(body.takeDigest());
  body.rewind();
  EXPECT_EQ(readAll(body, [] { return 100'000U; }), local.expectedBodies().at(1));
}

}  // namespace
}  // namespace netcow
