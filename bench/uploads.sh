#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures the upload service of `netcow serve`: small updates by 1, 16 and 64 connections, 1 GiB of
# whole clusters beside `dd` of the same to the same disk, and the merge of 1 % changes into a large
# image beside `cp`.
#
#   bench/uploads.sh [OPTION...]
#     --rounds N        measure everything N times, taking turns [3]; all figures are printed
#     --netcow FILE     a program to measure; may be given several times [build/release/netcow]
#     --only WHAT       updates, bulk or merge; may be given several times [all]
#     --size MIB        of the image that is merged into [10240]; half of it is data, half holes
#     --file-system FS  for merge: ext4, xfs or btrfs on a loop device (needs root) [none: the folder
#                       of $TMPDIR as it is]
#
# Everything lies in a temporary folder (of $TMPDIR), which is removed at the end, also on Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

readonly load=$PWD/build/release/bench/upload_load
readonly cluster=1310720
rounds=3
programs=()
only=()
mebibytes=10240
file_system=
work=
server_pid=
port=

fail() {
  echo "bench: $*" >&2
  exit 1
}

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --rounds) rounds=$2 ;;
      --netcow) programs+=("$2") ;;
      --only) only+=("$2") ;;
      --size) mebibytes=$2 ;;
      --file-system) file_system=$2 ;;
      *)
        sed -n '/^#   bench/,/^#                       of/p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,3\}//'
        exit 2
        ;;
    esac
    [ $# -gt 1 ] || fail "$1 needs a value"
    shift 2
  done
  [ ${#programs[@]} -gt 0 ] || programs=("$PWD/build/release/netcow")
  [ ${#only[@]} -gt 0 ] || only=(updates bulk merge)
}

clean_up() {
  stop_server
  if [ -n "$work" ]; then
    mountpoint -q "$work/disk" && umount "$work/disk"
    rm -rf "$work"
  fi
}

# start_server PROGRAM FOLDER
start_server() {
  port=$((20000 + RANDOM % 12000))
  "$1" serve --images "$2" --listen 127.0.0.1:0 --http "127.0.0.1:$port" >"$work/log" 2>&1 &
  server_pid=$!
  for _ in $(seq 300); do
    grep -q "takes uploads" "$work/log" && return
    kill -0 "$server_pid" 2>/dev/null || fail "netcow serve did not start: $(cat "$work/log")"
    sleep 0.1
  done
  fail "netcow serve did not start: $(cat "$work/log")"
}

stop_server() {
  if [ -n "$server_pid" ]; then
    kill "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
  fi
}

seconds_of() {
  local begin
  begin=$(date +%s.%N)
  "$@" >/dev/null
  echo "$(date +%s.%N) - $begin" | bc
}

# measure_updates PROGRAM CONNECTIONS UPLOADS UPDATES BLOCKS
measure_updates() {
  local folder=$work/images
  rm -rf "$folder"
  mkdir "$folder"
  truncate -s 2G "$folder/win.r1"
  start_server "$1" "$folder"
  printf '%-28s %3d connections, %3d uploads, %3d blocks: ' "$1" "$2" "$3" "$5"
  "$load" --port "$port" --image win --connections "$2" --uploads "$3" --updates "$4" --blocks "$5"
  stop_server
}

small_updates() {
  for program in "${programs[@]}"; do
    measure_updates "$program" 1 1 300 1
    measure_updates "$program" 16 1 1500 1
    measure_updates "$program" 64 1 3000 1
    measure_updates "$program" 64 64 3000 1
  done
}

write_with_dd() {
  dd if=/dev/urandom of="$work/content" bs=1M count=1 status=none
  for _ in $(seq 1024); do cat "$work/content"; done |
    dd of="$work/copy" bs=1M iflag=fullblock conv=fsync status=none
}

# 819 whole clusters and a bit less than one: 1 GiB.
bulk_updates() {
  for program in "${programs[@]}"; do
    measure_updates "$program" 10 1 819 320
  done
  echo "dd of 1 GiB with fsync: $(seconds_of write_with_dd) s"
  rm -f "$work/copy"
}

make_disk() {
  mkdir "$work/disk"
  [ -n "$file_system" ] || return 0
  truncate -s $((3 * mebibytes + 2048))M "$work/device"
  "mkfs.$file_system" -q "$work/device"
  mount -o loop "$work/device" "$work/disk"
}

# Half of the image is data, in pieces of 64 MiB.
make_image() {
  truncate -s "${mebibytes}M" "$1"
  for at in $(seq 0 128 $((mebibytes - 1))); do
    dd if=/dev/urandom of="$1" bs=1M count=64 seek="$at" conv=notrunc status=none
  done
  sync "$1"
}

field() {
  curl -s "http://127.0.0.1:$port/v1/file/status?uuid=$1" | sed "s/.*\"$2\":\"\?\([^,\"}]*\).*/\1/"
}

# Clusters spread over the image, 1 % of it all together, changed as a whole.
upload_one_percent() {
  local clusters=$((mebibytes * 1048576 / cluster)) changed=$((mebibytes * 1048576 / cluster / 100))
  head -c 40 /dev/zero | tr '\0' '\377' >"$work/body"
  head -c $cluster /dev/urandom >>"$work/body"
  for n in $(seq 0 $((changed - 1))); do
    curl -sf -H Expect: --data-binary "@$work/body" -o /dev/null \
      "http://127.0.0.1:$port/v1/file/update?uuid=$1&clusterindex=$((n * clusters / changed))"
  done
}

# merge_once PROGRAM FOLDER
merge_once() {
  local uuid size
  size=$((mebibytes * 1048576))
  start_server "$1" "$2"
  uuid=$(curl -sf -d 'revision=1&bitfieldSize=40&imageName=win' \
    "http://127.0.0.1:$port/v1/file/create")
  upload_one_percent "$uuid"
  curl -sf -o /dev/null -d "uuid=$uuid&originalFileSize=$size&newFileSize=$size" \
    "http://127.0.0.1:$port/v1/file/merge"
  while [ "$(field "$uuid" state)" = Merging ]; do sleep 0.05; done
  [ "$(field "$uuid" state)" = Done ] || fail "the merge failed: $(field "$uuid" message)"
  echo "$1: merge of 1 % into $mebibytes MiB: $(field "$uuid" mergeSeconds) s"
  stop_server
  rm -rf "$2/win.r2" "$2/.netcow"
}

copy_synced() {
  cp "$@" && sync "${@: -1}"
}

merges() {
  local folder=$work/disk/images
  if [ ! -d "$folder" ]; then
    make_disk
    mkdir "$folder"
    make_image "$folder/win.r1"
  fi
  for program in "${programs[@]}"; do
    merge_once "$program" "$folder"
  done
  for how in always never; do
    echo "cp --sparse=$how --reflink=never and sync:" \
      "$(seconds_of copy_synced --reflink=never --sparse=$how "$folder/win.r1" "$folder/copy") s"
    rm "$folder/copy"
  done
}

read_options "$@"
[ -x "$load" ] || cmake --build --preset release --target upload_load >/dev/null
work=$(mktemp -d)
trap clean_up EXIT
for ((round = 1; round <= rounds; ++round)); do
  echo "round $round"
  for what in "${only[@]}"; do
    case $what in
      updates) small_updates ;;
      bulk) bulk_updates ;;
      merge) merges ;;
      *) fail "there is no $what" ;;
    esac
  done
done
