// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "source/dnbd3/dnbd3_fixture.h"
#include "support/fault_proxy.h"

namespace netcow::test {

/// Sources that read through proxies, each a server of its own to them.
class ProxiedFixture : public Dnbd3Fixture {
 protected:
  std::unique_ptr<Source> connectThrough(const std::vector<const FaultProxy*>& proxies) {
    options_.hosts.clear();
    for (const FaultProxy* proxy : proxies) {
      options_.hosts.push_back(proxy->host());
    }
    return connectDnbd3(options_);
  }
  /// Two known servers, of which the first is the one in use.
  std::unique_ptr<Source> connectToFirst(FaultProxy& first, FaultProxy& second) {
    second.setFaults({.down = true});
    auto source = connectThrough({&first, &second});
    second.setFaults({});
    return source;
  }
  static bool tells(const Source& source, const std::string& text) {
    return source.statusText().find(text) != std::string::npos;
  }
  static bool reads(const Source& source, const FaultProxy& proxy) {
    return tells(source, "Server:   " + proxy.host().text() + "\n");
  }
  using Dnbd3Fixture::reads;
};

}  // namespace netcow::test
