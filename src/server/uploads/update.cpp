// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/update.h"

#include <cstring>
#include <string>

#include "format/geometry.h"
#include "server/uploads/refusal.h"

namespace netcow {

Update parseUpdate(std::uint64_t cluster, std::uint64_t sequence, std::span<const std::byte> body) {
  Update update;
  update.cluster = cluster;
  update.sequence = sequence;
  if (body.size() < sizeof update.bits) {
    throw Refusal(
        Refusal::Kind::badRequest,
        "the body must begin with a bitfield of 40 bytes, but has " + std::to_string(body.size()));
  }
  std::memcpy(&update.bits, body.data(), sizeof update.bits);
  update.content = body.subspan(sizeof update.bits);
  const std::uint64_t expected = update.bits.count() * kBlockSize;
  if (update.content.size() != expected) {
    throw Refusal(Refusal::Kind::badRequest,
                  "the body must have " + std::to_string(sizeof update.bits + expected) +
                      " bytes for the bits that are set, but has " + std::to_string(body.size()));
  }
  return update;
}

}  // namespace netcow
