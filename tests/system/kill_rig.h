// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "support/scripted_dnbd3_server.h"
#include "support/sector_oracle.h"
#include "support/seeded_random.h"
#include "system/mount_load.h"
#include "system/netcow_system.h"

namespace netcow::test {

/// What was tried, for people and docs/semantics.md.
struct KillCounts {
  std::uint64_t mountKills = 0;     ///< of a mount under load
  std::uint64_t recoveryKills = 0;  ///< of a mount that was just opening the session
  std::uint64_t uploadKills = 0;    ///< of netcow upload
  std::uint64_t serverKills = 0;
  std::uint64_t operations = 0;  ///< acknowledged
};
std::ostream& operator<<(std::ostream& out, const KillCounts& counts);

/// One image, its servers, one session on it, and an oracle that knows what it must hold.
///
/// The base comes from a server that answers late and in any order; uploads go to a real
/// `netcow serve`. The image is larger than one table of a session; only the surroundings of two
/// borders are used.
class KillRig {
 public:
  enum class Uploads { none, whileMounted, later };
  /// The session lies in `sessionParent`, or in a temporary folder if that is empty.
  KillRig(SeededRandom& random, Uploads uploads, KillCounts& counts,
          const std::string& sessionParent = "");
  ~KillRig();
  KillRig(const KillRig&) = delete;
  KillRig& operator=(const KillRig&) = delete;

  /// Mounts, the first time with -c, then with -L, and sees that nothing is lost or invented.
  void mountAndCheck(const Arguments& more = {});
  /// Works on the mount and kills it in the middle. `serverToo`: the server is killed and started
  /// again on the way.
  void killUnderLoad(bool serverToo = false);
  void killIdle();
  /// Starts a mount and kills it at the n-th event in the session's folder, or as soon as it is
  /// mounted. True if it was still opening the session.
  bool killInRecovery(std::size_t event);
  /// `netcow upload -m`, killed at the n-th event. True when it ended well before.
  bool killUpload(std::size_t event);
  /// `netcow upload -m` to its end.
  void upload();

  void unmount();
  /// The new revision must be what the oracle says, and the only one.
  void expectMerged();
  /// The same for the image that `netcow merge` makes of the session.
  void expectMergesOffline();

 private:
  [[nodiscard]] Arguments mountArguments(const Arguments& more) const;
  /// Takes away what killed mounts left at the mountpoint.
  void clearMountpoint() const;
  /// What `netcow check` says of the session.
  void expectSound() const;
  void check();
  void expectIsImage(const std::string& path);

  SeededRandom& random_;
  const Uploads uploads_;
  KillCounts& counts_;
  TemporaryDirectory temporary_;
  const std::string images_ = temporary_ / "images";
  const std::string session_;
  const std::string mountpoint_ = temporary_ / "mnt";
  SectorOracle oracle_;
  std::unique_ptr<ScriptedDnbd3Server> blocks_;
  std::unique_ptr<RunningServer> server_;
  std::unique_ptr<RunningMount> mount_;
};

}  // namespace netcow::test
