"""The result of a run as text, for people and for the README."""
import textwrap

import expect


def short(row):
    """One field of the matrix."""
    if not row["passed"]:
        return "FAILED"
    if row.get("direct_ms") is not None:
        return "%s %.1f" % (row["path"], row["direct_ms"] / row["unit_ms"])
    return row["path"] + (" (%s)" % row["needs"] if row["needs"] else "")


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


def pairs(rows, markdown):
    found = {(row["a"], row["b"]): short(row) for row in rows}
    names = [kind for kind in expect.kinds() if any(kind in ends for ends in found)]
    # Where only one order was run, the matrix is a triangle.
    lines = [["ann \\ bob", *names]] + [[a, *(found.get((a, b), "") for b in names)] for a in names]
    return table(lines, markdown)


def others(rows, markdown):
    lines = [["case", "path", "to the first message", "reason"]]
    for row in rows:
        first = "%.1f" % (row["message_ms"] / row["unit_ms"]) if row.get("message_ms") is not None else ""
        reason = row["ann"]["reason"] if row.get("path") == "relay" and row["passed"] else ""
        lines.append([row["name"], short(row), first, reason])
    return table(lines, markdown)


def relayed(rows):
    """The reasons that the clients give, and for which pairs."""
    reasons = {}
    for row in rows:
        if row.get("path") == "relay" and row["passed"]:
            reasons.setdefault(row["ann"]["reason"], []).append("%(a)s/%(b)s" % row)
    return "\n\n".join(textwrap.fill('Relayed, "%s": %s.' % (why, ", ".join(names)), 118, break_on_hyphens=False)
                       for why, names in reasons.items())


def render(rows, markdown):
    cells = [row for row in rows if "layout" in row and "#" not in row["name"]]
    of_pairs = [row for row in cells if row["name"].startswith("pair/")]
    of_others = sorted((row for row in cells if row not in of_pairs), key=lambda row: row["name"])
    parts = ["Paths, with the time from bob's first packet until both have validated a direct one, in round trips to the "
             "server."]
    if of_pairs:
        parts.append(pairs(of_pairs, markdown))
    if any(row.get("path") == "relay" for row in of_pairs):
        parts.append(relayed(of_pairs))
    if of_others:
        parts.append(others(of_others, markdown))
    return "\n\n".join(parts) if cells else ""
