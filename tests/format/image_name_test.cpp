// SPDX-License-Identifier: Apache-2.0
#include "format/image_name.h"

#include <gtest/gtest.h>

namespace netcow {
namespace {

TEST(ImageName, FileNameEndsInTheRevision) {
  EXPECT_EQ((ImageName{"lab/windows", 65535}).fileName(), "lab/windows.r65535");
}

TEST(ImageName, AcceptsSubFoldersAndDotsInside) {
  for (const char* name : {"a", "lab/windows-10.vmdk", "a.b/c.d", "a b", "\xC3\xA4"}) {
    EXPECT_TRUE(isValidImageName(name)) << name;
  }
}

TEST(ImageName, RefusesWhatCouldLeaveTheFolder) {
  for (const char* name : {"", ".", "..", ".hidden", "/a", "a/", "a/../b", "a/.b", "a//b", "a/."}) {
    EXPECT_FALSE(isValidImageName(name)) << name;
  }
}

TEST(ImageName, RefusesControlCharacters) {
  for (const std::string& name :
       {std::string("a\nb"), std::string("a\0b", 3), std::string("a\x7F"), std::string("\t")}) {
    EXPECT_FALSE(isValidImageName(name)) << name;
  }
}

TEST(ImageName, TakesFileNamesApart) {
  EXPECT_EQ(parseImageFileName("lab/windows.r12"), (ImageName{"lab/windows", 12}));
  EXPECT_EQ(parseImageFileName("a.r1.r2"), (ImageName{"a.r1", 2}));
  EXPECT_EQ(parseImageFileName("a.r65535"), (ImageName{"a", 65535}));
}

TEST(ImageName, RefusesFileNamesWithoutAPlainRevision) {
  for (const char* name : {"a", "a.r", "a.r0", "a.r01", "a.r65536", "a.r-1", "a.r+1", "a.r1 ",
                           "a.r1.crc", ".r1", "a.R1", "a.rx", "/a.r1", "a/.r1"}) {
    EXPECT_FALSE(parseImageFileName(name)) << name;
  }
}

}  // namespace
}  // namespace netcow
