// SPDX-License-Identifier: Apache-2.0
#include "session/check.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/errors.h"
#include "session/origin.h"

namespace netcow {
namespace {

void checkIo(const std::error_code& error, const Folder& folder, const char* name) {
  if (error) {
    throwErrno(error.value(), "cannot read " + folder.path() + "/" + name);
  }
}

void checkCounter(const LoadedSession& session, CheckReport& report) {
  const std::int64_t counted = session.headerAsRead.nextClusterOffset;
  const std::int64_t needed = session.header.nextClusterOffset;
  if (session.live == LiveState::absent && counted < needed && !report.has(FindingKind::counter)) {
    report.add({FindingKind::staleCounter, "meta",
                "says that the next cluster goes to " + std::to_string(counted) +
                    " of data, but clusters reach to " + std::to_string(needed)});
  }
}

void checkZeroOffsets(const LoadedSession& session, CheckReport& report) {
  for (const std::uint64_t table : session.zeroOffsets) {
    report.add(
        {FindingKind::zeroOffset, "meta",
         "has offsets of 0 instead of -1 in the table of L1 entry " + std::to_string(table)});
  }
}

void checkLeaks(const Folder& folder, const LoadedSession& session, CheckReport& report) {
  for (const LeakedRange& leak : leakedRanges(folder, session)) {
    report.leakedBytes += leak.bytes;
    report.add({FindingKind::leakedSpace, "data",
                "has " + std::to_string(leak.bytes) + " bytes that no cluster uses from " +
                    std::to_string(leak.offset) + " to " +
                    std::to_string(leak.offset + leak.length)});
  }
}

void tellLive(const LoadedSession& session, CheckReport& report) {
  report.live = session.live;
  report.processId = session.processId;
  if (report.inUse) {
    return;
  }
  if (session.live == LiveState::trusted) {
    report.add({FindingKind::notClosed, "live",
                "was left by process " + std::to_string(session.processId) +
                    " that was killed, and holds all its changes"});
  } else if (session.live == LiveState::dropped) {
    report.add({FindingKind::notClosed, "live",
                "does not count, because " + session.whyDropped +
                    "; the last checkpoint is the state of the session"});
  }
}

void checkOrigin(Folder& folder, CheckReport& report) {
  constexpr std::uint64_t kLongest = 1U << 20U;
  std::unique_ptr<File> file;
  std::uint64_t size = 0;
  if (const auto error = folder.openReadOnly("origin.json", file)) {
    if (error.value() == ENOENT) {
      return;
    }
    checkIo(error, folder, "origin.json");
  }
  checkIo(file->size(size), folder, "origin.json");
  std::string text(std::min(size, kLongest), '\0');
  checkIo(file->read(std::as_writable_bytes(std::span(text)), 0), folder, "origin.json");
  try {
    Origin::parse(text, "origin.json");
  } catch (const UserError& error) {
    const std::string line = error.what();
    report.add({FindingKind::origin, "origin.json", line.substr(line.find(' ') + 1)});
  }
}

void count(const LoadedSession& session, CheckReport& report) {
  for (std::uint64_t number = 0; number < session.map->tableCount(); ++number) {
    report.tables += session.map->table(number) != nullptr ? 1 : 0;
  }
  session.map->forEachAllocated([&report](std::uint64_t, const Cluster& cluster) {
    ++report.clusters;
    report.localBlocks += cluster.loadBits().count();
  });
}

/// A session that is in use changes while it is read, so what looks unsound may only be half a
/// change: look again before believing it.
CheckReport checkWhileInUse(Folder& folder) {
  constexpr int kTries = 5;
  for (int i = 1;; ++i) {
    CheckReport report;
    report.inUse = true;
    checkLockedSession(folder, LoadFor::reading, Clock::system(), report);
    if (report.sound() || i == kTries) {
      return report;
    }
  }
}

}  // namespace

std::string_view CheckReport::state() const {
  if (inUse) {
    return "in use";
  }
  if (!live) {
    return "nobody can tell whether it was closed";
  }
  switch (*live) {
    case LiveState::absent:
      return "closed";
    case LiveState::trusted:
      return "its process was killed";
    case LiveState::dropped:
      return "at its last checkpoint";
    case LiveState::refused:
      break;
  }
  return "not closed";
}

std::string_view CheckReport::stateName() const {
  if (inUse) {
    return "in-use";
  }
  if (!live) {
    return "unknown";
  }
  switch (*live) {
    case LiveState::absent:
      return "closed";
    case LiveState::trusted:
      return "killed";
    case LiveState::dropped:
      return "dropped";
    case LiveState::refused:
      break;
  }
  return "refused";
}

bool CheckReport::has(FindingKind kind) const {
  return std::any_of(findings.begin(), findings.end(),
                     [kind](const Finding& finding) { return finding.kind == kind; });
}

void CheckReport::add(const Finding& finding) {
  const FindingClass& kind = finding.kindClass();
  ++(kind.unsound ? unsound : notes);
  repairable += kind.repairable ? 1 : 0;
  hopeless_ += kind.unsound && !kind.repairable && finding.kind != FindingKind::origin ? 1 : 0;
  if (findings.size() < kMostFindings) {
    findings.push_back(finding);
  }
}

std::vector<LeakedRange> leakedRanges(const Folder& folder, const LoadedSession& session) {
  std::vector<LeakedRange> leaks;
  std::uint64_t begin = kFirstClusterOffset;
  const auto look = [&](std::uint64_t end) {
    if (begin < end) {
      LeakedRange leak{begin, end - begin, 0};
      checkIo(session.data->spaceIn(leak.offset, leak.length, leak.bytes), folder, "data");
      if (leak.bytes > 0) {
        leaks.push_back(leak);
      }
    }
  };
  for (const std::uint64_t place : session.places) {
    look(place);
    begin = place + kClusterSize;
  }
  return leaks;
}

std::vector<std::string> leftoverFiles(Folder& folder) {
  std::vector<std::string> names;
  for (const char* name : {"meta.new", "live.new", "meta.discarded", "meta.unfinished-copy"}) {
    std::unique_ptr<File> file;
    if (!folder.openReadOnly(name, file)) {
      names.emplace_back(name);
    }
  }
  return names;
}

LoadedSession checkLockedSession(Folder& folder, LoadFor purpose, const Clock& clock,
                                 CheckReport& report) {
  LoadedSession session = examineSession(
      folder, purpose, clock, [&report](const Finding& finding) { report.add(finding); });
  if (session.map != nullptr) {
    tellLive(session, report);
    checkCounter(session, report);
    checkZeroOffsets(session, report);
    // Where a table cannot be trusted, what nobody seems to use may be what it should name.
    if (report.hopeless() == 0 && !report.inUse) {
      checkLeaks(folder, session, report);
    }
    count(session, report);
    for (const std::string& name : leftoverFiles(folder)) {
      report.add({FindingKind::leftover, name, "was left by a program that did not finish"});
    }
  }
  checkOrigin(folder, report);
  return session;
}

CheckReport checkSession(Folder& folder) {
  std::unique_ptr<File> meta;
  // NFS locks only what is open for writing.
  if (!folder.open("meta", meta) || !folder.openReadOnly("meta", meta)) {
    // Where a lock cannot be had for another reason, nobody else has one either.
    if (const auto error = meta->lockExclusively(); error.value() == EWOULDBLOCK) {
      return checkWhileInUse(folder);
    }
  }
  CheckReport report;
  checkLockedSession(folder, LoadFor::reading, Clock::system(), report);
  return report;
}

}  // namespace netcow
