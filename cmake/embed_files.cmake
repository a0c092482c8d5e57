# SPDX-License-Identifier: Apache-2.0
# Writes a C++ file that holds other files as they are:
#   cmake -DOUTPUT=file.cpp -DFILES=a,b -P embed_files.cmake
# It defines embeddedPageFiles() of src/server/page/embedded_files.h.
string(REPLACE "," ";" files "${FILES}")
set(entries "")
set(count 0)
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME)
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${hex}")
  string(LENGTH "${hex}" size)
  math(EXPR size "${size} / 2")
  string(APPEND entries "    {\"${name}\", {\"${bytes}\", ${size}}},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(
  WRITE "${OUTPUT}"
  "// Made by cmake/embed_files.cmake.
#include <array>

#include \"server/page/embedded_files.h\"

namespace netcow {
namespace {
constexpr std::array<EmbeddedFile, ${count}> kFiles = {{
${entries}}};
}  // namespace
std::span<const EmbeddedFile> embeddedPageFiles() {
  return kFiles;
}
}  // namespace netcow
")
