#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures how fast an image on another machine is read and changed, by netcow and by two others
# that make a writable file of it: qemu-storage-daemon (a qcow2 overlay over NBD, FUSE export) and
# nbdfuse (over nbdkit's cow filter). Servers and clients all run on this machine; a proxy of
# netcow's own makes the round trips longer.
#
#   bench/remote.sh [OPTION...]
#     --rounds N        measure everything N times, taking turns [3]; the table has the medians
#     --delay MS        round trip added; may be given several times [0 1 20]
#     --workload NAME   only this one; may be given several times [all]
#     --seconds S       length of one measurement [3]
#     --size SIZE       of the image, as truncate takes it [2G]
#     --json FILE       write all measurements there too
#     --smoke           one short round, which only shows that everything works
#
# Each measurement has a fresh mount and a fresh session or overlay, so nothing is cached on the
# client's side; the image is in the page cache of the server. At 0 ms nothing stands between
# client and server, so the proxy costs nothing there.
# Everything lies in a temporary folder (of $TMPDIR), which is removed at the end, also when
# something fails or on Ctrl-C. Works without root; as root netcow reads ahead further.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

readonly build=$PWD/build/release
readonly netcow=$build/netcow
readonly results_tool=$PWD/bench/results.py
readonly contenders=(netcow qemu nbdfuse)
readonly all_workloads=(read-1 read-16 sequential sequential-direct mixed-16 write-3000)
# For a mount or a server to come up, and for one to go away.
readonly patience=30

rounds=3
seconds=3
size=2G
delays=()
workloads=()
json=
work=
mount_pid=      # of the contender that is mounted
background=()   # servers and proxies
proxy_inputs=() # a proxy ends with its standard input

fail() {
  echo "bench: $*" >&2
  exit 1
}

usage() {
  sed -n '/^#   bench/,/^# Each/p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,3\}//; $d'
}

wrong_usage() {
  echo "bench: $*; see bench/remote.sh --help" >&2
  exit 2
}

