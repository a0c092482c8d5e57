# SPDX-License-Identifier: Apache-2.0
"""Runs fio against a mounted file, and counts what the program behind the mount spends on it."""
import json
import os
import pathlib
import subprocess

from contenders import Failure

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids):
    """Of these processes, in user and kernel mode, since they began."""
    total = 0
    for pid in pids:
        # What follows the name, which may hold blanks and brackets.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def fill(file, region):
    """Writes the first bytes of the file, so that they are local."""
    chunk = os.urandom(1 << 20)
    descriptor = os.open(file, os.O_WRONLY)
    try:
        for offset in range(0, region, len(chunk)):
            os.pwrite(descriptor, chunk[:region - offset], offset)
        os.fsync(descriptor)
        # What was just written would be read from the page cache; the measurement is of the mount.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def measure(contender, workload, region, seconds):
    """One run of fio on the first `region` bytes. Returns the workload's figure, and the
    contender's processor time in microseconds for each operation."""
    if workload.blocks == "local":
        fill(contender.file, region)
    command = ["fio", "--name=bench", f"--filename={contender.file}", f"--size={region}",
               f"--runtime={int(seconds * 1000)}ms", "--fallocate=none", "--allow_file_create=0",
               "--output-format=json", *workload.options]
    if workload.blocks == "local":
        command.append("--time_based")  # else fio ends when it has visited each block once
    pids = contender.processes()
    before = cpu_seconds(pids)
    result = subprocess.run(command, check=False, capture_output=True, text=True,
                            timeout=seconds + 60)
    spent = cpu_seconds(pids) - before
    if result.returncode != 0:
        raise Failure(f"fio ended with status {result.returncode}: {result.stderr.strip()}")
    # fio prints notes in front of its JSON.
    job = json.loads(result.stdout[result.stdout.index("{"):])["jobs"][0]
    if job["error"] != 0:
        raise Failure(f"fio reports error {job['error']}")
    sides = [job["read"], job["write"]]
    operations = sum(side["total_ios"] for side in sides)
    if workload.unit == "MB/s":
        value = sum(side["bw_bytes"] for side in sides) / 1e6
    else:
        value = sum(side["iops"] for side in sides)
    return value, spent / max(operations, 1) * 1e6
