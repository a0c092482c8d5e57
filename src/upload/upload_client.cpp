// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_client.h"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace netcow {
namespace {

void check(CURLMcode result) {
  if (result != CURLM_OK) {
    throw std::runtime_error(std::string("libcurl: ") + curl_multi_strerror(result));
  }
}

}  // namespace

UploadClient::UploadClient(std::size_t connections, SendBudget budget) : budget_(budget) {
  startCurl();
  multi_ = curl_multi_init();
  if (multi_ == nullptr) {
    throw std::bad_alloc();
  }
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(connections));
}

UploadClient::~UploadClient() {
  abandonAll();
  curl_multi_cleanup(multi_);
}

void UploadClient::start(Purpose purpose, std::unique_ptr<HttpCall> call) {
  CURL* const handle = call->handle();
  if (purpose == Purpose::update && budget_.limited()) {
    call->limit();
  }
  calls_.emplace(handle, Running{purpose, std::move(call)});
  check(curl_multi_add_handle(multi_, handle));
}

std::vector<UploadClient::Finished> UploadClient::run() {
  takeTurns();
  int running = 0;
  check(curl_multi_perform(multi_, &running));
  std::vector<Finished> finished;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg == CURLMSG_DONE) {
      finished.push_back(finish(message->easy_handle, message->data.result));
    }
  }
  return finished;
}

void UploadClient::takeTurns() {
  for (const auto& [handle, running] : calls_) {
    if (running.call->waitsForAllowance() &&
        std::find(turns_.begin(), turns_.end(), handle) == turns_.end()) {
      turns_.push_back(handle);
    }
  }
  while (!turns_.empty()) {
    const std::size_t bytes = budget_.takePortion();
    if (bytes == 0) {
      return;
    }
    calls_.at(turns_.front()).call->allow(bytes);
    turns_.pop_front();
  }
}

std::optional<Clock::Time> UploadClient::nextTurn() const {
  const bool waits = std::any_of(calls_.begin(), calls_.end(), [](const auto& entry) {
    return entry.second.call->waitsForAllowance();
  });
  return waits ? std::optional(budget_.nextPortion()) : std::nullopt;
}

UploadClient::Finished UploadClient::finish(CURL* handle, CURLcode result) {
  auto node = calls_.extract(handle);
  const Running& running = node.mapped();
  Finished finished;
  finished.purpose = running.purpose;
  finished.answer = running.call->finish(result);
  if (running.purpose == Purpose::update) {
    finished.update = running.call->body().update();
    finished.body = running.call->body().takeDigest();
    bytesSent_ += running.call->takeBytesSent();
  }
  std::erase(turns_, handle);
  curl_multi_remove_handle(multi_, handle);
  return finished;
}

void UploadClient::wait(std::chrono::milliseconds longest) {
  check(curl_multi_poll(multi_, nullptr, 0, static_cast<int>(longest.count()), nullptr));
}

void UploadClient::wake() {
  curl_multi_wakeup(multi_);
}

std::vector<std::uint64_t> UploadClient::abandonAll() {
  std::vector<std::uint64_t> clusters;
  for (const auto& [handle, running] : calls_) {
    curl_multi_remove_handle(multi_, handle);
    if (running.purpose == Purpose::update) {
      clusters.push_back(running.call->body().update().cluster);
    }
  }
  calls_.clear();
  turns_.clear();
  return clusters;
}

std::uint64_t UploadClient::takeBytesSent() {
  for (const auto& [handle, running] : calls_) {
    bytesSent_ += running.call->takeBytesSent();
  }
  return std::exchange(bytesSent_, 0);
}

std::uint64_t UploadClient::bytesInFlight() const {
  std::uint64_t bytes = 0;
  for (const auto& [handle, running] : calls_) {
    curl_off_t sent = 0;
    if (running.purpose == Purpose::update &&
        curl_easy_getinfo(handle, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK) {
      bytes += static_cast<std::uint64_t>(sent);
    }
  }
  return bytes;
}

}  // namespace netcow
