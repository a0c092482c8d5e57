#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps what bench/remote.sh measures, and prints it as a table.

results.py add FILE CONTENDER WORKLOAD DELAY UNIT < output of fio --output-format=json
    appends one measurement to FILE: a line of JSON
results.py fail FILE CONTENDER WORKLOAD DELAY UNIT WHY
    appends that a measurement was not possible
results.py table FILE CONTENDER...
    prints medians over the rounds, and how many times as fast the first contender is
results.py json FILE
    prints everything for programs
"""
import json
import statistics
import sys


def append(path, entry):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def load(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def measured(fio, unit):
    """What the reads and writes of fio's one job came to, in operations or MB per second."""
    job = fio["jobs"][0]
    if job["error"] != 0:
        raise ValueError(f"fio reports error {job['error']}")
    if unit == "MB/s":
        return sum(job[side]["bw_bytes"] for side in ("read", "write")) / 1e6
    return sum(job[side]["iops"] for side in ("read", "write"))


def add(path, contender, workload, delay, unit):
    text = sys.stdin.read()
    entry = {"contender": contender, "workload": workload, "delay": delay, "unit": unit}
    try:
        # fio prints notes in front of its JSON.
        entry["value"] = measured(json.loads(text[text.index("{"):]), unit)
    except (ValueError, KeyError, IndexError) as error:
        append(path, {**entry, "failure": str(error)})
        sys.exit(f"results: no measurement of {workload} by {contender}: {error}")
    append(path, entry)
    print(f"{entry['value']:.1f} {unit}")


def medians(entries):
    """(delay, workload, contender) -> median, and in which order delays and workloads came."""
    values = {}
    for entry in entries:
        key = (entry["delay"], entry["workload"], entry["contender"])
        values.setdefault(key, [])
        if "value" in entry:
            values[key].append(entry["value"])
    return {key: statistics.median(list_) if list_ else None for key, list_ in values.items()}


def shown(medians_, key):
    if key not in medians_:
        return "-"
    value = medians_[key]
    if value is None:
        return "failed"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(mine, other):
    return f"{mine / other:.2f}" if mine and other else "-"


def table(path, contenders):
    entries = load(path)
    middle = medians(entries)
    units = {entry["workload"]: entry["unit"] for entry in entries}
    rows = list(dict.fromkeys((entry["delay"], entry["workload"]) for entry in entries))
    first, others = contenders[0], contenders[1:]
    head = ["round trip", "workload", "unit", *contenders, *(f"{first} : {name}" for name in others)]
    lines = [head]
    for delay, workload in rows:
        keys = [(delay, workload, name) for name in contenders]
        ratios = [ratio(middle.get(keys[0]), middle.get(other)) for other in keys[1:]]
        numbers = [shown(middle, key) for key in keys]
        lines.append([f"{delay} ms", workload, units[workload], *numbers, *ratios])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        texts = [text.ljust(width) for text, width in zip(line[:3], widths)]
        numbers = [text.rjust(width) for text, width in zip(line[3:], widths[3:])]
        print("  ".join(texts + numbers))


def main():
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "add":
        add(*arguments)
    elif command == "fail":
        path, contender, workload, delay, unit, why = arguments
        append(path, {"contender": contender, "workload": workload, "delay": delay, "unit": unit,
                      "failure": why})
    elif command == "table":
        table(arguments[0], arguments[1:])
    elif command == "json":
        entries = load(arguments[0])
        middle = [{"delay": d, "workload": w, "contender": c, "median": value}
                  for (d, w, c), value in medians(entries).items()]
        print(json.dumps({"medians": middle, "runs": entries}, indent=2))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
