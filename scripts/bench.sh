#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures netcow beside other programs. Installs what is missing, builds what users run.
#
#   scripts/bench.sh [OPTION...]            how fast a mounted image is, beside the floor (what any
#                                           file costs that libfuse serves), qemu-storage-daemon
#                                           and nbdfuse, and which goals are met
#   scripts/bench.sh scale [OPTION...]      what grows with images and sessions
#   scripts/bench.sh project [OPTION...]    a small C project, unpacked and built in the image
#   scripts/bench.sh instructions [PATTERN] instructions of the hot parts
#
# Each takes --help and (but for the last) --smoke, which only shows that it works. The first one
# takes about 40 minutes on an idle machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

case ${1:-} in
  scale | project | instructions)
    program=bench/$1.py
    shift
    ;;
  *) program=bench/mounts.py ;;
esac
for option in "$@"; do
  case $option in --help | -h | --list) exec "$program" "$@" ;; esac
done
scripts/install-dependencies.sh bench
cmake --preset release >/dev/null
cmake --build --preset release --parallel "$(nproc)" \
  --target netcow delay_proxy floor_file session_scale micro_benchmark
exec "$program" "$@"
