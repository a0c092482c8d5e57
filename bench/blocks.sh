#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures how fast `netcow serve` hands out blocks, beside `nbdkit file` on the same file.
#
#   bench/blocks.sh [OPTION...]
#     --rounds N        measure everything N times, taking turns [5]; the table has the medians
#     --seconds S       length of one measurement [3]
#     --size SIZE       of the image, as truncate takes it [1G]
#     --smoke           one short round, which only shows that everything works
#
# Both servers run on this machine, with their defaults, and the image in the page cache. One client
# program reads from both (bench/block_load.cpp): the same connections, depth, sizes and order, in
# one thread; only the bytes of the protocols differ. Its replies are not compared, so that it does
# as little as possible. What counts is bytes per second of processor time that the server took,
# as /proc tells; bytes per second of the clock depend on the client as well.
# Everything lies in a temporary folder (of $TMPDIR), which is removed at the end. Needs no root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

readonly build=$PWD/build/release
# name:clients:depth:bytes
readonly workloads=(4k-1:1:1:4096 4k-16:1:16:4096 4k-64x4:64:4:4096 1M-1:1:1:1048576 1M-4x4:4:4:1048576)

rounds=5
seconds=3
size=1G
work=
background=()

fail() {
  echo "bench: $*" >&2
  exit 1
}

read_options() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      --help)
        sed -n '/^#   bench/,/^# Everything/p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,3\}//; $d'
        exit 0
        ;;
      --smoke) rounds=1 seconds=0.2 size=64M ;;
      --rounds) rounds=$2 && shift ;;
      --seconds) seconds=$2 && shift ;;
      --size) size=$2 && shift ;;
      *)
        echo "bench: unknown option '$1'; see bench/blocks.sh --help" >&2
        exit 2
        ;;
    esac
    shift
  done
}

cleanup() {
  local pid
  for pid in "${background[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf -- "$work"
}

port_answers() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 12000))
    if ! port_answers "$port"; then
      echo "$port"
      return
    fi
  done
  fail "found no free port"
}

# wait_for_port NAME PID PORT
wait_for_port() {
  local end=$((SECONDS + 30))
  until port_answers "$3"; do
    kill -0 "$2" 2>/dev/null || fail "$1 ended before it was ready: $(cat "$work/$1.log")"
    [[ $SECONDS -lt $end ]] || fail "$1 was not ready after 30 seconds"
    sleep 0.02
  done
}

start_servers() {
  mkdir "$work/images"
  truncate -s "$size" "$work/images/bench.r1"
  image_bytes=$(stat --format=%s "$work/images/bench.r1")
  head -c "$image_bytes" /dev/urandom >"$work/images/bench.r1"
  netcow_port=$(free_port)
  "$build/netcow" serve --images "$work/images" --listen "127.0.0.1:$netcow_port" \
    --http "127.0.0.1:$(free_port)" --checksum-rate 0 >"$work/netcow.log" 2>&1 &
  netcow_pid=$!
  background+=("$netcow_pid")
  wait_for_port netcow "$netcow_pid" "$netcow_port"
  nbdkit_port=$(free_port)
  nbdkit --foreground --readonly --ipaddr 127.0.0.1 --port "$nbdkit_port" \
    file "$work/images/bench.r1" >"$work/nbdkit.log" 2>&1 &
  nbdkit_pid=$!
  background+=("$nbdkit_pid")
  wait_for_port nbdkit "$nbdkit_pid" "$nbdkit_port"
  cat "$work/images/bench.r1" >/dev/null
}

# Ticks of the clock that a process spent on the processor.
ticks() {
  awk '{ sub(/^.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"
}

# measure SERVER WORKLOAD
measure() {
  local name clients depth bytes port pid options=() before result
  IFS=: read -r name clients depth bytes <<<"$2"
  if [[ $1 == netcow ]]; then
    port=$netcow_port pid=$netcow_pid options=(--image bench)
  else
    port=$nbdkit_port pid=$nbdkit_pid options=(--nbd)
  fi
  before=$(ticks "$pid")
  result=$("$build/bench/block_load" --port "$port" --image-size "$image_bytes" \
    --clients "$clients" --depth "$depth" --size "$bytes" --seconds "$seconds" "${options[@]}") ||
    fail "no measurement of $name by $1"
  echo "$1 $name $result $(($(ticks "$pid") - before))" >>"$work/results"
}

report() {
  python3 - "$work/results" "$(getconf CLK_TCK)" <<'PYTHON'
import json
import statistics
import sys

values = {}
for line in open(sys.argv[1], encoding="utf-8"):
    server, workload, rest = line.split(" ", 2)
    result, ticks = rest.rsplit(" ", 1)
    result = json.loads(result)
    spent = max(int(ticks), 1) / int(sys.argv[2])
    values.setdefault((workload, server), []).append(
        (result["bytes"] / 1e6 / spent, result["bytes"] / 1e6 / result["seconds"]))
print(f"{'workload':10} {'MB per CPU second of the server':>45} {'MB per second':>32}")
print(f"{'':10} {'netcow':>15}{'nbdkit':>15}{'ratio':>15} {'netcow':>12}{'nbdkit':>12}{'ratio':>8}")
for workload in dict.fromkeys(key[0] for key in values):
    mine, theirs = values[workload, "netcow"], values[workload, "nbdkit"]
    cells = []
    for column in (0, 1):
        pair = [statistics.median(one[column] for one in side) for side in (mine, theirs)]
        # Rounds that follow each other met the same machine: the ratio of each is taken first.
        ratio = statistics.median(a[column] / b[column] for a, b in zip(mine, theirs))
        cells.append((*pair, ratio))
    (a, b, c), (d, e, f) = cells
    print(f"{workload:10} {a:15.0f}{b:15.0f}{c:15.2f} {d:12.0f}{e:12.0f}{f:8.2f}")
PYTHON
}

read_options "$@"
command -v nbdkit >/dev/null || fail "nbdkit is missing: scripts/install-dependencies.sh installs it"
cmake --preset release >/dev/null
cmake --build --preset release --target netcow block_load >/dev/null || fail "netcow does not build"
work=$(mktemp -d)
trap cleanup EXIT
start_servers
for ((round = 0; round < rounds; round++)); do
  for workload in "${workloads[@]}"; do
    measure netcow "$workload"
    measure nbdkit "$workload"
  done
done
report
