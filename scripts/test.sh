#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Checks everything: looks at the sources, builds netcow twice and a part of it a third time, and
# runs its tests.
# Installs what is missing, works from any folder, may be run again at any time.
# The last line of output is "N passed, N failed"; the exit status is 0 when none failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

passed=0
failed=0
failures=()

say() {
  printf '\n== %s\n' "$*"
}

# However this script ends, it says what it found out.
finish() {
  local status=$?
  trap - EXIT
  if [[ $status -ne 0 && $failed -eq 0 ]]; then
    failed=1
    failures+=("this script, which ended early: see above")
  fi
  if [[ $failed -gt 0 ]]; then
    say "Failed:"
    printf '   %s\n' "${failures[@]}"
  fi
  printf '\n%s\n' "$passed passed, $failed failed"
  [[ $failed -eq 0 ]] || exit 1
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# check NAME COMMAND...: a step that counts as one test.
check() {
  local name=$1
  shift
  say "$name"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    failures+=("$name")
    return 1
  fi
}

# Files of the repository by pattern, each ended by NUL; also when somebody else owns the clone.
tracked() {
  git -c safe.directory="$PWD" ls-files -z -- "$@"
}

format_is_right() {
  tracked '*.h' '*.cpp' | xargs --null clang-format-19 --dry-run -Werror
}

scripts_are_sound() {
  tracked '*.sh' .ci/run | xargs --null shellcheck
}

licence_lines_are_there() {
  local without
  without=$(tracked '*.h' '*.cpp' '*.sh' '*.cmake' '*CMakeLists.txt' '*.py' .ci/run |
    xargs --null grep --files-without-match '^\(//\|#\) SPDX-License-Identifier: Apache-2.0$' || true)
  [[ -n $without ]] || return 0
  echo "no SPDX-License-Identifier line in:" "$without"
  return 1
}

# build PRESET [TARGET]
build() {
  cmake --preset "$1" &&
    cmake --build --preset "$1" --parallel "$(nproc)" --target "${2:-all}"
}

# The value of an attribute (one a line, the whole run's come first) of ctest's JUnit file.
junit_value() {
  awk -F '"' -v name="$1=" '$1 ~ "^[ \t]*" name "$" { value = $2; exit } END { print value + 0 }' \
    "$2"
}

# The names of the tests that failed, by ctest's JUnit file, a line each.
failed_tests() {
  sed -n 's/^[ \t]*<testcase name="\([^"]*\)".* status="fail">$/\1/p' "$1"
}

# run_tests PRESET LABEL JOBS: runs the tests with this label and adds them to the counts.
run_tests() {
  local name="$2 tests of build/$1" report="$PWD/build/$1/$2-tests.xml" status=0
  say "Running the $name"
  rm -f "$report"
  ctest --test-dir "build/$1" --label-regex "^$2\$" --parallel "$3" --no-tests=error \
    --output-on-failure --output-junit "$report" || status=$?
  touch "$report" # a run that broke down has none, which counts as no test at all
  local total bad skipped
  total=$(junit_value tests "$report")
  bad=$(junit_value failures "$report")
  skipped=$(($(junit_value skipped "$report") + $(junit_value disabled "$report")))
  passed=$((passed + total - bad - skipped))
  if [[ $status -ne 0 && $bad -eq 0 ]]; then
    bad=1 # nothing ran, or ctest itself failed
  fi
  if [[ $bad -gt 0 ]]; then
    failed=$((failed + bad))
    failures+=("$bad of the $name")
    local test
    while read -r test; do
      failures+=("   $test")
    done < <(failed_tests "$report")
  fi
}

stop() {
  say "Stopping here: $*"
  exit 1
}

say "Installing what is missing"
scripts/install-dependencies.sh || stop "without its packages nothing can be built."

check "Format of the sources (clang-format)" format_is_right || true
check "Scripts (shellcheck)" scripts_are_sound || true
check "Licence lines" licence_lines_are_there || true

check "Building for users (g++, build/release)" build release ||
  stop "what does not build cannot be tested."
run_tests release unit "$(nproc)"
run_tests release page "$(nproc)"
run_tests release system 1 # they mount, and some measure time: one after the other

# The same build proves the use of locks: clang's -Wthread-safety is an error in it. All of src/ is
# in it, as tests of the command line run the program.
check "Building with sanitizers (clang, build/asan)" build asan unit_tests ||
  stop "what does not build cannot be tested."
run_tests asan unit "$(nproc)"

# Threads against each other. Only what that needs is built: about 50 files.
check "Building the stress test (clang, build/tsan)" build tsan stress ||
  stop "what does not build cannot be tested."
run_tests tsan stress "$(nproc)"
