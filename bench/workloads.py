# SPDX-License-Identifier: Apache-2.0
"""What is measured: how fio goes through the file, on which blocks, and what the goals are.

Blocks are `local` (written before through the same mount), `fresh` (nobody wrote them yet; what
fio changes, it changes for the first time), or `remote` (only read, from the image's server).
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    blocks: str                 # local, fresh or remote
    options: tuple              # of fio
    unit: str = "ops/s"         # or MB/s
    goals: tuple = ()           # (contender, delay or None for all, at least so many times as fast)
    delays: tuple = (0,)        # milliseconds of round trip that it is measured at
    floor: bool = True          # whether the floor takes part

    def goal(self, contender, delay):
        for name, at, times in self.goals:
            if name == contender and at in (None, delay):
                return times
        return None


def direct(pattern, depth, *more):
    engine = ("--ioengine=psync",) if depth == 1 else ("--ioengine=libaio", f"--iodepth={depth}")
    return (f"--rw={pattern}", "--bs=4k", "--direct=1", *engine, *more)


MIX = ("--rwmixread=70",)
SEQUENTIAL = ("--bs=1M", "--direct=1", "--ioengine=psync")
SMALL = ("--rw=randwrite", "--bs=3000", "--direct=0", "--ioengine=psync")
DURABLE = direct("randwrite", 1, "--fsync=1")

AT_FLOOR = (("floor", None, 0.85),)
FAR = (0, 1, 20)


def local(name, options, unit="ops/s"):
    return Workload("local-" + name, "local", options, unit, AT_FLOOR)


def fresh(name, options, unit="ops/s", goals=(), **more):
    return Workload("fresh-" + name, "fresh", options, unit, goals, **more)


def remote(name, options, unit="ops/s", goals=()):
    return Workload("remote-" + name, "remote", options, unit, goals, FAR, floor=False)


ALL = (
    local("read-1M", ("--rw=read", *SEQUENTIAL), "MB/s"),
    local("write-1M", ("--rw=write", *SEQUENTIAL), "MB/s"),
    local("read-4k-1", direct("randread", 1)),
    local("read-4k-16", direct("randread", 16)),
    local("write-4k-1", direct("randwrite", 1)),
    local("write-4k-16", direct("randwrite", 16)),
    local("mixed-4k-1", direct("randrw", 1, *MIX)),
    local("mixed-4k-16", direct("randrw", 16, *MIX)),
    Workload("local-write-3000", "local", SMALL),
    local("write-fsync", DURABLE),
    fresh("write-1M", ("--rw=write", *SEQUENTIAL), "MB/s"),
    fresh("write-4k-1", direct("randwrite", 1)),
    fresh("write-4k-16", direct("randwrite", 16)),
    fresh("mixed-4k-1", direct("randrw", 1, *MIX), floor=False),
    fresh("mixed-4k-16", direct("randrw", 16, *MIX), goals=(("qemu", 0, 2.0),), delays=FAR,
          floor=False),
    fresh("write-3000", SMALL, goals=(("qemu", 0, 2.0),), delays=FAR, floor=False),
    fresh("write-fsync", DURABLE, goals=(("floor", None, 0.5),)),
    remote("read-1M", ("--rw=read", "--bs=1M", "--direct=0", "--ioengine=psync"), "MB/s",
           (("qemu", 0, 2.0), ("qemu", 20, 20.0))),
    remote("read-1M-direct", ("--rw=read", *SEQUENTIAL), "MB/s"),
    remote("read-4k-1", direct("randread", 1), goals=(("qemu", 0, 1.3),)),
    remote("read-4k-16", direct("randread", 16), goals=(("qemu", 0, 2.5),)),
)
