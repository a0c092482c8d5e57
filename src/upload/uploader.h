// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/errors.h"
#include "session/session.h"
#include "upload/merge_plan.h"
#include "upload/outage_log.h"
#include "upload/update_planner.h"
#include "upload/upload_client.h"
#include "upload/upload_figures.h"
#include "upload/upload_prefix.h"
#include "upload/upload_reporter.h"
#include "upload/upload_requests.h"
#include "upload/upload_schedule.h"

// Brings a session's changes to its upload server.
//
//   mounted --finish()--> final pass --all acknowledged--> merging --> ended
//
// One thread does everything: it owns all of curl, asks the schedule what may begin, tells the
// session what has arrived, and writes the status. While mounted it sends clusters that have been
// left alone for a while; in the final pass it sends all that is dirty until nothing is; then it
// asks for the merge. Each phase may end early: by setNoNewUploads(), by cancel(), because the
// server refuses the session, or because the time for the end is over. Changes stay in the session
// then, for another run.
//
// Guarantees: a cluster counts as clean only when the server has acknowledged everything written
// to it; the merge is asked only when no cluster is dirty and a checkpoint has succeeded, and
// never again once it was accepted, unless the server tells that it failed. Nothing is sent that
// the session could lose again: once it cannot be made durable, uploads stop. A writer never waits
// for an upload.
namespace netcow {

struct UploadOptions {
  std::optional<UploadPrefix> prefix;          ///< none: the session stays local, nothing is sent
  UploadAccess access;                         ///< what requests are sent with
  bool merge = false;                          ///< ask for the merge in the end
  MergeState earlierMerge = MergeState::none;  ///< what onMergeState was last told, by any run
  /// Told of each change, on the uploader's thread, to be remembered across runs; it must be
  /// durable when this returns. What it throws is logged.
  std::function<void(MergeState)> onMergeState;
  bool statusFile = false;                  ///< keep DIRECTORY/status
  StatusSink statusSink;                    ///< gets the same text, may be empty
  std::optional<BaseBlocks::Options> base;  ///< what it has too need not be sent
  UploadRules rules;
  Jitter jitter = Jitter::random();
};

struct UploadOutcome {
  ExitStatus status = ExitStatus::done;  ///< done, notUploaded or notMerged
  std::string message;                   ///< one line for people
};

/// One run of uploads. start() and finish() belong to one thread, the rest may be called from any.
class Uploader {
 public:
  /// Writes the first status. `session`, whose uuid names the upload, and `clock` must outlive
  /// the uploader. Throws UserError when there is a server but the session names no upload.
  Uploader(Session& session, UploadOptions options, const Clock& clock = Clock::system());
  /// Cancels if finish() was not called.
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  /// Begins uploading in the background. A session that stays local gets no thread unless somebody
  /// wants its status.
  void start();

  /// SIGQUIT while mounted: no new uploads, those in flight finish, nothing is merged; finish()
  /// will return notUploaded. (If the merge was being asked for already, as cancel().)
  void setNoNewUploads();

  /// SIGQUIT while finish() runs: it ends what is in flight and returns at once; notMerged if the
  /// server took the merge but said that it is still at it. (A repeated
  /// SIGTERM must not come here: it does not end uploads.)
  void cancel();

  /// Nobody writes to the session any more: uploads the rest, merges if asked, and waits for all
  /// that. Retries for as long as it takes, or as UploadRules::finalTimeout allows. To be called
  /// once; without start() before, all of it is done on the calling thread.
  UploadOutcome finish();

  /// How it goes. Never waits for the network or the disk.
  [[nodiscard]] UploadStatus status() const { return reporter_.current(); }

  /// Makes the thread look again whether something is due; for tests that move the clock.
  void wake() { client_.wake(); }

 private:
  enum class Phase { mounted, finalPass, merging, ended };

  void run();
  void doRound();
  void obeyWishes();
  void startUploads();
  void startUpload(std::uint64_t cluster);
  [[nodiscard]] const HashKey* hashKey() const;
  void endUnsent(const UpdatePlanner::Plan& plan);
  void skip(std::uint64_t cluster);
  void holdBack(std::uint64_t cluster, const std::error_code& error);
  void handle(const UploadClient::Finished& finished);
  void handleUpdate(const UploadClient::Finished& finished);
  void handleMerge(const UploadClient::Finished& finished);
  void fail(std::uint64_t cluster, const HttpAnswer& answer);
  void refuse(std::uint64_t cluster, const std::string& problem);
  void stopUploads(const std::string& problem);
  void giveBack(bool everything);
  void endFinalPass();
  void keepTidy();
  void keepWhatWasSent();
  void beginMerge();
  void continueMerge();
  void stopNow(const std::string& why, UploadStatus::State state);
  void stopMerge(const std::string& why, UploadStatus::State state);
  void recordMerge(MergeState state);
  void end(UploadStatus::State state, ExitStatus status, const std::string& message);
  void endUnfinished(UploadStatus::State state, const std::string& why);
  void complain(const std::string& problem);
  [[nodiscard]] std::uint64_t clustersLeft() const;
  [[nodiscard]] UploadProgress progress();
  [[nodiscard]] UploadStatus::Merge mergeStatus() const;
  [[nodiscard]] bool moves() const;
  [[nodiscard]] std::chrono::milliseconds untilNextEvent() const;

  Session& session_;
  const UploadOptions options_;
  const Clock& clock_;
  std::optional<UploadRequests> requests_;  // none: local
  std::optional<BaseBlocks> base_;
  std::optional<SentClusters> sent_;  // this and the next only with a server
  std::optional<UpdatePlanner> planner_;
  UploadClient client_;
  UploadReporter reporter_;
  UploadSchedule schedule_;

  // Wishes of other threads.
  std::atomic<bool> finishWanted_ = false;
  std::atomic<bool> noNewUploads_ = false;
  std::atomic<bool> cancelled_ = false;

  // Everything below belongs to the thread once it runs.
  Phase phase_ = Phase::mounted;
  UploadStatus::State state_ = UploadStatus::State::active;
  std::optional<Clock::Time> deadline_;  // of the end, once it began
  std::optional<MergePlan> mergePlan_;
  MergeState recordedMerge_;
  OutageLog outage_;
  ServerProgress serverProgress_;
  UploadFigures figures_;
  std::string refusal_;  // why the server does not take this session; empty if it does
  std::string lastComplaint_;
  Clock::Time lastComplaintAt_;
  UploadOutcome outcome_;

  std::thread thread_;
};

}  // namespace netcow
