#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One real thing: an ext4 in the mounted image, in which a small C project is unpacked, built and
synced, as somebody does who changes an image. Started by `scripts/bench.sh project`; needs root,
which alone may mount a file system.

The project is made up here: files of functions that call each other. Contenders take turns.
"""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import types

import contenders

GIB = 1 << 30
MAKEFILE = """SOURCES = $(wildcard src/*.c)
program: $(SOURCES:.c=.o)
\t$(CC) -o $@ $^
%.o: %.c src/all.h
\t$(CC) -O1 -c -o $@ $<
"""


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh project",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="[%(default)s]")
    parser.add_argument("--files", type=int, default=150, help="of C [%(default)s]")
    parser.add_argument("--smoke", action="store_true", help="one round of a tiny project")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.files = 1, 3
    return options


def make_project(folder, files):
    """A tar file of it."""
    source = folder / "project/src"
    source.mkdir(parents=True)
    (folder / "project/Makefile").write_text(MAKEFILE)
    names = [f"f{i}_{j}" for i in range(files) for j in range(40)]
    (source / "all.h").write_text("".join(f"int {name}(int);\n" for name in names))
    for i in range(files):
        lines = ['#include "all.h"\n']
        for j in range(40):
            other = names[(i * 40 + j + 7) % len(names)]
            lines.append(f"int f{i}_{j}(int x) {{ return x < {j} ? x * {i + 1} + {j} : "
                         f"{other}(x / 3 - 1); }}\n")
        (source / f"part{i}.c").write_text("".join(lines))
    (source / "main.c").write_text('#include "all.h"\nint main(void) { return f0_0(3); }\n')
    archive = folder / "project.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder / "project", "project")
    shutil.rmtree(folder / "project")
    return archive


def run(*command, **more):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, **more)


def measure(place, make, archive):
    """Seconds to unpack, to build, and to end with everything synced and unmounted."""
    inside = place.work / "inside"
    inside.mkdir(exist_ok=True)
    with make(place) as mounted:
        if not make.reads_base:
            shutil.copyfile(place.work / "images/bench.r1", place.work / "floor.raw")
        run("mount", "-o", "loop", mounted.file, inside)
        try:
            begin = time.monotonic()
            run("tar", "-xf", archive, "-C", inside)
            run("sync", "-f", inside)
            unpacked = time.monotonic()
            run("make", "-C", inside / "project", "-j2")
            run("sync", "-f", inside)
            built = time.monotonic()
        finally:
            run("umount", inside)
        ended = time.monotonic()
    return unpacked - begin, built - unpacked, ended - built


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("bench: only root may mount the file system of the image: run this as root")
    contenders.interrupt_as_exception()
    work = pathlib.Path(tempfile.mkdtemp(prefix="netcow-bench-"))
    place = types.SimpleNamespace(
        work=work, tools=pathlib.Path(__file__).resolve().parent.parent / "build/release",
        image_bytes=GIB, dnbd3_port=0, nbd_port=0)
    results = {name: [] for name in contenders.ALL}
    try:
        archive = make_project(work, options.files)
        (work / "images").mkdir()
        with open(work / "images/bench.r1", "wb") as file:
            file.truncate(place.image_bytes)
        run("mkfs.ext4", "-q", work / "images/bench.r1")
        with contenders.Servers(place) as servers:
            servers.move_away(0)
            for turn in range(options.rounds):
                names = list(contenders.ALL)
                for name in names[turn % len(names):] + names[:turn % len(names)]:
                    results[name].append(measure(place, contenders.ALL[name], archive))
                    print(f"{name:10}", *(f"{part:8.3f}" for part in results[name][-1]), flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"\nmedians of {options.rounds} rounds, seconds: unpack, build, unmount, all")
    for name, rows in results.items():
        parts = [statistics.median(column) for column in zip(*rows)]
        print(f"{name:10}", *(f"{part:8.3f}" for part in parts), f"{sum(parts):8.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
