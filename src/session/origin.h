// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netcow {

/// How far the merge of a session's upload has come; remembered across runs, so that no merge is
/// ever asked for again after it was accepted.
enum class MergeState {
  none,     ///< never asked for, or not accepted so far
  asked,    ///< asked for, no answer is known: it may have been accepted
  done,     ///< accepted by the server: never asked again, unless it says that the merge failed
  refused,  ///< the server will not merge
};
/// The state's name, as origin.json and `netcow info --json` show it.
std::string_view toText(MergeState state);

/// What a session's format has no field for, kept beside it as origin.json: where its base came
/// from and where its changes go. Written by netcow only; the reference client ignores it.
struct Origin {
  std::string imageName;
  std::uint16_t revision = 0;  ///< of the base, never 0
  std::uint64_t baseSize = 0;  ///< bytes
  std::string source;          ///< URL or host list it was mounted from
  std::string uploadPrefix;    ///< empty = stays local
  MergeState merge = MergeState::none;
  std::string uploadUuid;  ///< what `merge` is about; empty: whatever the session names

  /// How far the merge of an upload has come: what is stored of another one says nothing.
  [[nodiscard]] MergeState mergeOf(const std::string& upload) const;

  /// Replaces the file in the session's folder, durably. Throws std::system_error.
  void save(const std::string& directory) const;

  /// Nothing if there is no such file (a session of the reference client). Throws UserError if it
  /// cannot be understood.
  static std::optional<Origin> load(const std::string& directory);

  /// The text of the file, and back; `path` is for the message of the UserError.
  [[nodiscard]] std::string toJson() const;
  static Origin parse(std::string_view text, const std::string& path);

  bool operator==(const Origin&) const = default;
};

/// Whether two uuids name one upload: the reference client stored only 35 of a given one's 36
/// characters for a while.
bool isSameUpload(const std::string& stored, const std::string& given);

}  // namespace netcow
