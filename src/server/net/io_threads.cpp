// SPDX-License-Identifier: Apache-2.0
#include "server/net/io_threads.h"

#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "base/logging.h"

namespace netcow {

IoThreads::IoThreads(std::string name, int threads)
    : name_(std::move(name)), context_(threads), work_(boost::asio::make_work_guard(context_)) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { run(); });
  }
}

IoThreads::~IoThreads() {
  stop();
}

void IoThreads::post(UniqueFunction<void()> job) {
  boost::asio::post(context_, std::move(job));
}

void IoThreads::stop() {
  work_.reset();
  context_.stop();
  threads_.clear();
}

void IoThreads::run() {
  for (;;) {
    try {
      context_.run();
      return;
    } catch (const std::exception& error) {
      // One client's trouble (no memory for its buffers) must not end the service of the others;
      // its connection went with the handler that threw.
      spdlog::error("{}: a connection was dropped: {}", name_, error.what());
    }
  }
}

}  // namespace netcow
