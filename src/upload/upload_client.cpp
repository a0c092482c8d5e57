// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_client.h"

#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace netcow {
namespace {

/// As many as the final pass uses, and one for merge and status.
constexpr long kKeptConnections = 11;

void check(CURLMcode result) {
  if (result != CURLM_OK) {
    throw std::runtime_error(std::string("libcurl: ") + curl_multi_strerror(result));
  }
}

}  // namespace

UploadClient::UploadClient() {
  startCurl();
  multi_ = curl_multi_init();
  if (multi_ == nullptr) {
    throw std::bad_alloc();
  }
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kKeptConnections);
}

UploadClient::~UploadClient() {
  abandonAll();
  curl_multi_cleanup(multi_);
}

void UploadClient::start(Purpose purpose, std::unique_ptr<HttpCall> call, std::uint64_t cluster) {
  CURL* const handle = call->handle();
  calls_.emplace(handle, Running{purpose, cluster, std::move(call)});
  check(curl_multi_add_handle(multi_, handle));
}

std::vector<UploadClient::Finished> UploadClient::run() {
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

UploadClient::Finished UploadClient::finish(CURL* handle, CURLcode result) {
  auto node = calls_.extract(handle);
  const Running& running = node.mapped();
  Finished finished;
  finished.purpose = running.purpose;
  finished.cluster = running.cluster;
  finished.answer = running.call->finish(result);
  if (running.purpose == Purpose::update) {
    finished.changes = running.call->body().changes();
    finished.bytes = running.call->body().size();
    bytesSent_ += running.call->takeBytesSent();
  }
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
      clusters.push_back(running.cluster);
    }
  }
  calls_.clear();
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
