#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of the hot parts (bench/micro) with callgrind: figures that can be
compared on any machine, however busy.

    cmake --build --preset release --target micro_benchmark
    bench/instructions.py [PATTERN]      only benchmarks whose name matches (a regular expression)

Each is run twice, with N and 2 N iterations; the difference divided by N is the cost of one, free
of what starting costs. Instructions in the kernel are not counted.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "build/release/bench/micro_benchmark"
ITERATIONS = 2000
# The work of these grows with each iteration's argument.
FEW = {"checkpointAfterChanges/1024": 20, "checkpointAfterChanges/16": 200}


def names(pattern):
    listed = subprocess.run([PROGRAM, "--benchmark_list_tests=true"], check=True,
                            capture_output=True, text=True).stdout.split()
    return [name for name in listed if re.search(pattern, name)]


def instructions(name, iterations):
    with tempfile.NamedTemporaryFile(suffix=".callgrind") as output:
        result = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output.name}",
             str(PROGRAM), f"--benchmark_filter=^{re.escape(name)}(/iterations:.*)?$"],
            check=True, capture_output=True, text=True,
            env={**os.environ, "NETCOW_ITERATIONS": str(iterations)})
    return int(re.search(r"Collected : (\d+)", result.stderr).group(1))


def main():
    for name in names(sys.argv[1] if len(sys.argv) > 1 else ""):
        count = FEW.get(name, ITERATIONS)
        cost = (instructions(name, 2 * count) - instructions(name, count)) / count
        print(f"{name:40} {cost:12.0f} instructions", flush=True)


if __name__ == "__main__":
    main()
