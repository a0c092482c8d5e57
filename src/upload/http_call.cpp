// SPDX-License-Identifier: Apache-2.0
#include "upload/http_call.h"

#include <malloc.h>

#include <algorithm>
#include <span>
#include <stdexcept>
#include <utility>

namespace netcow {
namespace {

constexpr long kConnectSeconds = 20;
/// Calls without a cluster: long enough for a server that first looks through a large folder.
constexpr long kSmallCallSeconds = 120;
constexpr long kLowSpeedBytes = 1000;
/// Times ten uploads this is all the memory bodies take.
constexpr int kBodyBuffer = 512 * 1024;

CURL* makeHandle() {
  startCurl();
  CURL* handle = curl_easy_init();
  if (handle == nullptr) {
    throw std::bad_alloc();
  }
  return handle;
}

/// Whether the server's certificate, or those it is compared with, cannot be used.
bool isTrustProblem(CURLcode result) {
  return result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE ||
         result == CURLE_SSL_ISSUER_ERROR;
}

}  // namespace

void startCurl() {
  // Never taken down: it has to outlive every thread that may still use curl.
  static const CURLcode result = [] {
    // Each upload takes a buffer of kBodyBuffer and frees it at its end. glibc would give its pages
    // back and ask for them again each time, which costs as much as sending a small cluster.
    mallopt(M_MMAP_THRESHOLD, 16 * kBodyBuffer);
    mallopt(M_TRIM_THRESHOLD, 32 * kBodyBuffer);
    return curl_global_init(CURL_GLOBAL_ALL);
  }();
  if (result != CURLE_OK) {
    throw std::runtime_error(std::string("cannot start libcurl: ") + curl_easy_strerror(result));
  }
}

HttpCall::HttpCall(const std::string& url, const Credentials& credentials) : handle_(makeHandle()) {
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_USERAGENT, "netcow");
  if (!credentials.token.empty()) {
    set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
    set(CURLOPT_XOAUTH2_BEARER, credentials.token.c_str());
  }
  if (!credentials.caFile.empty()) {
    set(CURLOPT_CAINFO, credentials.caFile.c_str());
  }
  set(CURLOPT_NOSIGNAL, 1L);  // signals belong to the program, not to a name look-up
  set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  set(CURLOPT_ERRORBUFFER, static_cast<char*>(error_));
  set(CURLOPT_WRITEFUNCTION, &HttpCall::onAnswer);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
}

HttpCall::~HttpCall() {
  curl_easy_cleanup(handle_);
  curl_slist_free_all(headers_);
}

template <class Value>
void HttpCall::set(CURLoption option, Value value) {
  if (const CURLcode error = curl_easy_setopt(handle_, option, value)) {
    throw std::runtime_error(std::string("cannot set up a request: ") + curl_easy_strerror(error));
  }
}

std::unique_ptr<HttpCall> HttpCall::get(const std::string& url, const Credentials& credentials) {
  std::unique_ptr<HttpCall> call(new HttpCall(url, credentials));
  call->set(CURLOPT_HTTPGET, 1L);
  call->set(CURLOPT_TIMEOUT, kSmallCallSeconds);
  return call;
}

std::unique_ptr<HttpCall> HttpCall::remove(const std::string& url, const Credentials& credentials) {
  auto call = get(url, credentials);
  call->set(CURLOPT_CUSTOMREQUEST, "DELETE");
  return call;
}

std::unique_ptr<HttpCall> HttpCall::postForm(const std::string& url, const Credentials& credentials,
                                             const std::string& form) {
  std::unique_ptr<HttpCall> call(new HttpCall(url, credentials));
  call->set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(form.size()));
  call->set(CURLOPT_COPYPOSTFIELDS, form.c_str());
  // When a kept connection breaks, curl repeats the request by itself; but the server may have
  // taken it, and a merge must not be asked for twice. On a fresh connection it never does.
  call->set(CURLOPT_FRESH_CONNECT, 1L);
  call->set(CURLOPT_TIMEOUT, kSmallCallSeconds);
  return call;
}

std::unique_ptr<HttpCall> HttpCall::postCluster(const std::string& url,
                                                const Credentials& credentials,
                                                const Session& session, const ClusterUpdate& update,
                                                const HashKey* hashKey,
                                                std::chrono::seconds giveUpAfter) {
  std::unique_ptr<HttpCall> call(new HttpCall(url, credentials));
  call->body_ = std::make_unique<UploadBody>(session, update, hashKey);
  // Where the server speaks HTTP/2, uploads share a connection in place of making one each.
  call->set(CURLOPT_PIPEWAIT, url.starts_with("https:") ? 1L : 0L);
  call->streamBody(giveUpAfter);
  return call;
}

