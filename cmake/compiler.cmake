# SPDX-License-Identifier: Apache-2.0
# Language level, warnings (all of them errors) and the sanitizers a preset asks for.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Locks are annotated (base/mutex.h); a wrong use of one is an error here.
  add_compile_options(-Wthread-safety)
endif()

set(NETCOW_SANITIZE "" CACHE STRING "Sanitizers to build with, e.g. address,undefined")
if(NETCOW_SANITIZE)
  add_compile_options(-fsanitize=${NETCOW_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${NETCOW_SANITIZE})
endif()

# For parts that compute little, whose tests take less time than their compilation.
set(NETCOW_SPARING_OPTIONS "")
if(NETCOW_SANITIZE AND NOT NETCOW_FUZZ)
  set(NETCOW_SPARING_OPTIONS -O0)
endif()

option(NETCOW_FUZZ "Build the fuzzers of tests/fuzz (clang, with NETCOW_SANITIZE)" OFF)

option(NETCOW_COVERAGE "Build with coverage counters (clang)" OFF)
if(NETCOW_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # What ccache asks for where headers are precompiled (its manual, "Precompiled headers").
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
endif()
