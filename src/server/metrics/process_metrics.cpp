// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>

namespace netcow {
namespace {

double secondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// Fields of /proc/self/stat from the third on ("man proc" counts from 1); empty if it cannot be
/// read.
std::vector<double> statFields() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  // The second field is the program's name in parentheses, and may hold anything.
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos || text.size() < end + 4) {
    return {};
  }
  std::istringstream rest(text.substr(end + 4));  // behind the state, which is a letter
  return {std::istream_iterator<double>(rest), {}};
}

constexpr std::size_t kFirstField = 4;
constexpr std::size_t kThreads = 20;
constexpr std::size_t kStartTime = 22;  // in clock ticks since boot
constexpr std::size_t kVirtualBytes = 23;
constexpr std::size_t kResidentPages = 24;

/// Unix seconds of the machine's start.
std::optional<double> bootTime() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("btime ")) {
      return std::stod(line.substr(6));
    }
  }
  return std::nullopt;
}

void addFromStat(MetricFamilies& families) {
  const std::vector<double> fields = statFields();
  if (fields.size() <= kResidentPages - kFirstField) {
    return;
  }
  const auto field = [&fields](std::size_t number) { return fields[number - kFirstField]; };
  families.push_back(gauge("process_threads", "Threads of the process", field(kThreads)));
  families.push_back(gauge("process_virtual_memory_bytes", "Size of the virtual memory in bytes",
                           field(kVirtualBytes)));
  families.push_back(gauge("process_resident_memory_bytes", "Size of the resident memory in bytes",
                           field(kResidentPages) * static_cast<double>(::sysconf(_SC_PAGESIZE))));
  if (const auto boot = bootTime()) {
    families.push_back(
        gauge("process_start_time_seconds", "When the process began, in seconds since 1970",
              *boot + field(kStartTime) / static_cast<double>(::sysconf(_SC_CLK_TCK))));
  }
}

void addDescriptors(MetricFamilies& families) {
  std::error_code error;
  std::size_t open = 0;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    ++open;
  }
  if (!error && open > 0) {
    families.push_back(gauge("process_open_fds", "Open file descriptors",
                             static_cast<double>(open - 1)));  // not the one of this look
  }
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.push_back(gauge("process_max_fds", "File descriptors that may be open",
                             static_cast<double>(limit.rlim_cur)));
  }
}

}  // namespace

MetricFamilies processMetrics() {
  MetricFamilies families;
  rusage usage = {};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    families.push_back(counter("process_cpu_seconds_total", "Processor time of user and system",
                               secondsOf(usage.ru_utime) + secondsOf(usage.ru_stime)));
  }
  addFromStat(families);
  addDescriptors(families);
  return families;
}

}  // namespace netcow
