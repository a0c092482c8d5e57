// SPDX-License-Identifier: Apache-2.0
// What a session of many local clusters costs, without a mount: each cluster holds one block.
//
//   session_scale make FOLDER --clusters N [--image-size BYTES]   makes such a session, all clean
//   session_scale time FOLDER                                     opens it and times its life
//
// `time` prints a line of JSON: seconds for each step, and the memory that it took.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "session/session.h"

namespace netcow {
namespace {

using Stopwatch = std::chrono::steady_clock;

constexpr std::array<std::byte, kBlockSize> kContent = {std::byte{1}};

void check(const std::error_code& error) {
  if (error) {
    throw std::system_error(error, "the session");
  }
}

/// Resident memory of this process in bytes.
std::uint64_t residentBytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Clusters are spread evenly over the image.
void make(const std::string& folder, std::uint64_t clusters, std::uint64_t imageSize) {
  const auto session = Session::create(folder, {.imageName = "scale",
                                                .uploadUuid = "scale",
                                                .baseSize = imageSize,
                                                .maxImageSize = imageSize});
  const std::uint64_t step = imageSize / kClusterSize / std::max<std::uint64_t>(clusters, 1);
  for (std::uint64_t i = 0; i < clusters; ++i) {
    check(session->write(kContent, i * step * kClusterSize));
  }
  check(session->checkpoint());
  while (const auto cluster = session->takeDirty(Clock::Time::max())) {
    session->acknowledgeUpload(*cluster, session->snapshot(*cluster).changes);
  }
  check(session->close());
}

class Times {
 public:
  template <class Step>
  void measure(const std::string& name, Step step) {
    const auto begin = Stopwatch::now();
    step();
    const std::chrono::duration<double> taken = Stopwatch::now() - begin;
    figures_.emplace_back(name, taken.count());
  }
  void print(std::uint64_t clusters, std::uint64_t memory) const {
    std::printf("{\"clusters\": %llu, \"memoryBytes\": %llu",
                static_cast<unsigned long long>(clusters), static_cast<unsigned long long>(memory));
    for (const auto& [name, seconds] : figures_) {
      std::printf(", \"%s\": %.6f", name.c_str(), seconds);
    }
    std::printf("}\n");
  }

 private:
  std::vector<std::pair<std::string, double>> figures_;
};

void time(const std::string& folder) {
  Times times;
  const std::uint64_t memoryBefore = residentBytes();
  std::unique_ptr<Session> session;
  times.measure("open", [&] { session = Session::open(folder); });
  const std::uint64_t memory = residentBytes() - memoryBefore;
  const std::uint64_t clusters = session->localClusterCount();
  times.measure("firstWrite", [&] { check(session->write(kContent, 0)); });
  times.measure("checkpoint", [&] { check(session->checkpoint()); });
  times.measure("overwrite", [&] { check(session->write(kContent, 0)); });
  times.measure("checkpointOfContent", [&] { check(session->checkpoint()); });
  times.measure("statusCounts", [&] {
    static_cast<void>(session->dirtyCounts(Clock::Time::max()));
    static_cast<void>(session->localClusterCount());
  });
  times.measure("finalScan", [&] {
    while (const auto cluster = session->takeDirty(Clock::Time::max())) {
      session->acknowledgeUpload(*cluster, session->snapshot(*cluster).changes);
    }
  });
  times.measure("close", [&] { check(session->close()); });
  times.print(clusters, memory);
}

int run(int argc, char** argv) {
  CLI::App app("Sessions of many local clusters");
  app.require_subcommand(1);
  std::string folder;
  std::uint64_t clusters = 0;
  std::uint64_t imageSize = kLargestImageSize;
  CLI::App* const maker = app.add_subcommand("make", "Makes a session");
  maker->add_option("folder", folder)->required();
  maker->add_option("--clusters", clusters)->required();
  maker->add_option("--image-size", imageSize);
  CLI::App* const timer = app.add_subcommand("time", "Opens one and times its life");
  timer->add_option("folder", folder)->required();
  CLI11_PARSE(app, argc, argv);
  try {
    if (maker->parsed()) {
      make(folder, clusters, imageSize);
    } else {
      time(folder);
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "session_scale: %s\n", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace netcow

int main(int argc, char** argv) {
  return netcow::run(argc, argv);
}
