// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/keyed_hash.h"
#include "format/sent_file.h"
#include "session/session.h"

// What the server of an upload holds of a session's clusters, as far as it is known for sure.
//
// Two things are known of a cluster:
//   mayHold  the blocks that the server was ever sent. It may have taken an update whose answer was
//            lost, and a reference server keeps every block and places bodies by them all. So each
//            update has to carry all of these. Too many cost bytes, one too few costs the upload.
//   body     the digest of the last body sent; known only if the server acknowledged it and nothing
//            was sent since.
// In memory they are exact: willSend() comes before the first byte leaves, arrived() after a 2xx.
//
// Across runs they are kept in the file `sent` (format/sent_file.h), which is never synced. A
// record is written when the cluster is clean in the tables on the disk (a checkpoint has ended),
// and names how many uploads they count. Opened again, a record is used only if the tables, as they
// were read, call the cluster clean with the same count. That is enough, because
//   - before anything of a cluster is sent, a checkpoint has made it dirty on the disk
//     (Session::snapshot());
//   - whenever a dirty cluster becomes clean it is counted, also if nothing had to be sent: else
//     one that `live` calls clean, and `meta` still dirty, would have the count of an older record,
//     and another program that knows only `meta` may have sent it meanwhile, and been killed;
//   - the counts in the tables never fall, and other programs keep to the same rules.
// So between two moments at which the disk says "clean, n uploads" nothing was sent. It holds for a
// record that survived a power cut, and for an old one that came back, as well.
// What has no such record is in doubt: the server may hold every block that is local now, and no
// body is known. That is always so for a cluster that is dirty in the tables: a reference client
// may have sent some of it, and been killed before it could note that.
//
// A record is bound to the upload's uuid and to the files `meta`, `data` and `sent` by its check,
// so one that is torn, was copied with its session, or belongs to another upload is none.
//
// What that means for whatever may come between:
//   a kill or power cut between an upload and its record: the entry is dirty on the disk, or counts
//     one upload more than the record; either way there is no record
//   another uuid (--new-upload, --upload-uuid, an upload that expired): no record fits; back at the
//     first one they fit again, and that server still holds what they say, as nobody sent it more
//     without counting
//   the image shrunk and grown: what comes back is zeroed, which makes the cluster dirty; what a
//     record says of the server stays true. A cluster beyond the end is called clean unsent, and
//     counted
//   another program that had the session: it counts its uploads, and what it leaves dirty has no
//     record
//   a server that went back to an older state (a backup): it lacks clusters that are clean just as
//     it lacks those that are not sent here; nothing in a session knows of it. --new-upload sends
//     everything
//   two different bodies with one digest: less likely than 2^-110 each time (base/keyed_hash.h)
namespace netcow {

/// Not thread-safe; `session` must outlive it.
class SentClusters {
 public:
  /// Reads what is known of the present upload. To be made before anybody writes to the session.
  explicit SentClusters(Session& session);

  /// The blocks of a cluster that the server may hold.
  [[nodiscard]] ClusterBits mayHold(std::uint64_t cluster) const;
  /// The digest of the body that the server holds, where that is sure.
  [[nodiscard]] std::optional<KeyedDigest> body(std::uint64_t cluster) const;

  /// By which bodies are hashed.
  [[nodiscard]] const HashKey& hashKey() const { return hashKey_; }

  /// A body with these blocks, mayHold() among them, is about to leave.
  void willSend(std::uint64_t cluster, const ClusterBits& bits);
  /// The server has acknowledged the last body sent; nothing as `body` if it is not known what that
  /// was.
  void arrived(std::uint64_t cluster, const std::optional<KeyedDigest>& body);
  /// The cluster is clean, and nothing was sent for that.
  void unsent(std::uint64_t cluster) { toSave_.insert(cluster); }

  /// Writes what became sure since the last call, as far as checkpoints have covered it; the rest
  /// with a later one. Failures are logged, and nothing is written any more.
  void save();

 private:
  struct Known {
    ClusterBits mayHold;
    std::optional<KeyedDigest> body;
    std::optional<std::uint32_t> slot;          ///< its place in the file
    std::optional<std::uint32_t> savedUploads;  ///< the file has just this, with that count
  };

  void load(const std::unordered_map<std::uint64_t, std::uint32_t>& clean);
  void openFile();
  void takeRecord(const SentRecord& record, std::uint32_t slot,
                  const std::unordered_map<std::uint64_t, std::uint32_t>& clean);
  std::error_code write(std::uint64_t cluster, Known& known, std::uint32_t uploads);
  std::error_code createFile();
  void identify();
  [[nodiscard]] KeyedDigest checkOf(const SentRecord& record);

  Session& session_;
  std::unordered_map<std::uint64_t, Known> known_;
  std::set<std::uint64_t> toSave_;
  HashKey hashKey_ = randomHashKey();  ///< that of the file, where there is one
  std::optional<KeyedHash> hash_;      ///< by it
  std::unique_ptr<File> file_;
  std::optional<KeyedDigest> owner_;  ///< whom the records belong to; none: the file is of no use
  bool hasHeader_ = false;
  bool off_ = false;  ///< nothing is written
  std::vector<std::uint32_t> freeSlots_;
  std::uint32_t slots_ = 0;
};

}  // namespace netcow
