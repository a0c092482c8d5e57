// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_function.h"

namespace netcow {

/// An io_context and the threads that run it. They sleep while there is nothing to do.
class IoThreads {
 public:
  /// `name` is for the log.
  IoThreads(std::string name, int threads);
  ~IoThreads();
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  boost::asio::io_context& context() { return context_; }

  /// Runs `job` on one of the threads, in the order in which jobs are posted. Thread-safe.
  void post(UniqueFunction<void()> job);

  /// Waits for handlers that are running; afterwards none runs any more. What they own (sockets
  /// of clients) goes with this object. Not from one of the threads.
  void stop();

 private:
  void run();

  std::string name_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::vector<std::jthread> threads_;
};

}  // namespace netcow
