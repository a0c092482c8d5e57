// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace netcow {

/// What proves to an upload server who asks, and to us that it is the server. Empty: nothing is
/// sent, and the certificates of the system count.
struct Credentials {
  std::string token;   ///< sent as a bearer token (RFC 6750); never to be logged
  std::string caFile;  ///< certificates (PEM) that are trusted in place of the system's
};

/// Credentials as the options name them: files. Not thread-safe.
///
/// The token's file is looked at before each request, and read again when it was replaced, so that
/// a token which expires can be renewed while a mount goes on. What cannot be used then (the file
/// is being rewritten, or gone) is logged once, and the last good token goes on.
class UploadAccess {
 public:
  /// None.
  UploadAccess() = default;
  /// Paths, empty for none. Throws UserError for a file that cannot be used.
  UploadAccess(const std::string& tokenFile, const std::string& caFile);

  /// What the next request is to be sent with.
  [[nodiscard]] const Credentials& current();

 private:
  /// What tells one content of the file from the next.
  struct Stamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;
    std::int64_t changed = 0;  ///< nanoseconds
    bool operator==(const Stamp&) const = default;
  };
  static Stamp stampOf(const std::string& path);

  std::string tokenFile_;
  Stamp seen_;
  Credentials credentials_;
};

/// The token in a text: the whole of it but for blanks and line ends around it. Throws UserError,
/// naming `path` and never the content, if that is no token: empty, longer than 8000 bytes, or
/// with anything but printable ASCII.
std::string parseToken(const std::string& text, const std::string& path);

}  // namespace netcow