read_options() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      --help)
        usage
        exit 0
        ;;
      --smoke)
        rounds=1 seconds=0.3 size=64M
        delays=(1)
        shift
        continue
        ;;
    esac
    [[ $# -ge 2 ]] || wrong_usage "unknown option '$1', or its value is missing"
    case $1 in
      --rounds) rounds=$2 ;;
      --delay) delays+=("$2") ;;
      --workload) workloads+=("$2") ;;
      --seconds) seconds=$2 ;;
      --size) size=$2 ;;
      --json) json=$(realpath -- "$2") ;;
      *) wrong_usage "unknown option '$1'" ;;
    esac
    shift 2
  done
  [[ ${#delays[@]} -gt 0 ]] || delays=(0 1 20)
  [[ ${#workloads[@]} -gt 0 ]] || workloads=("${all_workloads[@]}")
  [[ $rounds =~ ^[1-9][0-9]*$ ]] || wrong_usage "--rounds takes a number from 1 on"
  [[ $seconds =~ ^[0-9]*\.?[0-9]+$ ]] || wrong_usage "--seconds takes a number"
  local value
  for value in "${delays[@]}"; do
    [[ $value =~ ^[0-9]*\.?[0-9]+$ ]] || wrong_usage "--delay takes milliseconds"
  done
  for value in "${workloads[@]}"; do
    [[ " ${all_workloads[*]} " == *" $value "* ]] ||
      wrong_usage "there is no workload '$value', only ${all_workloads[*]}"
  done
}

# wait_until WHAT PID COMMAND...: until the command succeeds; fails when the process ends first.
wait_until() {
  local what=$1 pid=$2 end=$((SECONDS + patience))
  shift 2
  until "$@" 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || { show_log; fail "$what ended before it was ready"; }
    [[ $SECONDS -lt $end ]] || { show_log; fail "$what was not ready after $patience seconds"; }
    sleep 0.02
  done
}

show_log() {
  if [[ -s $work/contender.log ]]; then tail -n 5 "$work/contender.log" >&2; fi
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

# --- servers and the network -----------------------------------------------------------------

make_image() {
  mkdir "$work"/{images,mnt}
  # Random, since NBD tells of holes and zeros, and those who ask need not read them.
  truncate -s "$size" "$work/images/bench.r1"
  image_bytes=$(stat --format=%s "$work/images/bench.r1")
  head -c "$image_bytes" /dev/urandom >"$work/images/bench.r1"
}

start_servers() {
  local http
  netcow_port=$(free_port)
  http=$(free_port)
  "$netcow" serve --images "$work/images" --state "$work/state" \
    --listen "127.0.0.1:$netcow_port" --http "127.0.0.1:$http" >"$work/netcow-serve.log" 2>&1 &
  background+=($!)
  wait_until "netcow serve" $! port_answers "$netcow_port"
  nbd_port=$(free_port)
  nbdkit --foreground --readonly --ipaddr 127.0.0.1 --port "$nbd_port" \
    file "$work/images/bench.r1" >"$work/nbdkit.log" 2>&1 &
  background+=($!)
  wait_until "nbdkit" $! port_answers "$nbd_port"
}

# start_proxy PORT MS: sets proxy_port to one behind which PORT is farther away.
start_proxy() {
  local fifo=$work/proxy-input output=$work/proxy-port input
  mkfifo "$fifo"
  "$build/bench/delay_proxy" --server "$1" --round-trip "$2" <"$fifo" >"$output" &
  background+=($!)
  exec {input}>"$fifo"
  proxy_inputs+=("$input")
  rm "$fifo"
  wait_until "the proxy" $! test -s "$output"
  proxy_port=$(<"$output")
  rm "$output"
}

# Sets far_netcow and far_nbd to the ports for this round trip.
set_delay() {
  far_netcow=$netcow_port
  far_nbd=$nbd_port
  if [[ ! $1 =~ ^0*\.?0*$ ]]; then
    start_proxy "$netcow_port" "$1"
    far_netcow=$proxy_port
    start_proxy "$nbd_port" "$1"
    far_nbd=$proxy_port
  fi
}

# --- contenders: mount_X makes $file a fresh writable view of the image, by a process $mount_pid

is_mounted() {
  [[ $(stat --format=%s "$file") == "$image_bytes" ]] && mountpoint -q "$1"
}

mount_netcow() {
  file=$work/mnt/img
  "$netcow" mount -f -S -h "127.0.0.1:$far_netcow" -i bench -r 1 -c "$work/session" "$work/mnt" \
    >"$work/contender.log" 2>&1 &
  mount_pid=$!
  wait_until "netcow mount" "$mount_pid" is_mounted "$work/mnt"
}

mount_qemu() {
  file=$work/mnt/img
  qemu-img create -q -f qcow2 -F raw -b "nbd://127.0.0.1:$far_nbd" "$work/overlay.qcow2" \
    >"$work/contender.log" 2>&1 || { show_log; fail "qemu-img failed"; }
  : >"$file"
  qemu-storage-daemon \
    --blockdev "driver=qcow2,node-name=disk,file.driver=file,file.filename=$work/overlay.qcow2" \
    --export "type=fuse,id=file,node-name=disk,mountpoint=$file,writable=on" \
    >>"$work/contender.log" 2>&1 &
  mount_pid=$!
  wait_until "qemu-storage-daemon" "$mount_pid" is_mounted "$file"
}

mount_nbdfuse() {
  file=$work/mnt/img
  TMPDIR=$work nbdfuse "$file" \
    [ nbdkit --exit-with-parent --filter=cow nbd hostname=127.0.0.1 port="$far_nbd" ] \
    >"$work/contender.log" 2>&1 &
  mount_pid=$!
  wait_until "nbdfuse" "$mount_pid" is_mounted "$work/mnt"
}

# Also after a failure: whatever is mounted, and whatever state it is in.
unmount() {
  local place
  [[ -n $mount_pid ]] || return 0
  for place in "$work/mnt/img" "$work/mnt"; do
    if mountpoint -q "$place" 2>/dev/null; then
      timeout "$patience" fusermount3 -u -q "$place" 2>/dev/null ||
        { kill -KILL "$mount_pid" 2>/dev/null || true; fusermount3 -u -q -z "$place" || true; }
    fi
  done
  end_process "$mount_pid"
  mount_pid=
  rm -rf "$work"/{session,overlay.qcow2,mnt/img}
}

# end_process PID: asks it to end, and sees to it.
end_process() {
  local end=$((SECONDS + patience))
  kill -TERM "$1" 2>/dev/null || true
  while kill -0 "$1" 2>/dev/null && [[ $SECONDS -lt $end ]]; do sleep 0.02; done
  kill -KILL "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

# Once: at the end, or with what there is when something ends it early.
report() {
  if [[ $reported -eq 1 || ! -s $work/results ]]; then return 0; fi
  reported=1
  echo
  "$results_tool" table "$work/results" "${contenders[@]}"
  if [[ -n $json ]]; then "$results_tool" json "$work/results" >"$json"; fi
}

cleanup() {
  local status=$? pid input
  trap - EXIT
  trap '' INT TERM
  set +e
  report
  unmount
  for input in "${proxy_inputs[@]}"; do exec {input}>&-; done
  for pid in "${background[@]}"; do end_process "$pid"; done
  rm -rf "$work"
  exit "$status"
}

# --- measuring ---------------------------------------------------------------------------------

unit_of() {
  case $1 in
    sequential*) echo "MB/s" ;;
    *) echo "ops/s" ;;
  esac
}

fio_options() {
  case $1 in
    read-1) echo --rw=randread --bs=4k --direct=1 --ioengine=psync ;;
    read-16) echo --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=16 ;;
    sequential) echo --rw=read --bs=1M --direct=0 --ioengine=psync ;;
    sequential-direct) echo --rw=read --bs=1M --direct=1 --ioengine=psync ;;
    # fio visits no block twice: what it changes is fresh.
    mixed-16) echo --rw=randrw --rwmixread=70 --bs=4k --direct=1 --ioengine=libaio --iodepth=16 ;;
    write-3000) echo --rw=randwrite --bs=3000 --direct=0 --ioengine=psync ;;
  esac
}

