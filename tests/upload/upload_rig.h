// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/errors.h"
#include "image/image.h"
#include "session/simulated_folder.h"
#include "support/fake_clock.h"
#include "upload/model_servers.h"
#include "upload/sent_clusters.h"
#include "upload/update_planner.h"

namespace netcow::test {

/// A base in which most blocks are full of a byte of their own, and some are zeros. Answers at
/// once.
class PatternBase : public Source {
 public:
  static constexpr std::uint64_t kSize = 2 * kClusterSize + 2 * kBlockSize + 1500;

  [[nodiscard]] const ImageName& image() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return kSize; }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override {
    if (away) {
      done(errnoCode(EIO));
      return;
    }
    while (!buffer.empty()) {
      const auto part = buffer.first(std::min(buffer.size(), kBlockSize - offset % kBlockSize));
      std::ranges::fill(part, static_cast<std::byte>(byteOf(offset / kBlockSize)));
      buffer = buffer.subspan(part.size());
      offset += part.size();
    }
    done({});
  }
  void stop() override {}
  bool away = false;  ///< reads fail
  [[nodiscard]] std::string statusText() const override { return {}; }
  static char byteOf(std::uint64_t block) {
    return static_cast<char>(block % 3 == 0 ? 0 : 'A' + block % 26);
  }

 private:
  const ImageName name_{"pattern", 1};
};

/// An image on a simulated machine, its uploads to the model of two servers, and all that can come
/// between: lost and refused answers, kills, power cuts, other uploads, other programs, old files.
/// Drives what the uploader is made of, in its order, on one thread.
class UploadRig {
 public:
  explicit UploadRig(SeededRandom& random);
  ~UploadRig();

  /// Does something, which the random numbers choose.
  void step();
  /// Ends what is under way, uploads the rest, and compares: what is wrong, or nothing.
  std::string finish();

  SimulatedMachine machine;
  std::uint64_t places = UINT64_MAX;  ///< that are used, at most
  /// Broken on purpose: after a lost answer, what was known is read from the file anew.
  bool forgetsLostAnswers = false;
  /// The same: another program calls clusters clean that nobody sent.
  bool otherProgramsLie = false;
  /// The same: the server loses what it has.
  bool serverForgets = false;

  // To see that the test tries what it is for.
  std::uint64_t sent = 0;
  std::uint64_t unchanged = 0;
  std::uint64_t unchangedAfterReopening = 0;
  std::uint64_t leftOut = 0;
  std::uint64_t notNeeded = 0;

 private:
  struct InFlight {
    ClusterUpdate update;
    std::string body;
    std::optional<KeyedDigest> digest;
  };

  void open();
  void watch();
  void dropAll();
  void write();
  void partialWrite();
  void discard();
  void resize();
  void beginUpload();
  void endUpload(bool successful);
  void endUnsent(const UpdatePlanner::Plan& plan);
  bool readBody(InFlight& upload);
  void close();
  void crash(bool powerCut);
  void crashInTheMiddle();
  void changeUuid();
  void letOthersAtIt(bool mayWrite);
  void swapSentFile();
  [[nodiscard]] std::string compare(ModelServers::Kind kind);
  [[nodiscard]] std::uint64_t anyBlock();
  [[nodiscard]] ModelServers& servers() { return uploads_[uuid_]; }

  FakeClock clock_;
  PatternBase base_;
  std::map<std::string, ModelServers> uploads_;  ///< by uuid
  std::string uuid_ = "first";
  std::unique_ptr<Session> session_;
  std::unique_ptr<Image> image_;
  std::optional<SentClusters> sent_;
  std::optional<BaseBlocks> baseBlocks_;
  std::optional<UpdatePlanner> planner_;
  std::vector<InFlight> inFlight_;
  std::string oldSentFile_;
  bool justOpened_ = true;  ///< nothing was sent since
};

}  // namespace netcow::test
