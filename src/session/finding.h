// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace netcow {

/// What can be said against a session.
enum class FindingKind {
  // Unsound: the session cannot be opened.
  missingFile,
  header,
  counter,
  dataMagic,
  tableIndex,
  tableTwice,
  tablesDiffer,
  offsetRange,
  offsetTwice,
  bitsWithoutPlace,
  blocksBehindEnd,
  live,
  origin,
  // Notes: it can.
  notClosed,
  staleCounter,
  zeroOffset,
  leakedSpace,
  leftover,
};

/// How a kind is to be taken.
struct FindingClass {
  std::string_view name;  ///< for programs: part of the interface of `netcow check --json`
  bool unsound;
  bool repairable;           ///< `netcow check --repair` mends it
  std::string_view meaning;  ///< a sentence: what it means, and what a person can do
};
const FindingClass& classOf(FindingKind kind);

/// One thing that is wrong with a session, or worth telling.
struct Finding {
  FindingKind kind;
  std::string file;  ///< its name in the session's folder
  std::string what;  ///< what the file is or has, as a part of a sentence that begins with its name
  [[nodiscard]] const FindingClass& kindClass() const { return classOf(kind); }
};

/// Is told of each finding. May throw to end the search.
using FindingSink = std::function<void(const Finding&)>;

}  // namespace netcow