# measure CONTENDER WORKLOAD DELAY: one measurement on a fresh mount. One that fails is noted.
measure() {
  local contender=$1 workload=$2 delay=$3 unit options limit status=0
  unit=$(unit_of "$workload")
  read -ra options <<<"$(fio_options "$workload")"
  limit=$(awk -v seconds="$seconds" 'BEGIN { print seconds + 30 }')
  printf '%5s ms  %-18s %-8s ' "$delay" "$workload" "$contender"
  "mount_$contender"
  timeout --kill-after=5 "$limit" fio --name=bench --filename="$file" --size="$image_bytes" \
    --runtime="$(awk -v seconds="$seconds" 'BEGIN { print int(seconds * 1000) }')ms" \
    --fallocate=none --allow_file_create=0 --output-format=json "${options[@]}" \
    >"$work/fio.json" 2>"$work/fio.log" || status=$?
  if [[ $status -eq 0 ]]; then
    "$results_tool" add "$work/results" "$contender" "$workload" "$delay" "$unit" \
      <"$work/fio.json" || failed=$((failed + 1))
  else
    failed=$((failed + 1))
    echo "failed: fio ended with status $status: $(tail -n 1 "$work/fio.log")"
    "$results_tool" fail "$work/results" "$contender" "$workload" "$delay" "$unit" \
      "fio ended with status $status"
  fi
  unmount
}

# Every contender of a workload after the other, beginning with another one each round, so that
# whatever else the machine does meets all of them.
measure_all() {
  local delay round workload i count=${#contenders[@]}
  for delay in "${delays[@]}"; do
    set_delay "$delay"
    for workload in "${workloads[@]}"; do
      for ((round = 0; round < rounds; ++round)); do
        for ((i = 0; i < count; ++i)); do
          measure "${contenders[(round + i) % count]}" "$workload" "$delay"
        done
      done
    done
  done
}

tell_machine() {
  local delay carried=
  for delay in "${delays[@]}"; do
    carried+=" $("$build/bench/delay_proxy" --measure --round-trip "$delay") at $delay ms,"
  done
  echo "bench: $(nproc) processors, image of $size, $rounds rounds of $seconds s"
  echo "bench: the proxy carries (MB/s):${carried%,}"
}

read_options "$@"
trap 'exit 130' INT
trap 'exit 143' TERM
scripts/install-dependencies.sh bench
cmake --preset release >/dev/null
cmake --build --preset release --parallel "$(nproc)" --target netcow delay_proxy
[[ -r /dev/fuse && -w /dev/fuse ]] ||
  fail "/dev/fuse cannot be used: run this as root, and where FUSE mounts are allowed"
work=$(mktemp -d)
trap cleanup EXIT
failed=0
reported=0
make_image
start_servers
tell_machine
measure_all
report
[[ $failed -eq 0 ]] || fail "$failed measurements failed, see above"
