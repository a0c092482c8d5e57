// SPDX-License-Identifier: Apache-2.0
//
// The writable image. A block is local (the session has it), or it lies below validRemoteSize and
// the base has it, or it is zeros.
//
// A read is split into runs of one kind; local runs and zeros are answered at once, and what the
// base has is asked for after all locks are released. A write goes to the session as it is, but
// for a first or last block that it covers in part and that is not local: such a part waits for
// the rest of its block (a fill). When the rest arrives, it goes to the session only if the block
// is still not local; if another write made it local meanwhile, the waiting parts are written over
// that one. So a fill never undoes a write, whatever the order.
//
// Sizes: reads, writes and the ends of fills hold the size lock shared, changes of size hold it
// alone. It is never held while waiting for the base. validRemoteSize only falls, so a fill that
// was asked for before a shrink cuts what it got to the value of now.
#include "image/image.h"

#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "image/image_state.h"

namespace netcow {

Image::Image(Source& base, Session* session) : state_(std::make_unique<State>(base, session)) {}

Image::~Image() = default;

bool Image::writable() const {
  return state_->session != nullptr;
}

std::uint64_t Image::size() const {
  return state_->size();
}

std::uint64_t Image::maxSize() const {
  return writable() ? state_->session->maxImageSize() : size();
}

void Image::beginBatch() {
  state_->base.beginBatch();
}

void Image::endBatch() {
  state_->base.endBatch();
}

Image::Usage Image::usage() const {
  Session::Usage local;
  if (!writable() || state_->session->usage(local)) {
    return {size(), 0};
  }
  return {std::min(local.dataBytes, roundUp(size(), kBlockSize)), local.freeBytes};
}

std::error_code Image::flush() {
  return writable() ? state_->session->checkpoint() : std::error_code{};
}

/// What lay there before a shrink must not come back.
std::error_code Image::State::zeroBehindEnd(std::uint64_t end) {
  const std::uint64_t size = session->imageSize();
  return end > size ? session->zeroLocal(size, end - size) : std::error_code{};
}

std::error_code Image::State::growTo(std::uint64_t end) {
  if (const auto error = zeroBehindEnd(end)) {
    return error;
  }
  return session->setSizes(end, session->validRemoteSize());
}

std::error_code Image::State::growToAtLeast(std::uint64_t end) {
  const WriterLock lock(sizeMutex);
  return end > session->imageSize() ? growTo(end) : std::error_code{};
}

/// Space is not worth an error: what cannot be given back now is with the next change of size.
void Image::State::releaseBehindEnd() {
  if (!session->holdsSpaceBehindEnd() || session->checkpoint()) {
    return;
  }
  const ReaderLock lock(sizeMutex);
  static_cast<void>(session->releaseBehindEnd());
}

std::error_code Image::resize(std::uint64_t size) {
  if (!writable()) {
    return errnoCode(EROFS);
  }
  if (size > maxSize()) {
    return errnoCode(EFBIG);
  }
  {
    const WriterLock lock(state_->sizeMutex);
    Session& session = *state_->session;
    if (size >= session.imageSize()) {
      return state_->growTo(size);
    }
    if (const auto error = session.setSizes(size, std::min(session.validRemoteSize(), size))) {
      return error;
    }
  }
  state_->releaseBehindEnd();
  return {};
}

}  // namespace netcow
