#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how fast a mounted image is: netcow beside the floor (floor_file.cpp) and beside other
programs that make a writable file of an image on a server. Started by scripts/bench.sh, which
builds and installs what it needs.

Each measurement has a fresh mount and a fresh session or overlay. Contenders take turns, so that
whatever else the machine does meets all of them. Everything lies in a temporary folder (of
$TMPDIR), which is removed at the end, also when something fails or on Ctrl-C.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

import contenders
import fio
import report
import workloads


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="of everything [%(default)s]")
    parser.add_argument("--seconds", type=float, default=3, help="of one run [%(default)s]")
    parser.add_argument("--size", default="2G", help="of the image [%(default)s]")
    parser.add_argument("--region", default="512M",
                        help="how much of it local workloads go through [%(default)s]")
    parser.add_argument("--workload", action="append", metavar="NAME",
                        help="only those whose name begins so; may be repeated")
    parser.add_argument("--delay", action="append", type=int, metavar="MS",
                        help="only at this round trip; may be repeated")
    parser.add_argument("--contender", action="append", choices=contenders.ALL,
                        help="only this one and netcow; may be repeated")
    parser.add_argument("--json", metavar="FILE", help="write all measurements there")
    parser.add_argument("--svg", metavar="FILE", help="draw a picture of the medians")
    parser.add_argument("--list", action="store_true", help="print the workloads, measure nothing")
    parser.add_argument("--smoke", action="store_true",
                        help="one short round, which only shows that everything works")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.seconds, options.size, options.region = 1, 0.3, "64M", "32M"
    return options


def bytes_of(text):
    units = {"K": 10, "M": 20, "G": 30}
    if text[-1:] in units:
        return int(text[:-1]) << units[text[-1]]
    return int(text)


def chosen_workloads(options):
    """(workload, delay), by delay, as the proxies are then made once."""
    prefixes = tuple(options.workload or ("",))
    chosen = [(workload, delay) for workload in workloads.ALL for delay in workload.delays
              if workload.name.startswith(prefixes)
              and (options.delay is None or delay in options.delay)]
    if not chosen:
        sys.exit("bench: no workload is called so; --list names them")
    return chosen


def make_image(path, size):
    """Random, since NBD tells of holes and zeros, and those who ask need not read them."""
    path.parent.mkdir()
    with open(path, "wb") as file:
        for offset in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - offset)))


def measure_once(place, contender, workload, delay, options):
    entry = {"workload": workload.name, "delay": delay, "contender": contender}
    region = place.image_bytes
    if workload.blocks == "local":
        region = min(region, bytes_of(options.region))
    print(f"{delay:3} ms  {workload.name:18} {contender:8} ", end="", flush=True)
    try:
        with contenders.ALL[contender](place) as mounted:
            value, cpu = fio.measure(mounted, workload, region, options.seconds)
        entry.update(value=value, cpu=cpu)
        print(f"{value:10.1f} {workload.unit:6} {cpu:9.1f} us/op")
    except (contenders.Failure, subprocess.SubprocessError, OSError, ValueError) as error:
        entry["failure"] = str(error)
        print(f"failed: {error}")
    return entry


def measure_all(place, servers, names, options, measurements):
    for workload, delay in chosen_workloads(options):
        servers.move_away(delay)
        field = [name for name in names if workload.floor or name != "floor"]
        for turn in range(options.rounds):
            for i in range(len(field)):
                name = field[(turn + i) % len(field)]
                measurements.append(measure_once(place, name, workload, delay, options))


def tell(options, names, measurements):
    medians = report.Medians(measurements)
    print()
    for line in report.table(medians, workloads.ALL, names):
        print(line)
    if options.svg:
        pathlib.Path(options.svg).write_text(report.picture(medians, workloads.ALL, names),
                                             encoding="utf-8")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(measurements, indent=1),
                                              encoding="utf-8")


def main():
    options = arguments()
    if options.list:
        for workload in workloads.ALL:
            print(f"{workload.name:18} {workload.blocks:7} {' '.join(workload.options)}")
        return 0
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        sys.exit("bench: /dev/fuse cannot be used: run this as root, where FUSE mounts are allowed")
    contenders.interrupt_as_exception()
    names = [name for name in contenders.ALL
             if not options.contender or name in options.contender or name == "netcow"]
    work = pathlib.Path(tempfile.mkdtemp(prefix="netcow-bench-"))
    place = types.SimpleNamespace(
        work=work, tools=pathlib.Path(__file__).resolve().parent.parent / "build/release",
        image_bytes=bytes_of(options.size), dnbd3_port=0, nbd_port=0)
    measurements = []
    try:
        make_image(work / "images/bench.r1", place.image_bytes)
        print(f"bench: {os.cpu_count()} processors, image of {options.size}, "
              f"{options.rounds} rounds of {options.seconds:g} s")
        with contenders.Servers(place) as servers:
            measure_all(place, servers, names, options, measurements)
    except KeyboardInterrupt:
        print("\nbench: stopped early")
    finally:
        if measurements:
            tell(options, names, measurements)
        shutil.rmtree(work, ignore_errors=True)
    return 1 if any("failure" in each for each in measurements) else 0


if __name__ == "__main__":
    sys.exit(main())
