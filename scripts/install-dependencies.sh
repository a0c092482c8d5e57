#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian 12 packages netcow needs, as far as they are missing. Removes nothing.
#
#   scripts/install-dependencies.sh         what it takes to build, run, test and check
#   scripts/install-dependencies.sh build   what it takes to build and run netcow
#   scripts/install-dependencies.sh bench   the same, and what bench/ compares netcow with
set -euo pipefail

# Boost 1.81 because Beast 1.74, Debian's default, lacks what the server uses. The two exclude
# each other, which is why apt-get is told to remove nothing.
readonly build_packages=(
  g++ cmake ninja-build pkg-config
  libfuse3-dev fuse3
  libcurl4-openssl-dev libssl-dev
  libboost1.81-dev
  libsqlite3-dev zlib1g-dev libsystemd-dev
  libcli11-dev libspdlog-dev nlohmann-json3-dev libtomlplusplus-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev
  e2fsprogs
)
# clang checks the use of locks and has the sanitizers; ccache makes the second build quick; the
# checkers of other file systems judge what a mount and a session did to them; nghttpd speaks HTTP/2;
# Chromium looks at the server's page.
readonly test_packages=(
  clang-19 libclang-rt-19-dev clang-format-19 clang-tidy-19
  ccache git shellcheck
  xfsprogs btrfs-progs
  nghttp2-server
  chromium nodejs npm
)
# fio makes the load; the others are what netcow is measured against.
readonly bench_packages=(
  fio python3
  qemu-system-common qemu-utils
  nbdkit libnbd-bin
  libbenchmark-dev valgrind
)

fail() {
  echo "install-dependencies: $*" >&2
  exit 1
}

is_installed() {
  # Other packages of nodejs than Debian's bring npm along and exclude Debian's.
  [[ $1 != npm ]] || ! command -v npm >/dev/null || return 0
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  else
    sudo "$@"
  fi
}

case ${1:-all} in
  build) wanted=("${build_packages[@]}") ;;
  bench) wanted=("${build_packages[@]}" "${bench_packages[@]}") ;;
  all) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
  *) fail "unknown group '$1': give 'build' or 'bench', or nothing for what tests need" ;;
esac

command -v dpkg-query >/dev/null || fail "this is not Debian; install by hand: ${wanted[*]}"

missing=()
for package in "${wanted[@]}"; do
  is_installed "$package" || missing+=("$package")
done
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "install-dependencies: nothing is missing"
  exit 0
fi

# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${ID:-unknown} ${VERSION_ID:-}")
[[ $release == "debian 12" ]] ||
  fail "this script knows Debian 12, not $release; install by hand: ${missing[*]}"
[[ $EUID -eq 0 ]] || command -v sudo >/dev/null ||
  fail "run this as root, there is no sudo; missing: ${missing[*]}"

echo "install-dependencies: installing ${missing[*]}"
as_root apt-get -q update ||
  echo "install-dependencies: could not refresh the package lists, trying with the old ones" >&2
as_root env DEBIAN_FRONTEND=noninteractive \
  apt-get -q install --yes --no-remove --no-install-recommends "${missing[@]}" ||
  fail "apt-get failed, see above; if packages would have to be removed (such as" \
    "libboost1.74-dev), remove them yourself and run this again"
echo "install-dependencies: done"
