// SPDX-License-Identifier: Apache-2.0
#include "upload/uploader.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/logging.h"
#include "format/geometry.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;

/// The longest the thread sleeps.
constexpr std::chrono::milliseconds kLongestSleep = 5s;
/// A problem that stays the same is logged again after this.
constexpr std::chrono::seconds kComplaintInterval = 60s;
/// Clusters that are looked at in one round and need no upload: what is under way goes on between.
constexpr int kUnsentInARound = 8;

/// For merge and status.
constexpr std::size_t kSpareConnections = 1;

std::string describeRefusal(const HttpAnswer& answer) {
  if (answer.status == 0) {  // nothing was heard of a server that is to be trusted
    return describe(answer) + adviceFor(answer);
  }
  const bool merged = answer.status == 409;
  return "the server refuses the upload, it answers " + describe(answer) +
         (merged ? "; what changed since its merge needs another one: --new-upload"
                 : adviceFor(answer));
}

std::optional<UploadRequests> makeRequests(const Session& session, const UploadOptions& options) {
  if (!options.prefix) {
    return std::nullopt;
  }
  const std::string uuid = session.uploadUuid();
  if (uuid.empty()) {
    throw UserError("the session " + session.directory() + " belongs to no upload at " +
                    options.prefix->shown() + "; name one with --upload-uuid");
  }
  return std::optional<UploadRequests>(std::in_place, *options.prefix, options.access, uuid);
}

}  // namespace

Uploader::Uploader(Session& session, UploadOptions options, const Clock& clock)
    : session_(session),
      options_(std::move(options)),
      clock_(clock),
      requests_(makeRequests(session, options_)),
      client_(std::max(options_.rules.parallelMounted, options_.rules.parallelFinal) +
                  kSpareConnections,
              SendBudget(options_.rules.bytesPerSecond, clock)),
      reporter_(session, options_.statusFile, options_.statusSink, clock),
      schedule_(options_.rules, clock, options_.jitter),
      recordedMerge_(options_.earlierMerge),
      outage_(requests_ ? requests_->prefix().shown() : "", clock) {
  if (requests_) {
    sent_.emplace(session_);
    if (options_.base) {
      base_.emplace(*options_.base, clock_);
    }
    planner_.emplace(session_, *sent_, base_ ? &*base_ : nullptr);
  }
  state_ = requests_ ? UploadStatus::State::active : UploadStatus::State::local;
  reporter_.report(progress());
}

Uploader::~Uploader() {
  if (thread_.joinable()) {
    cancel();
    thread_.join();
  }
  session_.whenDirty({});
}

void Uploader::start() {
  if (requests_ || options_.statusFile || options_.statusSink) {
    if (requests_) {
      session_.whenDirty([this] { wake(); });
    }
    thread_ = std::thread([this] { run(); });
  }
}

void Uploader::setNoNewUploads() {
  noNewUploads_ = true;
  wake();
}

void Uploader::cancel() {
  cancelled_ = true;
  wake();
}

UploadOutcome Uploader::finish() {
  finishWanted_ = true;
  if (thread_.joinable()) {
    wake();
    thread_.join();
  } else {
    run();
  }
  return outcome_;
}

void Uploader::run() {
  try {
    if (requests_) {
      state_ = UploadStatus::State::backgroundUpload;
    }
    reporter_.report(progress());
    while (phase_ != Phase::ended) {
      doRound();
    }
  } catch (const std::exception& error) {
    endUnfinished(UploadStatus::State::failed, error.what());
  }
  if (requests_) {
    keepWhatWasSent();
    spdlog::info("{}", summaryOf(figures_));
  }
  reporter_.reportEnd(progress());
}

/// Now and then.
void Uploader::keepTidy() {
  if (sent_) {
    sent_->save();
  }
  if (base_) {
    base_->rest();
  }
}

/// Another run then need not send it again.
void Uploader::keepWhatWasSent() {
  try {
    if (!session_.checkpoint()) {
      sent_->save();
    }
  } catch (const std::exception& error) {
    spdlog::warn("cannot note what was sent: {}; another run may send it again", error.what());
  }
}

