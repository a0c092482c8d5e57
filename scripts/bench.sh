#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures how fast a mounted image is, beside the floor (what any file costs that libfuse serves),
# qemu-storage-daemon and nbdfuse, and says which goals are met. Installs what is missing, builds
# netcow as users do. `scripts/bench.sh --help` tells the options; everything takes about 40
# minutes on an idle machine, `--smoke` one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

for option in "$@"; do
  case $option in --help | -h | --list) exec bench/mounts.py "$@" ;; esac
done
scripts/install-dependencies.sh bench
cmake --preset release >/dev/null
cmake --build --preset release --parallel "$(nproc)" --target netcow delay_proxy floor_file
exec bench/mounts.py "$@"
