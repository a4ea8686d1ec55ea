"""The result of a run as text, for people and for docs/nat-matrix.md."""
import os
import statistics
import textwrap

import expect

HEAD = """# Which NATs get through to which

Written by `make e2e-full`: the real programs behind NATs of a real kernel. What the kinds are, and how it is measured:
[testbed/netns/README.md](../testbed/netns/README.md). This was Linux %s with %d processors; %d cells and probes, %d of them
as they must be.
"""
LEGEND = """\
The path, and after how many round trips to the server (50 ms each, if nothing else is said) since the newcomer's first
packet the first message can be read at both ends, and a direct path is validated by both: "direct 2.0 4.0" is the floor
of the design. Rows are who waits, columns who comes. Letters are reasons, below."""


class Reasons:
    """A letter for each reason that the clients give."""

    def __init__(self):
        self.texts = []

    def letter(self, row):
        """"" where a direct path does not have to be explained."""
        if row.get("path") != "relay" or not row["passed"]:
            return ""
        text = row["ann"]["reason"]
        if text not in self.texts:
            self.texts.append(text)
        return " " + name_of(self.texts.index(text))

    def render(self, markdown):
        lines = ["%s%s: %s" % ("- " if markdown else "", name_of(i), text) for i, text in enumerate(self.texts)]
        return "\n".join(textwrap.fill(line, 118, subsequent_indent="   ", break_on_hyphens=False) for line in lines)


def name_of(i):
    return chr(ord("a") + i) if i < 26 else "z%d" % i


def round_trips(row, what):
    return " %.1f" % (row[what] / row["unit_ms"]) if row.get(what) is not None else ""


def field(row, reasons):
    """One field of the matrix."""
    if "path" not in row:
        return "FAILED"
    failed = "" if row["passed"] else " FAILED"
    return row["path"] + round_trips(row, "message_ms") + round_trips(row, "direct_ms") + reasons.letter(row) + failed


def table(lines, markdown):
    """The first line is the header."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    out = []
    for n, line in enumerate(lines):
        texts = [text.ljust(width) for text, width in zip(line, widths)]
        out.append("| %s |" % " | ".join(texts) if markdown else "  ".join(texts).rstrip())
        if n == 0 and markdown:
            out.append("|%s|" % "|".join("-" * (width + 2) for width in widths))
    return "\n".join(out)


def pairs(rows, reasons, markdown):
    found = {(row["a"], row["b"]): field(row, reasons) for row in rows}
    names = [kind for kind in expect.kinds() if any(kind in ends for ends in found)]
    # Where only one order was run, the matrix is a triangle.
    lines = [["ann \\ bob", *names]] + [[a, *(found.get((a, b), "") for b in names)] for a in names]
    return table(lines, markdown)


def classes(rows):
    """For the README: one kind of each class against each other, and only the path that is reached in the end."""
    def short(row):
        return field(row, Reasons()).split()[0] + round_trips(row, "direct_ms")

    found = {(row["a"], row["b"]): short(row) for row in rows if row["name"].startswith("pair/") and "#" not in row["name"]}
    lines = [["waits \\ comes", *expect.CLASSES]] + [[a, *(found.get((a, b), "") for b in expect.CLASSES)] for a in expect.CLASSES]
    return table(lines, markdown=True)


def others(rows, reasons, markdown):
    lines = [["case", "NATs", "path"]]
    for row in sorted(rows, key=lambda row: row["name"]):
        nats = "%s, %s" % (row["a"], row["b"]) if row["layout"] not in ("lan", "isolated") else row["a"]
        if row["carriers"]:
            nats += " behind " + ", ".join(row["carriers"])
        lines.append([row["name"], nats, field(row, reasons)])
    return table(lines, markdown)


def repeated(rows, markdown):
    """Cells that were run more than once: how many were good, how many direct, and when."""
    lines = [["case", "runs", "good", "direct", "direct after (ms): least", "median", "most"]]
    for name, runs in by_name(rows).items():
        direct = [row for row in runs if row["passed"] and row.get("path") == "direct"]
        times = [row["direct_ms"] for row in direct if row.get("direct_ms") is not None]
        figures = ["%.0f" % figure(times) if times else "" for figure in (min, statistics.median, max)]
        lines.append([name, str(len(runs)), str(sum(row["passed"] for row in runs)), str(len(direct)), *figures])
    return table(lines, markdown)


def by_name(rows):
    names = {}
    for row in rows:
        names.setdefault(row["name"].partition(" #")[0], []).append(row)
    return {name: runs for name, runs in names.items() if len(runs) > 1}


def render(rows, markdown):
    cells = [row for row in rows if "layout" in row]
    once = [row for row in cells if "#" not in row["name"]]
    of_pairs = [row for row in once if row["name"].startswith("pair/")]
    of_others = [row for row in once if row not in of_pairs]
    reasons = Reasons()
    parts = [LEGEND] if once else []
    if of_pairs:
        parts.append(pairs(of_pairs, reasons, markdown))
    if of_others:
        parts.append(others(of_others, reasons, markdown))
    if reasons.texts:
        parts.append("Why not direct, as ann's program says it:\n\n" + reasons.render(markdown))
    failures = [row for row in rows if not row["passed"]]
    if failures:
        parts.append("Not as it must be:\n\n" + "\n".join("%s%s: %s" % ("- " if markdown else "", row["name"], row["failure"])
                                                        for row in failures))
    if by_name(cells):
        parts.append(repeated(cells, markdown))
    return "\n\n".join(parts)


def document(rows):
    return HEAD % (os.uname().release, os.cpu_count() or 1, len(rows), sum(row["passed"] for row in rows)) + "\n" + \
        render(rows, markdown=True) + "\n"
