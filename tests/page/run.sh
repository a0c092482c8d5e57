#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs tests of the web page in headless Chromium; ctest does. The packages they need are put into
# a folder of the build, once, exactly as package-lock.json names them.
#
#   tests/page/run.sh PACKAGES_FOLDER NETCOW TEST.js...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
packages=$(realpath -m "$1")
NETCOW_PROGRAM=$(realpath "$2")
export NETCOW_PROGRAM
shift 2

fail() {
  echo "page tests: $*; scripts/install-dependencies.sh installs what they need" >&2
  exit 1
}

command -v node >/dev/null || fail "there is no node"
command -v npm >/dev/null || fail "there is no npm"
NETCOW_CHROMIUM=$(command -v chromium) || fail "there is no chromium"
export NETCOW_CHROMIUM
export NETCOW_PAGE_PACKAGES=$packages/package.json

mkdir -p "$packages"
exec 9>"$packages/lock"
flock 9 # the others may begin at the same moment
if ! cmp -s "$here/package-lock.json" "$packages/installed"; then
  cp "$here/package.json" "$here/package-lock.json" "$packages/"
  (cd "$packages" && npm ci --no-audit --no-fund --ignore-scripts)
  cp "$here/package-lock.json" "$packages/installed"
fi
exec 9>&-

exec node --test "${@/#/$here/}"
