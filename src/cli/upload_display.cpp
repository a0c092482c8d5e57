// SPDX-License-Identifier: Apache-2.0
#include "cli/upload_display.h"

#include <chrono>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/logging.h"
#include "base/service_manager.h"
#include "cli/upload_progress.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kRedrawInterval = 200ms;
constexpr std::chrono::seconds kLogInterval = 10s;
constexpr std::chrono::seconds kServiceInterval = 2s;
/// How long systemd lets the end go on after it last got somewhere: more than the longest pause
/// that a server can ask for.
constexpr std::chrono::minutes kPatience = 3min;

}  // namespace

UploadDisplay::UploadDisplay(std::function<UploadStatus()> status,
                             std::shared_ptr<TerminalLine> line)
    : status_(std::move(status)), line_(std::move(line)), thread_([this] { run(); }) {}

UploadDisplay::~UploadDisplay() {
  {
    const MutexLock lock(mutex_);
    end_ = true;
  }
  ended_.notifyAll();
  thread_.join();
  line_->clear();
}

bool UploadDisplay::waitFor(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  MutexLock lock(mutex_);
  while (!end_ && std::chrono::steady_clock::now() < until) {
    ended_.waitFor(lock, until - std::chrono::steady_clock::now());
  }
  return !end_;
}

void UploadDisplay::run() {
  UploadProgressText progress;
  auto nextLog = Clock::system().now() + kLogInterval;
  auto nextService = Clock::system().now();
  do {
    const auto now = Clock::system().now();
    progress.note(status_(), now);
    const bool terminal = line_->isTerminal();
    if (terminal) {
      line_->show(progress.bar(line_->width()));
    }
    const std::string text = progress.text();
    if (!terminal && now >= nextLog && !text.empty()) {
      spdlog::info("{}", text);
      nextLog = now + kLogInterval;
    }
    if (now >= nextService && !text.empty()) {
      notifyStatus(text);
      if (progress.takeAdvance()) {
        extendTimeout(kPatience);
      }
      nextService = now + kServiceInterval;
    }
  } while (waitFor(kRedrawInterval));
}

}  // namespace netcow
