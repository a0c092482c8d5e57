#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs clang-tidy (.clang-tidy says with which checks) over src/, or over the files given.
#
#   scripts/lint.sh [FILE.cpp...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The preset built with clang: g++'s options are not all clang's.
readonly commands=build/asan
[[ -f $commands/compile_commands.json ]] || cmake --preset asan >/dev/null

if [[ $# -gt 0 ]]; then
  files=("$@")
else
  mapfile -t files < <(find src -name '*.cpp' | sort)
fi
echo "lint: ${#files[@]} files with $(nproc) processes"
printf '%s\0' "${files[@]}" |
  xargs --null --max-args=1 --max-procs="$(nproc)" \
    clang-tidy-19 -p "$commands" --quiet --extra-arg=-Wno-unknown-warning-option
echo "lint: clean"