void HttpCall::streamBody(std::chrono::seconds giveUpAfter) {
  headers_ = curl_slist_append(headers_, "Content-Type: application/octet-stream");
  set(CURLOPT_POST, 1L);
  set(CURLOPT_HTTPHEADER, headers_);
  set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_->size()));
  set(CURLOPT_UPLOAD_BUFFERSIZE, long{kBodyBuffer});
  set(CURLOPT_READFUNCTION, &HttpCall::onBodyWanted);
  set(CURLOPT_READDATA, static_cast<void*>(this));
  // curl sends a body again when a kept connection turns out to be dead.
  set(CURLOPT_SEEKFUNCTION, &HttpCall::onRewind);
  set(CURLOPT_SEEKDATA, static_cast<void*>(this));
  set(CURLOPT_LOW_SPEED_LIMIT, kLowSpeedBytes);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(giveUpAfter.count()));
}

std::uint64_t HttpCall::takeBytesSent() {
  return std::exchange(bytesSent_, 0);
}

void HttpCall::allow(std::size_t bytes) {
  allowed_ += bytes;
  waits_ = false;
  curl_easy_pause(handle_, CURLPAUSE_CONT);
}

HttpAnswer HttpCall::perform() {
  return finish(curl_easy_perform(handle_));
}

HttpAnswer HttpCall::finish(CURLcode result) {
  HttpAnswer answer;
  answer.body = std::move(answer_);
  curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &answer.status);
  // A refusal counts even if the connection broke before the body was through; a success, or a
  // mere "100 Continue", does not.
  if (result != CURLE_OK && answer.status < 300) {
    answer.status = 0;
    answer.unreadable = static_cast<bool>(readError_);
    answer.untrusted = isTrustProblem(result);
    answer.error = whyNoAnswer(result);
  }
  char* redirect = nullptr;
  if (curl_easy_getinfo(handle_, CURLINFO_REDIRECT_URL, &redirect) == CURLE_OK &&
      redirect != nullptr) {
    answer.redirect = redirect;
  }
  curl_header* header = nullptr;
  if (curl_easy_header(handle_, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK) {
    answer.retryAfter = parseRetryAfter(header->value);
  }
  return answer;
}

std::string HttpCall::whyNoAnswer(CURLcode result) const {
  if (readError_) {
    return "cannot read the session: " + readError_.message();
  }
  return error_[0] != '\0' ? error_ : curl_easy_strerror(result);
}

std::string HttpCall::escape(const std::string& text) {
  char* escaped = curl_easy_escape(nullptr, text.c_str(), static_cast<int>(text.size()));
  if (escaped == nullptr) {
    throw std::bad_alloc();
  }
  std::string result = escaped;
  curl_free(escaped);
  return result;
}

std::size_t HttpCall::onAnswer(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto& call = *static_cast<HttpCall*>(self);
  const std::size_t got = size * count;
  try {
    call.answer_.append(bytes, std::min(got, kLargestAnswer - call.answer_.size()));
  } catch (const std::exception&) {
    return 0;  // curl ends the request
  }
  return got;
}

std::size_t HttpCall::onBodyWanted(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto& call = *static_cast<HttpCall*>(self);
  const std::size_t wanted = size * count;
  if (call.limited_ && call.allowed_ == 0) {
    call.waits_ = true;
    return CURL_READFUNC_PAUSE;
  }
  const std::size_t most = call.limited_ ? std::min(wanted, call.allowed_) : wanted;
  std::size_t used = 0;
  try {
    call.readError_ = call.body_->read(std::as_writable_bytes(std::span(bytes, most)), used);
  } catch (const std::exception&) {
    call.readError_ = std::make_error_code(std::errc::io_error);
  }
  if (call.readError_) {
    return CURL_READFUNC_ABORT;
  }
  call.bytesSent_ += used;
  call.allowed_ -= call.limited_ ? used : 0;
  return used;
}

int HttpCall::onRewind(void* self, curl_off_t offset, int origin) {
  if (offset != 0 || origin != SEEK_SET) {
    return CURL_SEEKFUNC_CANTSEEK;
  }
  try {
    static_cast<HttpCall*>(self)->body_->rewind();
  } catch (const std::exception&) {
    return CURL_SEEKFUNC_FAIL;
  }
  return CURL_SEEKFUNC_OK;
}

}  // namespace netcow
