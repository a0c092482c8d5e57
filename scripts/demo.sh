#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Shows what netcow does, with a small image on this machine: serves it, edits it through a mount,
# and looks at the new revision that comes of it. Needs root or sudo only to install packages;
# as root the image is edited through a loop mount, else with debugfs.
# Cleans up after itself, also when something fails or on Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

readonly netcow=$PWD/build/release/netcow
work=
server_pid=
mount_pid=

bold() {
  if [[ -t 1 ]]; then printf '\033[1m%s\033[0m\n' "$*"; else printf '%s\n' "$*"; fi
}

step() {
  echo
  bold "== $*"
}

explain() {
  printf '   %s\n' "$@"
}

# Prints a command as a user would type it, and runs it.
run() {
  print_command "$@"
  "$@" | sed 's/^/     /'
}

print_command() {
  local word shown=
  for word in "$@"; do
    if [[ $word == *' '* ]]; then word="'$word'"; fi
    shown+=" ${word/#$netcow/netcow}"
  done
  printf '   $%s\n' "$shown"
}

fail() {
  echo "demo: $*" >&2
  exit 1
}

cleanup() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  if [[ $status -ne 0 ]]; then echo "demo: stopped early, with status $status" >&2; fi
  if [[ $status -eq 1 ]]; then tail -n 5 "$work"/*.log >&2 || true; fi
  if mountpoint -q "$work/inside"; then umount "$work/inside" || true; fi
  if [[ -n $mount_pid ]]; then
    fusermount3 -u -q -z "$work/mnt" || true
    kill -KILL "$mount_pid" 2>/dev/null || true # nobody needs its changes any more
  fi
  if [[ -n $server_pid ]]; then kill -TERM "$server_pid" 2>/dev/null || true; fi
  wait 2>/dev/null
  rm -rf "$work"
}

# wait_until WHAT PID COMMAND...: until the command succeeds; fails when the process ends first.
wait_until() {
  local what=$1 pid=$2
  shift 2
  for _ in {1..300}; do
    if "$@" 2>/dev/null; then return; fi
    kill -0 "$pid" 2>/dev/null || fail "$what ended before it was ready, see above"
    sleep 0.1
  done
  fail "$what was not ready after 30 seconds"
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

build() {
  step "Building netcow (a few minutes the first time)"
  scripts/install-dependencies.sh build
  cmake --preset release >/dev/null
  cmake --build --preset release --parallel "$(nproc)" --target netcow
  [[ -r /dev/fuse && -w /dev/fuse ]] ||
    fail "/dev/fuse cannot be used: run this as root, and where FUSE mounts are allowed"
}

make_image() {
  step "An image with files in it: revision 1 of 'demo'"
  mkdir "$work"/{files,images,mnt,inside,state}
  cp -r /usr/include/c++ "$work/files/programs"
  cp -rL /usr/share/common-licenses "$work/files/licences"
  echo "Welcome to the lab. The exam is on Monday." >"$work/files/welcome.txt"
  truncate -s 256M images/demo.r1
  print_command mkfs.ext4 -d files images/demo.r1
  mkfs.ext4 -q -d files images/demo.r1
  explain "$(find files -type f | wc -l) files in an image of 256 MiB."
}

start_server() {
  step "A server for the folder of images"
  dnbd3_port=$(free_port)
  http_port=$(free_port)
  local command=("$netcow" serve --images images --state state
    --listen "127.0.0.1:$dnbd3_port" --http "127.0.0.1:$http_port")
  print_command "${command[@]}"
  "${command[@]}" >server.log 2>&1 &
  server_pid=$!
  wait_until "the server" "$server_pid" port_answers "$dnbd3_port"
  wait_until "the server" "$server_pid" port_answers "$http_port"
}

# start_mount OPTION...: mounts 'demo' on mnt in the background.
start_mount() {
  local command=("$netcow" mount -f -h "127.0.0.1:$dnbd3_port" -i demo "$@" mnt)
  print_command "${command[@]}" "&"
  "${command[@]}" >>mount.log 2>&1 &
  mount_pid=$!
  wait_until "the mount" "$mount_pid" test -e mnt/img
}

# Unmounts and waits for netcow; without `upload` nothing is left to do for it.
end_mount() {
  print_command fusermount3 -u mnt
  fusermount3 -u mnt
  local status=0
  wait "$mount_pid" || status=$?
  mount_pid=
  [[ $status -eq 0 ]] || fail "netcow ended with status $status: $(tail -n 5 mount.log)"
}

edit_with_loop_mount() {
  print_command mount -o loop mnt/img inside
  explain "Then: edits welcome.txt, adds a file of 3 MB, deletes a folder."
  sed -i 's/Monday/Friday/' inside/welcome.txt
  head -c 3000000 /dev/urandom >inside/new-program
  rm -r inside/licences
  run umount inside
}

edit_with_debugfs() {
  explain "(Only root may loop mount; debugfs does the same without.)"
  sed 's/Monday/Friday/' files/welcome.txt >welcome.txt
  head -c 3000000 /dev/urandom >new-program
  printf '%s\n' 'rm welcome.txt' 'write welcome.txt welcome.txt' \
    'write new-program new-program' 'rm licences/GPL-3' >edits
  print_command debugfs -w -f edits mnt/img
  debugfs -w -f edits mnt/img >debugfs.log 2>&1 || fail "debugfs failed: $(cat debugfs.log)"
}

edit_image() {
  step "Somebody mounts it, writable"
  explain "Changes go to the folder 'session' first, and from there to the server."
  start_mount -c session -C "http://127.0.0.1:$http_port/" -m
  run ls -l mnt
  step "... and changes files in it with the system's own tools"
  if mount -o loop mnt/img inside 2>/dev/null; then edit_with_loop_mount; else edit_with_debugfs; fi
  step "Unmounting: netcow sends what is left and asks for a new revision"
  end_mount
  run ls -s -h images
}

look_at_result() {
  step "Everybody else gets revision 2"
  start_mount
  run debugfs -R 'cat welcome.txt' mnt/img 2>/dev/null
  run debugfs -R 'ls -l' mnt/img 2>/dev/null
  explain "The file system in it is sound:"
  run e2fsck -f -n mnt/img 2>/dev/null
  end_mount
  explain "Revision 1 is what it was:"
  run debugfs -R 'cat welcome.txt' images/demo.r1 2>/dev/null
}

sum_up() {
  step "What it took"
  local changed
  changed=$("$netcow" info session --json | sed -n 's/.*"localBytes": *\([0-9]*\).*/\1/p')
  run "$netcow" info session
  explain "" "The image has $((256 * 1024)) KiB; $((changed / 1024)) KiB of it were changed and sent."
}

trap 'exit 130' INT
trap 'exit 143' TERM
build
work=$(mktemp -d)
trap cleanup EXIT
cd "$work"
make_image
start_server
edit_image
look_at_result
sum_up
step "Done. Everything this demo made is removed again."
