// SPDX-License-Identifier: Apache-2.0
#include "recording_fuse.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <utility>

using Answer = fuse_req::Answer;

void fuse_req::record(Answer answer) {
  answer.thread = std::this_thread::get_id();
  answeredUnderLock = answeredUnderLock || registering;
  const netcow::MutexLock lock(mutex_);
  answers_.push_back(std::move(answer));
  answered_.notifyAll();
}

Answer fuse_req::answer() {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  netcow::MutexLock lock(mutex_);
  while (answers_.empty() && std::chrono::steady_clock::now() < end) {
    answered_.waitFor(lock, std::chrono::milliseconds(100));
  }
  EXPECT_EQ(answers_.size(), 1U);
  return answers_.empty() ? Answer{} : answers_.front();
}

std::size_t fuse_req::answers() const {
  const netcow::MutexLock lock(mutex_);
  return answers_.size();
}

void fuse_req::interrupt() {
  if (interruptFunction != nullptr) {
    interruptFunction(this, interruptData);
  }
}

namespace {

netcow::Mutex invalidatedMutex;
std::vector<netcow::test::Invalidated> invalidated NETCOW_GUARDED_BY(invalidatedMutex);

Answer answerOf(Answer::Kind kind) {
  Answer answer;
  answer.kind = kind;
  return answer;
}

}  // namespace

std::vector<netcow::test::Invalidated> netcow::test::takeInvalidated() {
  const MutexLock lock(invalidatedMutex);
  return std::exchange(invalidated, {});
}

extern "C" {

int fuse_reply_err(fuse_req_t request, int error) {
  Answer answer = answerOf(Answer::error);
  answer.code = error;
  request->record(answer);
  return 0;
}

int fuse_reply_attr(fuse_req_t request, const struct stat* attributes, double timeout) {
  Answer answer = answerOf(Answer::attributes);
  answer.stat = *attributes;
  answer.timeout = timeout;
  request->record(answer);
  return 0;
}

int fuse_reply_entry(fuse_req_t request, const fuse_entry_param* entry) {
  Answer answer = answerOf(Answer::entry);
  answer.stat = entry->attr;
  answer.inode = entry->ino;
  answer.timeout = entry->attr_timeout;
  request->record(answer);
  return 0;
}

int fuse_reply_buf(fuse_req_t request, const char* bytes, size_t size) {
  Answer answer = answerOf(Answer::data);
  answer.bytes.assign(bytes, size);
  const int result = request->openResult;  // an answered request may be gone
  request->record(answer);
  return result;
}

int fuse_reply_write(fuse_req_t request, size_t count) {
  Answer answer = answerOf(Answer::written);
  answer.count = count;
  request->record(answer);
  return 0;
}

int fuse_reply_open(fuse_req_t request, const fuse_file_info* info) {
  Answer answer = answerOf(Answer::opened);
  answer.info = *info;
  const int result = request->openResult;
  request->record(answer);
  return result;
}

int fuse_reply_lseek(fuse_req_t request, off_t offset) {
  Answer answer = answerOf(Answer::position);
  answer.offset = offset;
  request->record(answer);
  return 0;
}

int fuse_reply_statfs(fuse_req_t request, const struct statvfs* numbers) {
  Answer answer = answerOf(Answer::fileSystem);
  answer.numbers = *numbers;
  request->record(answer);
  return 0;
}

void* fuse_req_userdata(fuse_req_t request) {
  return request->userData;
}

const fuse_ctx* fuse_req_ctx(fuse_req_t request) {
  return &request->context;
}

void fuse_req_interrupt_func(fuse_req_t request, fuse_interrupt_func_t function, void* data) {
  request->interruptFunction = function;
  request->interruptData = data;
  if (request->interruptedEarly) {
    request->registering = true;
    request->interrupt();
    request->registering = false;
  }
}

int fuse_lowlevel_notify_inval_inode(fuse_session*, fuse_ino_t inode, off_t offset, off_t length) {
  const netcow::MutexLock lock(invalidatedMutex);
  invalidated.push_back({inode, offset, length, std::this_thread::get_id()});
  return 0;
}

/// Not the kernel's format: the name and a line end.
size_t fuse_add_direntry(fuse_req_t, char* buffer, size_t size, const char* name,
                         const struct stat*, off_t) {
  const size_t length = std::strlen(name) + 1;
  if (length <= size) {
    std::memcpy(buffer, name, length - 1);
    buffer[length - 1] = '\n';
  }
  return length;
}

}  // extern "C"
