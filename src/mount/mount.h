// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "image/image.h"

namespace netcow {

class MountGuard;

struct MountOptions {
  std::string mountpoint;                   ///< an existing folder
  std::vector<std::string> fuseOptions;     ///< as each -o gave them
  std::function<std::string()> statusText;  ///< content of `status`; called on many threads, quick
  unsigned workers = 0;                     ///< threads that serve requests; 0: as many as help
  bool debugFuse = false;                   ///< log every request
  MountGuard* guard = nullptr;              ///< told of the mount; outlives it
};

/// An image mounted through libfuse: `img` and `status` in a folder.
///
/// It is mounted and served from the constructor on; run() waits for the end. A process that goes
/// to the background does so before, because threads start here. One process may hold several.
class Mount {
 public:
  /// `image` must outlive this. When it returns, nothing of ours holds the mount any more, so that
  /// whoever waited for it can unmount at once. Throws UserError when it cannot be mounted.
  Mount(Image& image, MountOptions options);
  /// Unmounts (even if in use) when run() did not.
  ~Mount();
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  /// Waits until somebody unmounts or requestStop() is called, then unmounts. When it returns,
  /// every request has been answered and no thread of the mount uses the image any more.
  ///
  /// After requestStop(): a mount in use is taken away from its users; before, what they wrote
  /// through memory maps is collected, requests under way get a short while to end, and new ones
  /// are refused. `stopSource` is called once, on the way, in either case: it must make every
  /// read of the source that is still pending end, and not return before (Source::stop()).
  void run(const std::function<void()>& stopSource);

  /// Ends run(), also one that has not begun. Thread-safe; not for signal handlers.
  void requestStop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace netcow
