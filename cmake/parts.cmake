# SPDX-License-Identifier: Apache-2.0

# netcow_part(NAME SOURCES file... DEPENDS target...): one folder of src/ as a static library
# netcow_NAME. A part may depend only on those that stand above it in src/CMakeLists.txt.
function(netcow_part name)
  cmake_parse_arguments(PART "" "" "SOURCES;DEPENDS" ${ARGN})
  if(PART_SOURCES)
    add_library(netcow_${name} STATIC ${PART_SOURCES})
    target_include_directories(netcow_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(netcow_${name} PUBLIC ${PART_DEPENDS})
  else()
    add_library(netcow_${name} INTERFACE)
    target_include_directories(netcow_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(netcow_${name} INTERFACE ${PART_DEPENDS})
  endif()
endfunction()

# How test programs are compiled: without optimisation, which takes half the time, and with what ccache
# needs where headers are precompiled.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(NETCOW_TEST_OPTIONS -O0 "SHELL:-Xclang -fno-pch-timestamp")
else()
  set(NETCOW_TEST_OPTIONS -O0 -fpch-preprocess)
endif()

# Builds all that the tests with the label `unit` need, and no more.
add_custom_target(unit_tests)

# netcow_test(NAME SOURCES file... DEPENDS target... [LABELS label] [TIMEOUT seconds] [OPTIMISED]):
# one GoogleTest program; each of its tests is one test of ctest. Labels: `unit` (the default) runs
# under the sanitizers too, `system` needs /dev/fuse and the built netcow program, `stress` is what
# runs under the thread sanitizer. OPTIMISED is for those that compute much themselves.
function(netcow_test name)
  cmake_parse_arguments(TEST "OPTIMISED" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  if(NOT TEST_LABELS)
    set(TEST_LABELS unit)
  endif()
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  # Sanitizers make some of them ten times as slow.
  if(NETCOW_SANITIZE AND TEST_TIMEOUT LESS 600)
    set(TEST_TIMEOUT 600)
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${TEST_DEPENDS} GTest::gmock GTest::gtest_main)
  if(NOT TEST_OPTIMISED)
    target_compile_options(${name} PRIVATE ${NETCOW_TEST_OPTIONS})
    target_precompile_headers(${name} REUSE_FROM netcow_test_headers)
  endif()
  if(unit IN_LIST TEST_LABELS)
    add_dependencies(unit_tests ${name})
  endif()
  gtest_discover_tests(
    ${name} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT ${TEST_TIMEOUT})
endfunction()
