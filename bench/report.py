# SPDX-License-Identifier: Apache-2.0
"""Medians of measurements, as a table and as a picture."""
import html
import statistics


class Medians:
    """Of all rounds, for each (workload, delay, contender)."""

    def __init__(self, measurements):
        self.values = {}
        self.cpu = {}
        for each in measurements:
            key = (each["workload"], each["delay"], each["contender"])
            self.values.setdefault(key, [])
            self.cpu.setdefault(key, [])
            if "value" in each:
                self.values[key].append(each["value"])
                self.cpu[key].append(each["cpu"])

    def rows(self):
        """(workload, delay) in the order in which they were measured."""
        return list(dict.fromkeys((workload, delay) for workload, delay, _ in self.values))

    def value(self, workload, delay, contender):
        return self._middle(self.values, (workload, delay, contender))

    def cpu_microseconds(self, workload, delay, contender):
        return self._middle(self.cpu, (workload, delay, contender))

    def measured(self, workload, delay, contender):
        return (workload, delay, contender) in self.values

    def ratio(self, workload, delay, mine, other):
        """How many times as fast `mine` is; nothing if one of them has no figure."""
        first = self.value(workload, delay, mine)
        second = self.value(workload, delay, other)
        return first / second if first and second else None

    @staticmethod
    def _middle(figures, key):
        return statistics.median(figures[key]) if figures.get(key) else None


def _number(value):
    if value is None:
        return "failed"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _columns(lines, left):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        last = len(line) - 1
        cells = [text.ljust(width) if i < left or i == last else text.rjust(width)
                 for i, (text, width) in enumerate(zip(line, widths))]
        yield "  ".join(cells).rstrip()


def table(medians, workloads, contenders, hero="netcow"):
    """Lines of text: figures, processor time for each operation, how many times as fast the hero
    is, and which goals are met."""
    by_name = {workload.name: workload for workload in workloads}
    others = [name for name in contenders if name != hero]
    head = ["workload", "ms", "unit", *contenders, *(f"us/op {name}" for name in contenders),
            *(f": {name}" for name in others), "goals"]
    lines = [head]
    for name, delay in medians.rows():
        workload = by_name[name]
        figures = [_number(medians.value(name, delay, each))
                   if medians.measured(name, delay, each) else "-" for each in contenders]
        costs = [f"{cost:.1f}" if cost is not None else "-" for cost in
                 (medians.cpu_microseconds(name, delay, each) for each in contenders)]
        ratios = [f"{ratio:.2f}" if ratio is not None else "-" for ratio in
                  (medians.ratio(name, delay, hero, each) for each in others)]
        lines.append([name, str(delay), workload.unit, *figures, *costs, *ratios,
                      _goals(medians, workload, delay, others, hero)])
    yield from _columns(lines, left=3)


def _goals(medians, workload, delay, others, hero):
    said = []
    for other in others:
        goal = workload.goal(other, delay)
        ratio = medians.ratio(workload.name, delay, hero, other)
        if goal is not None and ratio is not None:
            said.append(f"{'met' if ratio >= goal else 'MISSED'} ({goal:g} x {other})")
    return ", ".join(said)


# --- the picture ---------------------------------------------------------------------------------

_WIDTH, _LABEL, _BAR, _GAP, _LONGEST = 900, 200, 11, 12, 560
_COLOURS = {"netcow": "#1f6f43", "floor": "#8a8a8a", "qemu": "#b5651d", "nbdfuse": "#5b6fa8"}


def picture(medians, workloads, contenders):
    """An SVG: for each workload a bar for each contender, the fastest as long as the line."""
    by_name = {workload.name: workload for workload in workloads}
    parts = []
    y = 40
    for name, delay in medians.rows():
        values = {each: medians.value(name, delay, each) for each in contenders}
        present = {each: value for each, value in values.items() if value}
        if not present:
            continue
        label = name + (f", {delay} ms" if delay else "")
        height = len(present) * (_BAR + 1)
        parts.append(f'<text x="{_LABEL - 10}" y="{y + height / 2 + 4:.0f}" '
                     f'text-anchor="end">{html.escape(label)}</text>')
        for contender, value in present.items():
            length = max(1, value / max(present.values()) * _LONGEST)
            parts.append(f'<rect x="{_LABEL}" y="{y}" width="{length:.1f}" height="{_BAR}" '
                         f'fill="{_COLOURS[contender]}"/>')
            parts.append(f'<text class="figure" x="{_LABEL + length + 5:.1f}" y="{y + _BAR - 2}">'
                         f'{_number(value)} {by_name[name].unit}</text>')
            y += _BAR + 1
        y += _GAP
    legend = []
    for i, contender in enumerate(contenders):
        x = _LABEL + i * 130
        legend.append(f'<rect x="{x}" y="12" width="11" height="11" '
                      f'fill="{_COLOURS[contender]}"/><text x="{x + 16}" y="22">'
                      f'{html.escape(contender)}</text>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" '
        f'viewBox="0 0 {_WIDTH} {y}" role="img" aria-label="How fast a mounted image is">',
        "<style>text{font:12px sans-serif;fill:#222}.figure{font-size:10px;fill:#555}</style>",
        f'<rect width="{_WIDTH}" height="{y}" fill="#fff"/>', *legend, *parts, "</svg>", ""])
