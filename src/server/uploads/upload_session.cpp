// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload_session.h"

#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "server/uploads/refusal.h"

namespace netcow {

void failStoring(const std::error_code& error, const std::string& where) {
  switch (toErrno(error)) {
    case EFBIG:
      throw Refusal(Refusal::Kind::badRequest, "clusterindex is beyond the largest image");
    case ENOSPC:
    case EDQUOT:
      throw Refusal(Refusal::Kind::noSpace, "no space left for uploads");
    default:
      throwErrno(toErrno(error), "cannot keep the cluster in " + where);
  }
}

namespace {

std::error_code checkpointOf(Session& session) {
  try {
    return session.checkpoint();
  } catch (const std::exception&) {  // no memory: nothing is known to be durable
    return errnoCode(ENOMEM);
  }
}

}  // namespace

UploadSession::UploadSession(std::unique_ptr<Session> session, const UploadContext& context)
    : session_(std::move(session)), context_(context) {}

bool UploadSession::store(const Update& update) {
  return order_.store(update.cluster, update.sequence, [&] {
    if (const auto error = session_->replaceCluster(update.cluster, update.bits, update.content)) {
      failStoring(error, session_->directory());
    }
  });
}

void UploadSession::makeDurable(Completion durable) {
  const MutexLock lock(mutex_);
  waiting_.push_back(std::move(durable));
  if (!std::exchange(underWay_, true)) {
    postCheckpoint();
  }
}

void UploadSession::postCheckpoint() {
  context_.workers.post([self = shared_from_this()] { self->checkpoint(); });
}

void UploadSession::checkpoint() {
  std::vector<Completion> covered;
  {
    const MutexLock lock(mutex_);
    covered.swap(waiting_);
  }
  const std::error_code error = checkpointOf(*session_);
  context_.counters.count([](UploadCounts& counts) { ++counts.commits; });
  for (Completion& durable : covered) {
    durable(error);
  }
  const MutexLock lock(mutex_);
  underWay_ = !waiting_.empty();
  if (underWay_) {
    postCheckpoint();
  }
}

}  // namespace netcow
