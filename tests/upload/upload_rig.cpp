// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_rig.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "upload/foreign_client.h"
#include "upload/upload_body.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kMaxImageSize = 4 * kClusterSize;
/// Where things happen: few places, so that they meet, on borders of clusters and of the base.
constexpr std::array kBlocks = {0U,   1U,   2U,   3U,   318U, 319U, 320U, 321U,
                                639U, 640U, 641U, 642U, 643U, 644U, 960U, 961U};
constexpr std::array<std::uint64_t, 8> kSizes = {kBlockSize + 700,
                                                 2 * kBlockSize,
                                                 319 * kBlockSize + 100,
                                                 kClusterSize + kBlockSize,
                                                 2 * kClusterSize + kBlockSize,
                                                 PatternBase::kSize,
                                                 2 * kClusterSize + 4 * kBlockSize,
                                                 3 * kClusterSize + 2 * kBlockSize};

void ignoreResult(const std::error_code&) {}

}  // namespace

UploadRig::UploadRig(SeededRandom& random) : machine(random) {
  NewSession settings;
  settings.imageName = "pattern";
  settings.uploadUuid = uuid_;
  settings.baseSize = PatternBase::kSize;
  settings.maxImageSize = kMaxImageSize;
  session_ = Session::create(openSimulatedFolder(machine), settings, clock_);
  watch();
}

UploadRig::~UploadRig() {
  machine.stopAfter = 0;
  dropAll();
}

std::uint64_t UploadRig::anyBlock() {
  return kBlocks[machine.random.between(0, std::min<std::uint64_t>(places, kBlocks.size()) - 1)];
}

void UploadRig::step() {
  clock_.advance(std::chrono::seconds(machine.random.between(0, 3)));
  switch (machine.random.between(0, 23)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      return write();
    case 5:
      return partialWrite();
    case 6:
      return discard();
    case 7:
      return resize();
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
      return beginUpload();
    case 14:
    case 15:
    case 16:
    case 17:
      return endUpload(machine.random.oneIn(2));
    case 18:
      static_cast<void>(session_->checkpoint());
      return sent_->save();
    case 19:
      return machine.random.oneIn(2) ? sent_->save() : ignoreResult(session_->checkpoint());
    case 20:
      return machine.stopped() ? void() : close();
    case 21:
      return machine.stopped() ? void() : crash(machine.random.oneIn(2));
    case 22:
      return machine.stopped() ? void() : crashInTheMiddle();
    default:
      return machine.stopped() ? void() : swapSentFile();
  }
}

// --- changes --------------------------------------------------------------------------------

void UploadRig::write() {
  const std::uint64_t block = anyBlock();
  char byte = static_cast<char>(machine.random.between('a', 'c'));
  if (machine.random.oneIn(2)) {
    byte = machine.random.oneIn(4) ? '\0' : PatternBase::byteOf(block);
  }
  const std::uint64_t blocks = machine.random.between(1, 2);
  const std::vector<std::byte> bytes(blocks * kBlockSize, static_cast<std::byte>(byte));
  image_->write(bytes, block * kBlockSize, ignoreResult);
}

void UploadRig::partialWrite() {
  const std::uint64_t block = anyBlock();
  const std::vector<std::byte> bytes(512, static_cast<std::byte>(PatternBase::byteOf(block)));
  image_->write(bytes, block * kBlockSize + 512 * machine.random.between(0, 8), ignoreResult);
}

void UploadRig::discard() {
  image_->zero(anyBlock() * kBlockSize, machine.random.between(1, 3) * kBlockSize,
               machine.random.oneIn(2), ignoreResult);
}

void UploadRig::resize() {
  static_cast<void>(image_->resize(kSizes[machine.random.between(0, kSizes.size() - 1)]));
}

// --- uploads --------------------------------------------------------------------------------

void UploadRig::beginUpload() {
  if (machine.stopped()) {
    return;
  }
  const auto cluster = session_->takeDirty(Clock::Time::max());
  if (!cluster) {
    return;
  }
  if (*cluster * kClusterSize >= session_->imageSize()) {
    session_->acknowledgeUpload(*cluster, session_->snapshot(*cluster).changes);
    return;
  }
  const UpdatePlanner::Plan plan = planner_->plan(*cluster);
  if (machine.stopped()) {
    return;  // the process is dead: nothing has left
  }
  switch (plan.kind) {
    case UpdatePlanner::Plan::Kind::send: {
      InFlight upload{plan.update, {}, {}};
      if (readBody(upload)) {
        inFlight_.push_back(std::move(upload));
        justOpened_ = false;
      } else {
        session_->returnDirty(*cluster);
      }
      break;
    }
    case UpdatePlanner::Plan::Kind::notDurable:
      session_->returnDirty(*cluster);
      break;
    case UpdatePlanner::Plan::Kind::unchanged:
    case UpdatePlanner::Plan::Kind::nothing:
      endUnsent(plan);
      break;
  }
}

