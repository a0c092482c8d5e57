// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace netcow {

/// A request that was answered, for logs and figures.
struct HttpExchange {
  std::string client = {};  ///< its address
  std::string caller = {};  ///< who it is: the name of its token; empty when unknown
  std::string method = {};  ///< empty when the request was not understood so far
  std::string target = {};  ///< as the client sent it; holds secrets
  unsigned status = 0;
  std::uint64_t bytesReceived = 0;    ///< of the body
  std::uint64_t bytesSent = 0;        ///< of the body
  std::chrono::milliseconds took{0};  ///< from the header to the end of the answer
};

}  // namespace netcow
