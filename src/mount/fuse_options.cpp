// SPDX-License-Identifier: Apache-2.0
#include "mount/fuse_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "base/errors.h"

namespace netcow {
namespace {

// Names that libfuse 2, or libfuse 3's high-level interface, took. None means anything here: the
// mount decides by itself what is best, and libfuse's low-level interface refuses to be asked.
constexpr std::array<std::string_view, 48> kWithoutEffect = {
    "ac_attr_timeout",
    "async_dio",
    "async_read",
    "atomic_o_trunc",
    "attr_timeout",
    "auto_cache",
    "auto_inval_data",
    "big_writes",
    "clone_fd",
    "direct_io",
    "entry_timeout",
    "gid",
    "hard_remove",
    "intr",
    "intr_signal",
    "kernel_cache",
    "large_read",
    "max_idle_threads",
    "max_threads",
    "modules",
    "negative_timeout",
    "no_async_dio",
    "no_auto_inval_data",
    "no_remote_flock",
    "no_remote_lock",
    "no_remote_posix_lock",
    "no_rofd_flush",
    "no_splice_move",
    "no_splice_read",
    "no_splice_write",
    "no_writeback_cache",
    "noauto_cache",
    "noforget",
    "nonempty",
    "nopath",
    "readdir_ino",
    "readdirplus",
    "remember",
    "splice_move",
    "splice_read",
    "splice_write",
    "sync_read",
    "time_gran",
    "uid",
    "umask",
    "use_ino",
    "writeback_cache",
    "congestion_threshold",
};

std::vector<std::string> splitAtCommas(const std::string& text) {
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      parts.back() += text[i++];  // libfuse takes the backslash away
      parts.back() += text[i];
    } else if (text[i] == ',') {
      parts.emplace_back();
    } else {
      parts.back() += text[i];
    }
  }
  return parts;
}

unsigned parseNumber(std::string_view name, std::string_view value) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size()) {
    throw UserError("mount option -o " + std::string(name) + "=" + std::string(value) +
                        ": a whole number from 0 to 4294967295 must follow the '='",
                    ExitStatus::usage);
  }
  return number;
}

void takeOption(const std::string& option, FuseOptions& result) {
  const std::string_view whole = option;
  const std::size_t equals = whole.find('=');
  const std::string_view name = whole.substr(0, equals);
  const auto number = [&] {
    return parseNumber(name, equals == std::string_view::npos ? "" : whole.substr(equals + 1));
  };
  if (name == "max_write") {
    result.limits.maxWrite = number();
  } else if (name == "max_background") {
    result.limits.maxBackground = number();
  } else if (name == "max_readahead") {
    result.limits.maxReadahead = number();
  } else if (name == "max_read") {
    result.limits.maxRead = number();
    result.passedOn.push_back(option);  // a mount option too; the two must agree
  } else if (std::find(kWithoutEffect.begin(), kWithoutEffect.end(), name) !=
             kWithoutEffect.end()) {
    result.ignored.push_back(option);
  } else {
    result.passedOn.push_back(option);
  }
}

}  // namespace

FuseOptions parseFuseOptions(const std::vector<std::string>& given) {
  FuseOptions result;
  for (const std::string& text : given) {
    for (const std::string& option : splitAtCommas(text)) {
      if (!option.empty()) {
        takeOption(option, result);
      }
    }
  }
  return result;
}

}  // namespace netcow