void Uploader::doRound() {
  for (const auto& finished : client_.run()) {
    handle(finished);
  }
  obeyWishes();
  if (requests_ && (phase_ == Phase::mounted || phase_ == Phase::finalPass)) {
    startUploads();
  }
  if (phase_ == Phase::finalPass) {
    endFinalPass();
  }
  if (phase_ == Phase::merging) {
    continueMerge();
  }
  if (phase_ != Phase::ended) {
    if (clock_.now() >= reporter_.nextReport()) {
      reporter_.report(progress());
      keepTidy();
    } else if (moves() && clock_.now() >= reporter_.nextUpdate()) {
      reporter_.update(progress());
    }
    client_.wait(untilNextEvent());
  }
}

std::chrono::milliseconds Uploader::untilNextEvent() const {
  auto next =
      moves() ? std::min(reporter_.nextReport(), reporter_.nextUpdate()) : reporter_.nextReport();
  next = std::min(next, deadline_.value_or(next));
  if (phase_ == Phase::merging) {
    if (client_.underWay() == 0) {
      next = std::min(next, mergePlan_->time());
    }
  } else if (requests_) {
    next = std::min(next, schedule_.wakeAt(session_.oldestDirty()).value_or(next));
    next = std::min(next, client_.nextTurn().value_or(next));
  }
  // One more than rounded down, or the thread would wake just before the time and spin.
  const auto rest = next - clock_.now();
  const auto sleep = std::chrono::duration_cast<std::chrono::milliseconds>(rest) + 1ms;
  return std::clamp(sleep, 0ms, kLongestSleep);
}

bool Uploader::moves() const {
  return requests_ && (phase_ != Phase::mounted || client_.underWay() > 0);
}

UploadProgress Uploader::progress() {
  UploadProgress progress;
  progress.state = state_;
  progress.newestDue = requests_ ? schedule_.newestDue() : Clock::Time::min();  // none: no queue
  progress.checkedOut = schedule_.inFlight() + schedule_.waiting();
  progress.inFlight = schedule_.inFlight();
  progress.clustersUploaded = figures_.clustersSent;
  progress.bytesUploaded = figures_.bytesSent;
  progress.bytesInFlight = client_.bytesInFlight();
  progress.bytesSent = client_.takeBytesSent();
  progress.merge = mergeStatus();
  progress.mergedClusters = serverProgress_.mergedClusters;
  progress.clustersToMerge = serverProgress_.totalClusters;
  return progress;
}

void Uploader::startUploads() {
  giveBack(/*everything=*/false);
  for (int unsent = 0; schedule_.mayStart() && unsent < kUnsentInARound;) {
    const auto cluster = session_.takeDirty(schedule_.newestDue());
    if (!cluster) {
      return;
    }
    const std::size_t before = client_.underWay();
    startUpload(*cluster);
    unsent += client_.underWay() == before ? 1 : 0;
  }
}

void Uploader::startUpload(std::uint64_t cluster) {
  if (cluster * kClusterSize >= session_.imageSize()) {
    skip(cluster);
    return;
  }
  const UpdatePlanner::Plan plan = planner_->plan(cluster);
  switch (plan.kind) {
    case UpdatePlanner::Plan::Kind::send:
      client_.start(
          UploadClient::Purpose::update,
          requests_->makeUpdate(session_, plan.update, hashKey(), options_.rules.giveUpAfter));
      schedule_.started();
      break;
    case UpdatePlanner::Plan::Kind::notDurable:
      holdBack(cluster, plan.error);
      break;
    case UpdatePlanner::Plan::Kind::unchanged:
    case UpdatePlanner::Plan::Kind::nothing:
      endUnsent(plan);
      break;
  }
}

/// Null where hashes are of no use: after its merge nothing is sent to this upload again.
const HashKey* Uploader::hashKey() const {
  return phase_ == Phase::finalPass && options_.merge ? nullptr : &sent_->hashKey();
}

void Uploader::endUnsent(const UpdatePlanner::Plan& plan) {
  const ClusterUpdate& update = plan.update;
  if (!session_.acknowledgeUpload(update.cluster, update.changes)) {
    return;  // it changed meanwhile, and is looked at again
  }
  sent_->unsent(update.cluster);
  figures_.blocksOfBase += update.leftOut;
  if (plan.kind == UpdatePlanner::Plan::Kind::unchanged) {
    ++figures_.clustersUnchanged;
    figures_.bytesUnchanged += update.size();
  }
}

