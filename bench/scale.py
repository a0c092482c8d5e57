#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what grows: the time to the first byte, memory after a part of a large sparse image was
touched, the time to mount and to end with many local clusters, and the life of a session with a
million of them in an image of 16 TiB. Started by `scripts/bench.sh scale`.

Everything lies in a temporary folder (of $TMPDIR; about 10 GB), which is removed at the end.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import types

import contenders

CLUSTER = 320 * 4096
GIB = 1 << 30


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh scale",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5,
                        help="of what takes no time [%(default)s]")
    parser.add_argument("--smoke", action="store_true", help="small numbers: shows that it works")
    return parser.parse_args()


def resident_bytes(pids):
    """Memory that belongs to these processes alone."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Clean", "Private_Dirty")):
                total += int(line.split()[1]) * 1024
    return total


def first_byte(place, rounds):
    print("\nfrom start to the first byte of a remote image, milliseconds (median)")
    taken = {name: [] for name in contenders.ALL}
    for _ in range(rounds):
        for name, make in contenders.ALL.items():
            begin = time.monotonic()
            with make(place) as mounted, open(mounted.file, "rb") as file:
                file.read(1)
                taken[name].append(time.monotonic() - begin)
    for name, values in taken.items():
        print(f"  {name:10} {statistics.median(values) * 1000:8.1f}")


def memory(place, spans):
    print("\nmemory of the program, MiB, after one block of each cluster in a span was written")
    print("  " + " ".join([f"{'':10}", f"{'nothing':>9}"] +
                          [f"{span / GIB:>5g} GiB" for span in spans]))
    for name, make in contenders.ALL.items():
        with make(place) as mounted:
            figures = [resident_bytes(mounted.processes())]
            descriptor = os.open(mounted.file, os.O_WRONLY)
            done = 0
            for span in spans:
                for offset in range(done, span, CLUSTER):
                    os.pwrite(descriptor, b"x" * 4096, offset)
                done = (span + CLUSTER - 1) // CLUSTER * CLUSTER
                figures.append(resident_bytes(mounted.processes()))
            os.close(descriptor)
        print("  " + " ".join([f"{name:10}"] + [f"{each / (1 << 20):9.1f}" for each in figures]))


def mount_and_end(place, counts, image_size):
    """Of a session whose clusters all hold a block, with nothing to upload."""
    print("\na session of an image of 1 TB: seconds to mount it, and from unmount to the end")
    for count in counts:
        session = place.work / "many"
        subprocess.run([place.tools / "bench/session_scale", "make", session,
                        "--clusters", str(count), "--image-size", str(image_size)], check=True)
        begin = time.monotonic()
        base = place.work / "images/scale.r1"
        process = subprocess.Popen([place.tools / "netcow", "mount", "-f", "-L", session,
                                    "--source", f"file://{base}", "-i", "scale", "-r", "1",
                                    place.folder], stderr=subprocess.DEVNULL)
        contenders.wait_until("netcow", process, lambda: (place.folder / "img").exists())
        mounted = time.monotonic() - begin
        rss = resident_bytes([process.pid])
        begin = time.monotonic()
        contenders.unmount(place.folder)
        process.wait()
        print(f"  {count:8} clusters: mount {mounted:7.3f}, end {time.monotonic() - begin:7.3f}, "
              f"memory {rss / (1 << 20):7.1f} MiB")
        shutil.rmtree(session)


def large_session(place, clusters):
    print(f"\nthe life of a session of {clusters} clusters in an image of 16 TiB, seconds")
    session = place.work / "large"
    tool = place.tools / "bench/session_scale"
    subprocess.run([tool, "make", session, "--clusters", str(clusters)], check=True)
    result = subprocess.run([tool, "time", session], check=True, capture_output=True, text=True)
    for name, value in json.loads(result.stdout).items():
        print(f"  {name:22} {value:14,.6f}" if isinstance(value, float)
              else f"  {name:22} {value:14,}")
    shutil.rmtree(session)


def main():
    options = arguments()
    contenders.interrupt_as_exception()
    work = pathlib.Path(tempfile.mkdtemp(prefix="netcow-bench-"))
    spans = [GIB // 64, GIB // 16] if options.smoke else [GIB, 10 * GIB, 100 * GIB]
    image_bytes = 10 ** 12 // 4096 * 4096
    place = types.SimpleNamespace(
        work=work, tools=pathlib.Path(__file__).resolve().parent.parent / "build/release",
        image_bytes=image_bytes, dnbd3_port=0, nbd_port=0, folder=work / "mnt")
    try:
        (work / "images").mkdir()
        place.folder.mkdir()
        for name in ("bench.r1", "scale.r1"):
            with open(work / "images" / name, "wb") as file:
                file.truncate(image_bytes)
        with contenders.Servers(place) as servers:
            servers.move_away(0)
            first_byte(place, 1 if options.smoke else options.rounds)
            memory(place, spans)
            mount_and_end(place, (0, 100) if options.smoke else (0, 10_000, 750_000), image_bytes)
        large_session(place, 1000 if options.smoke else 1_000_000)
    except KeyboardInterrupt:
        print("\nbench: stopped early")
    finally:
        if contenders.is_mounted(place.folder):
            contenders.unmount(place.folder)
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
