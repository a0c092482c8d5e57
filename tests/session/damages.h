// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "session/finding.h"
#include "session/session.h"

// The ways in which the files of a session can be wrong that no program can mend.
namespace netcow::test {

struct Damage {
  const char* name;
  std::function<void(const std::string& directory)> apply;
  const char* expected;  ///< a part of the message
  FindingKind kind;
};

inline void overwrite(const std::string& path, std::streamoff offset,
                      std::vector<unsigned char> bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(offset);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.good());
}

// Places as docs/formats/session.md says: L1 at 320, the first L2 table at 65536, entries of 64
// bytes.
inline const Damage kDamages[] = {
    {"MetaMissing", [](const std::string& d) { std::filesystem::remove(d + "/meta"); },
     "the file `meta` is missing", FindingKind::missingFile},
    {"DataMissing", [](const std::string& d) { std::filesystem::remove(d + "/data"); },
     "the file `data` is missing", FindingKind::missingFile},
    {"MetaEmpty", [](const std::string& d) { std::filesystem::resize_file(d + "/meta", 0); },
     "meta is truncated", FindingKind::header},
    {"MetaTruncated",
     [](const std::string& d) { std::filesystem::resize_file(d + "/meta", 262'143); },
     "meta is truncated", FindingKind::header},
    {"DataTruncated",
     [](const std::string& d) { std::filesystem::resize_file(d + "/data", 1'310'720 + 100); },
     "data is truncated", FindingKind::blocksBehindEnd},
    {"DataEmpty", [](const std::string& d) { std::filesystem::resize_file(d + "/data", 0); },
     "data does not begin with the magic", FindingKind::dataMagic},
    {"MetaMagic", [](const std::string& d) { overwrite(d + "/meta", 0, {1, 2, 3}); },
     "meta does not begin with the magic", FindingKind::header},
    {"MetaEndianness",
     [](const std::string& d) {
       overwrite(d + "/meta", 0, {0xEB, 0xE4, 0x4D, 0x6E, 0x72, 0xF7, 0x82, 0x5E});
     },
     "wrong endianness", FindingKind::header},
    {"DataMagic", [](const std::string& d) { overwrite(d + "/data", 0, {0}); },
     "data does not begin with the magic", FindingKind::dataMagic},
    {"DataEndianness",
     [](const std::string& d) {
       overwrite(d + "/data", 0, {0xEB, 0xE4, 0x4D, 0x6E, 0x72, 0xF7, 0x82, 0x5F});
     },
     "wrong endianness", FindingKind::dataMagic},
    {"Version", [](const std::string& d) { overwrite(d + "/meta", 16, {2, 0, 0, 0}); },
     "has version 2", FindingKind::header},
    {"BitfieldSize", [](const std::string& d) { overwrite(d + "/meta", 40, {80, 0, 0, 0}); },
     "bitfields of 80 bytes", FindingKind::header},
    {"TableIndexTooLarge", [](const std::string& d) { overwrite(d + "/meta", 320, {9, 0, 0, 0}); },
     "index out of range", FindingKind::tableIndex},
    {"TableIndexNegative",
     [](const std::string& d) { overwrite(d + "/meta", 320, {0xFE, 0xFF, 0xFF, 0xFF}); },
     "index out of range", FindingKind::tableIndex},
    {"TableUsedTwice", [](const std::string& d) { overwrite(d + "/meta", 324, {0, 0, 0, 0}); },
     "uses table 0 twice", FindingKind::tableTwice},
    {"OffsetTooLarge",
     [](const std::string& d) { overwrite(d + "/meta", 65'536, {0, 0, 0x14, 0, 1}); },
     "offset out of range", FindingKind::offsetRange},
    {"OffsetOdd", [](const std::string& d) { overwrite(d + "/meta", 65'536, {1}); },
     "offset out of range", FindingKind::offsetRange},
    {"OffsetUsedTwice",
     [](const std::string& d) {
       // The second cluster gets the offset of the first: 1310720 = 0x140000.
       overwrite(d + "/meta", 65'536 + 64, {0, 0, 0x14, 0, 0, 0, 0, 0});
     },
     "twice", FindingKind::offsetTwice},
    {"BitsWithoutCluster",
     [](const std::string& d) { overwrite(d + "/meta", 65'536 + 5 * 64 + 24, {1}); },
     "without a place in data", FindingKind::bitsWithoutPlace},
    {"NameWithoutEnd",
     [](const std::string& d) {
       overwrite(d + "/meta", 120, std::vector<unsigned char>(200, 'x'));
     },
     "does not end", FindingKind::header},
};

/// A sound session whose image has two clusters with a local block each: the last of cluster 0 and
/// the first of cluster 1.
inline void makeSoundSession(const std::string& directory) {
  NewSession settings;
  settings.imageName = "image";
  settings.baseSize = 4 * kClusterSize;
  settings.maxImageSize = 3 * kTableSpan;  // a `meta` of 262 144 bytes
  const auto session = Session::create(directory, settings);
  const std::vector<std::byte> content(2 * kBlockSize, std::byte{1});
  ASSERT_FALSE(session->write(content, kClusterSize - kBlockSize));
  ASSERT_FALSE(session->close());
}

}  // namespace netcow::test