void Uploader::holdBack(std::uint64_t cluster, const std::error_code& error) {
  if (error.value() == EIO) {
    session_.returnDirty(cluster);
    stopUploads("the session cannot be made durable (" + error.message() +
                "), so nothing more of it is sent, and the next mount may go back to the last "
                "checkpoint; check the disk");
    return;
  }
  schedule_.postpone(cluster);
  complain("uploads wait until the session " + session_.directory() +
           " can be made durable: " + error.message());
}

void Uploader::skip(std::uint64_t cluster) {
  if (phase_ == Phase::mounted) {
    schedule_.defer(cluster);  // the image may be growing at this moment
  } else {
    // Growing the image in a later run zeroes the cluster, and so makes it dirty again.
    session_.acknowledgeUpload(cluster, session_.snapshot(cluster).changes);
  }
}

void Uploader::giveBack(bool everything) {
  for (const std::uint64_t cluster : schedule_.takeWaited(everything)) {
    session_.returnDirty(cluster);
  }
}

void Uploader::handle(const UploadClient::Finished& finished) {
  if (finished.purpose == UploadClient::Purpose::update) {
    handleUpdate(finished);
  } else {
    handleMerge(finished);
  }
}

void Uploader::handleUpdate(const UploadClient::Finished& finished) {
  const HttpAnswer& answer = finished.answer;
  if (answer.retryAfter) {
    schedule_.pause(*answer.retryAfter);
  }
  switch (judge(answer)) {
    case Verdict::accepted:
      schedule_.arrived(finished.update.cluster);
      session_.acknowledgeUpload(finished.update.cluster, finished.update.changes);
      sent_->arrived(finished.update.cluster, finished.body);
      ++figures_.clustersSent;
      figures_.bytesSent += finished.update.size();
      figures_.blocksOfBase += finished.update.leftOut;
      outage_.succeeded(clustersLeft());
      break;
    case Verdict::pause:
      schedule_.sentBack();
      session_.returnDirty(finished.update.cluster);
      break;
    case Verdict::again:
      fail(finished.update.cluster, answer);
      break;
    case Verdict::unknown:
      refuse(finished.update.cluster,
             "the server does not know the upload " + session_.uploadUuid() + ", it answers " +
                 describe(answer) + "; if it has expired, begin another one with --new-upload");
      break;
    case Verdict::refused:
      refuse(finished.update.cluster, describeRefusal(answer));
      break;
  }
}

void Uploader::fail(std::uint64_t cluster, const HttpAnswer& answer) {
  if (answer.unreadable && phase_ != Phase::mounted) {
    refuse(cluster, describe(answer));  // no server can help, so do not try for ever
    return;
  }
  schedule_.failed(cluster);  // first: who sees the failure may move the clock on
  session_.failUpload(cluster);
  if (answer.unreadable) {
    complain("a cluster was not uploaded and will be tried again: " + describe(answer));
    return;
  }
  reporter_.noteError("cluster " + std::to_string(cluster) +
                      " was not uploaded and will be tried again: " + describe(answer));
  outage_.failed(describe(answer), clustersLeft());
}

void Uploader::refuse(std::uint64_t cluster, const std::string& problem) {
  schedule_.sentBack();
  session_.failUpload(cluster);
  session_.returnDirty(cluster);
  stopUploads(problem);
}

void Uploader::stopUploads(const std::string& problem) {
  schedule_.stop();
  reporter_.noteError(problem);
  if (refusal_.empty()) {
    refusal_ = problem;
    state_ = UploadStatus::State::failed;
    if (phase_ == Phase::mounted) {  // else the outcome says it
      spdlog::error("uploads have stopped: {}; changes stay in {}", problem, session_.directory());
    }
  }
}

/// Dirty ones, wherever they are.
std::uint64_t Uploader::clustersLeft() const {
  const auto counts = session_.dirtyCounts(schedule_.newestDue());
  return counts.old + counts.fresh + schedule_.inFlight() + schedule_.waiting();
}

void Uploader::complain(const std::string& problem) {
  reporter_.noteError(problem);
  const auto now = clock_.now();
  if (problem == lastComplaint_ && now - lastComplaintAt_ < kComplaintInterval) {
    spdlog::debug("{}", problem);
    return;
  }
  lastComplaint_ = problem;
  lastComplaintAt_ = now;
  spdlog::warn("{}", problem);
}

}  // namespace netcow
