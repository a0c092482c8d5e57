#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs clang-tidy over src/, or over the files given; .clang-tidy says with which checks.
# Not a part of test.sh: it takes about as long as everything there together.
#
#   scripts/lint.sh [FILE.cpp...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# From the preset that builds with clang: it does not know all options of g++.
readonly commands=build/asan
cmake --preset asan >/dev/null
cmake --build --preset asan --target netcow_test_headers >/dev/null # which tests are read with

if [[ $# -gt 0 ]]; then
  files=("$@")
else
  mapfile -d '' files < <(find src -name '*.cpp' -print0 | sort -z)
fi
echo "lint: ${#files[@]} files, $(nproc) at a time"
printf '%s\0' "${files[@]}" |
  xargs --null --max-args=1 --max-procs="$(nproc)" clang-tidy-19 -p "$commands" --quiet 2>&1 |
  { grep -v '^[0-9]* warnings generated\.$' || true; }
echo "lint: clean"
