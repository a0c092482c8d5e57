// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"

namespace netcow {

/// How many connections an HTTP server holds at once. May change while it runs.
struct HttpLimits {
  std::uint64_t clients = 1024;
  std::uint64_t clientsPerAddress = 256;
};

/// Counts connections, all and by address. Thread-safe.
class ClientLimits {
 public:
  explicit ClientLimits(HttpLimits limits) : limits_(limits) {}

  enum class Verdict {
    serve,
    refuse,  ///< over a limit, but there is room to tell the client so
    drop,    ///< not even that
  };

  /// A place among the connections, given back when it is destroyed. The limits must outlive it.
  class Place {
   public:
    Place(ClientLimits& owner, std::string address, Verdict verdict)
        : owner_(owner), address_(std::move(address)), verdict_(verdict) {}
    ~Place() { owner_.leave(*this); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    [[nodiscard]] Verdict verdict() const { return verdict_; }

   private:
    friend class ClientLimits;
    ClientLimits& owner_;
    const std::string address_;
    const Verdict verdict_;
  };

  [[nodiscard]] std::unique_ptr<Place> enter(const std::string& address);
  void replace(HttpLimits limits);

 private:
  void leave(const Place& place);

  Mutex mutex_;
  HttpLimits limits_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t served_ NETCOW_GUARDED_BY(mutex_) = 0;
  std::uint64_t refused_ NETCOW_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::uint64_t> servedByAddress_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
