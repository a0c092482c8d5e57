// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "upload/http_answer.h"
#include "upload/upload_access.h"
#include "upload/upload_body.h"

namespace netcow {

/// Starts libcurl, once in a process. Thread-safe. Throws std::runtime_error.
void startCurl();

/// One HTTP request and its answer, over a curl easy handle. It can be performed here, or be
/// given to a curl multi handle, which must let go of it before it is destroyed.
/// Redirects are not followed. Not thread-safe. Constructors throw std::runtime_error when curl
/// cannot make a handle.
class HttpCall {
 public:
  static std::unique_ptr<HttpCall> get(const std::string& url, const Credentials& credentials);
  static std::unique_ptr<HttpCall> remove(const std::string& url, const Credentials& credentials);
  /// Sends `form`, which is urlencoded already, at most once.
  static std::unique_ptr<HttpCall> postForm(const std::string& url, const Credentials& credentials,
                                            const std::string& form);
  /// Streams an update from `session`, which must outlive the call, and hashes what it sends;
  /// given up when it is slower than 1000 bytes a second for `giveUpAfter`. `hashKey`: see
  /// UploadBody.
  static std::unique_ptr<HttpCall> postCluster(const std::string& url,
                                               const Credentials& credentials,
                                               const Session& session, const ClusterUpdate& update,
                                               const HashKey* hashKey,
                                               std::chrono::seconds giveUpAfter);

  ~HttpCall();
  HttpCall(const HttpCall&) = delete;
  HttpCall& operator=(const HttpCall&) = delete;

  [[nodiscard]] CURL* handle() const { return handle_; }
  /// Of a postCluster() call.
  [[nodiscard]] UploadBody& body() const { return *body_; }
  /// Bytes of the body handed out since the last time this was asked.
  std::uint64_t takeBytesSent();

  /// From now on the body is sent only as far as allow() lets it; then it waits.
  void limit() { limited_ = true; }
  [[nodiscard]] bool waitsForAllowance() const { return limited_ && waits_; }
  /// Lets it go on by so many bytes. Only while it is given to a curl multi handle.
  void allow(std::size_t bytes);

  /// Sends the request and waits for the answer.
  HttpAnswer perform();
  /// The answer of a request that curl says has ended with `result`.
  HttpAnswer finish(CURLcode result);

  /// `text` as a value in a query or form.
  static std::string escape(const std::string& text);

 private:
  HttpCall(const std::string& url, const Credentials& credentials);
  template <class Value>
  void set(CURLoption option, Value value);
  void streamBody(std::chrono::seconds giveUpAfter);
  [[nodiscard]] std::string whyNoAnswer(CURLcode result) const;

  static std::size_t onAnswer(char* bytes, std::size_t size, std::size_t count, void* self);
  static std::size_t onBodyWanted(char* bytes, std::size_t size, std::size_t count, void* self);
  static int onRewind(void* self, curl_off_t offset, int origin);

  CURL* handle_;
  char error_[CURL_ERROR_SIZE] = {};
  std::string answer_;
  std::unique_ptr<UploadBody> body_;
  std::error_code readError_;
  std::uint64_t bytesSent_ = 0;
  bool limited_ = false;
  bool waits_ = false;       // for an allowance
  std::size_t allowed_ = 0;  // bytes
  curl_slist* headers_ = nullptr;
};

}  // namespace netcow