/// Users may write meanwhile. The connection may break in the middle: then the server takes
/// nothing.
bool UploadRig::readBody(InFlight& upload) {
  UploadBody body(*session_, upload.update, machine.random.oneIn(4) ? nullptr : &sent_->hashKey());
  if (machine.random.oneIn(8)) {
    std::array<std::byte, 1000> begun;  // what curl does when a kept connection is dead
    std::size_t used = 0;
    static_cast<void>(body.read(begun, used));
    body.rewind();
  }
  std::string part(machine.random.between(3000, 20'000), '?');
  for (;;) {
    if (machine.random.oneIn(6)) {
      write();
    }
    std::size_t used = 0;
    if (body.read(std::as_writable_bytes(std::span(part)), used) || machine.random.oneIn(60)) {
      return false;
    }
    if (used == 0) {
      upload.digest = body.takeDigest();
      return true;
    }
    upload.body.append(part, 0, used);
  }
}

void UploadRig::endUpload(bool successful) {
  if (inFlight_.empty() || machine.stopped()) {
    return;
  }
  const std::size_t which = machine.random.between(0, inFlight_.size() - 1);
  const InFlight upload = std::move(inFlight_[which]);
  inFlight_.erase(inFlight_.begin() + static_cast<std::ptrdiff_t>(which));
  const bool taken = successful || forgetsLostAnswers || machine.random.oneIn(2);
  if (taken) {
    servers().take(upload.update.cluster, upload.body);
  }
  if (successful) {
    session_->acknowledgeUpload(upload.update.cluster, upload.update.changes);
    sent_->arrived(upload.update.cluster, upload.digest);
    ++sent;
    leftOut += upload.update.leftOut;
    return;
  }
  session_->failUpload(upload.update.cluster);
  session_->returnDirty(upload.update.cluster);
  if (forgetsLostAnswers) {
    watch();
  }
}

void UploadRig::endUnsent(const UpdatePlanner::Plan& plan) {
  if (!session_->acknowledgeUpload(plan.update.cluster, plan.update.changes)) {
    return;
  }
  sent_->unsent(plan.update.cluster);
  leftOut += plan.update.leftOut;
  const bool isUnchanged = plan.kind == UpdatePlanner::Plan::Kind::unchanged;
  notNeeded += isUnchanged ? 0 : 1;
  unchanged += isUnchanged ? 1 : 0;
  unchangedAfterReopening += isUnchanged && justOpened_ ? 1 : 0;
}

// --- ends and beginnings --------------------------------------------------------------------

void UploadRig::watch() {
  if (!image_) {
    image_ = std::make_unique<Image>(base_, session_.get());
  }
  planner_.reset();
  sent_.emplace(*session_);
  BaseBlocks::Options options;
  options.image = base_.image();
  options.size = PatternBase::kSize;
  options.isNear = machine.random.oneIn(2);
  options.open = [this] {
    auto source = std::make_unique<PatternBase>();
    source->away = machine.random.oneIn(4);
    return source;
  };
  baseBlocks_.emplace(std::move(options), clock_);
  planner_.emplace(*session_, *sent_, &*baseBlocks_);
}

void UploadRig::dropAll() {
  inFlight_.clear();
  planner_.reset();
  sent_.reset();
  image_.reset();
  session_.reset();
}

void UploadRig::open() {
  try {
    session_ = Session::open(openSimulatedFolder(machine), clock_);
  } catch (const std::exception&) {
    if (!machine.stopped()) {
      throw;
    }
    crash(machine.random.oneIn(2));  // in the middle of opening
    return;
  }
  justOpened_ = true;
  uuid_ = session_->uploadUuid();  // a power cut may have taken the newest one back
  if (machine.random.oneIn(8)) {
    changeUuid();
  }
  watch();
}

/// There and back again, too: a server that was left keeps what it has.
void UploadRig::changeUuid() {
  constexpr std::array kUuids = {"first", "second", "third"};
  const std::string uuid = kUuids[machine.random.between(0, kUuids.size() - 1)];
  if (uuid != session_->uploadUuid() && !session_->setUploadUuid(uuid, true)) {
    uuid_ = uuid;
  }
}

void UploadRig::close() {
  while (!inFlight_.empty() && !machine.stopped()) {
    endUpload(machine.random.oneIn(2));
  }
  if (!session_->checkpoint()) {
    sent_->save();
  }
  if (session_->close()) {
    crash(false);
    return;
  }
  dropAll();
  if (machine.random.oneIn(3)) {
    letOthersAtIt(/*mayWrite=*/true);
  }
  open();
}

void UploadRig::crash(bool powerCut) {
  for (const InFlight& upload : inFlight_) {
    if (machine.random.oneIn(2)) {
      servers().take(upload.update.cluster, upload.body);
    }
  }
  machine.stopAfter = 0;  // nothing that is under way has an effect
  dropAll();
  machine.stopAfter = std::numeric_limits<std::uint64_t>::max();
  machine.disk.killProcess();
  if (powerCut) {
    machine.disk.powerCut(machine.random);
  }
  if (machine.random.oneIn(3)) {
    // After a mere kill netcow refuses what another program changed.
    letOthersAtIt(/*mayWrite=*/powerCut);
  }
  open();
}

void UploadRig::crashInTheMiddle() {
  if (machine.stopAfter != std::numeric_limits<std::uint64_t>::max()) {
    return;  // it is on its way already
  }
  machine.stopAfter = machine.changes + machine.random.between(1, 30);
  for (int steps = 0; steps < 30 && !machine.stopped(); ++steps) {
    step();
  }
  crash(machine.random.oneIn(2));
}

void UploadRig::letOthersAtIt(bool mayWrite) {
  if (machine.stopped()) {
    return;
  }
  // It is not killed with our process.
  const std::uint64_t ours =
      std::exchange(machine.stopAfter, std::numeric_limits<std::uint64_t>::max());
  ForeignClient other(machine, servers());
  other.upload(/*noted=*/mayWrite && machine.random.oneIn(2));
  if (mayWrite && machine.random.oneIn(2)) {
    other.write(anyBlock() % kBlocksPerCluster, 'c');
  }
  if (otherProgramsLie && mayWrite) {
    other.lie();
  }
  if (serverForgets) {
    servers() = {};
  }
  machine.stopAfter = ours;
}

/// Somebody puts an older `sent` back, in the same file, while the session is closed.
void UploadRig::swapSentFile() {
  close();
  const auto folder = openSimulatedFolder(machine);
  std::unique_ptr<File> file;
  std::uint64_t bytes = 0;
  if (folder->open("sent", file) || file->size(bytes)) {
    return;
  }
  std::string now(bytes, '\0');
  static_cast<void>(file->read(std::as_writable_bytes(std::span(now)), 0));
  if (!oldSentFile_.empty() && machine.random.oneIn(2)) {
    dropAll();
    machine.disk.killProcess();
    static_cast<void>(file->write(std::as_bytes(std::span(oldSentFile_)), 0));
    open();
  }
  oldSentFile_ = now;
}

// --- the end --------------------------------------------------------------------------------

std::string UploadRig::finish() {
  machine.ignores = nullptr;
  // A server takes whatever comes now, and somebody writes in the middle of bodies: so again.
  for (int rounds = 0; rounds < 10'000; ++rounds) {
    if (!inFlight_.empty()) {
      endUpload(true);
    } else if (session_->oldestDirty()) {
      beginUpload();
    } else {
      const std::string wrong = compare(ModelServers::Kind::reference);
      return wrong.empty() ? compare(ModelServers::Kind::netcow) : wrong;
    }
  }
  return "uploads do not end";
}

std::string UploadRig::compare(ModelServers::Kind kind) {
  const std::string who = kind == ModelServers::Kind::reference ? "reference" : "netcow's";
  const std::uint64_t size = image_->size();
  for (const std::uint64_t block : kBlocks) {
    if (block * kBlockSize >= size) {
      continue;
    }
    std::string image(kBlockSize, '?');
    image_->read(std::as_writable_bytes(std::span(image)), block * kBlockSize, ignoreResult);
    std::string merged(kBlockSize, '\0');
    for (std::uint64_t i = 0; i < kBlockSize; ++i) {
      const bool ofBase = block * kBlockSize + i < session_->validRemoteSize();
      merged[i] = ofBase ? PatternBase::byteOf(block) : '\0';
    }
    if (const std::string* const sentBlock = servers().find(kind, block)) {
      merged = *sentBlock;
    }
    const auto shown = std::min<std::uint64_t>(kBlockSize, size - block * kBlockSize);
    if (image.compare(0, shown, merged, 0, shown) != 0) {
      return "block " + std::to_string(block) + " begins with byte " + std::to_string(image[0]) +
             " in the image, and with " + std::to_string(merged[0]) + " in what the " + who +
             " server merges";
    }
  }
  if (kind == ModelServers::Kind::reference && servers().misplaced()) {
    return "a body did not carry every block that the reference server has";
  }
  return {};
}

}  // namespace netcow::test
