#!/usr/bin/env python3
"""What the README's figures come from. usage: bench/run.py BUILD [--bench NAME]... [--time S] [--short] [--json FILE]

Prints one table and writes the same, with every round, as JSON. docs/bench.md says how to read it.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import time

import figures
from programs import Failure, cores

SUBJECTS = ["relay", "latency", "register", "memory", "frames", "client"]
ROUNDS, ROUNDS_SHORT = 5, 1
TIME_S, TIME_SHORT_S = 2.0, 0.06


def arguments():
    parser = argparse.ArgumentParser(description="Measures p2p and what it is compared with.")
    parser.add_argument("build", help="the folder with the programs")
    parser.add_argument("--bench", action="append", choices=SUBJECTS, help="one of them; may be repeated (default: all)")
    parser.add_argument("--time", type=float, help="seconds that each figure is measured (default: %g)" % TIME_S)
    parser.add_argument("--short", action="store_true", help="whether it runs at all; the figures mean nothing")
    parser.add_argument("--json", help="where to write the figures (default: BUILD/bench.json)")
    parser.add_argument("--flags", default="", help="how the programs were compiled; goes into the JSON")
    a = parser.parse_args()
    if a.time is None:
        a.time = TIME_SHORT_S if a.short else TIME_S
    if not 0.01 <= a.time <= 60:
        parser.error("--time: %g is not from 0.01 to 60 seconds" % a.time)
    return a


def cpu_model():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine(a):
    version = subprocess.run([os.path.join(a.build, "p2p-server"), "--version"], capture_output=True, text=True, check=True)
    return {"cpu": cpu_model(), "cores": os.cpu_count(), "kernel": platform.release(), "network": "loopback",
            "server_core": cores()[0], "load_core": cores()[1], "version": version.stdout.strip(), "flags": a.flags,
            "load_average_before": os.getloadavg()[0]}


# ---- what comes out ----

def summary(row):
    """Medians, the spread, and the ratio: round by round where there are as many of both."""
    ours, theirs = row["rounds"], row["reference_rounds"]
    if len(ours) == len(theirs):
        ratios = [x / y for x, y in zip(ours, theirs) if y]
    else:
        ratios = [figures.median(ours) / figures.median(theirs)] if figures.median(theirs) else []
    row.update(value=figures.median(ours), low=min(ours), high=max(ours), reference_value=figures.median(theirs),
               reference_low=min(theirs), reference_high=max(theirs), ratio=figures.median(ratios) if ratios else None)
    return row


def number(value):
    if value >= 100:
        return format(int(round(value)), ",")
    return "%.1f" % value if value >= 10 else "%.2f" % value


def spread(value, low, high):
    return "%s (%s–%s)" % (number(value), number(low), number(high))


HEADINGS = ["figure", "unit", "ours: median (spread)", "reference", "its median (spread)", "ratio", "note"]


def cells(row):
    return [row["figure"], row["unit"], spread(row["value"], row["low"], row["high"]), row["reference"],
            spread(row["reference_value"], row["reference_low"], row["reference_high"]),
            "-" if row["ratio"] is None else "%.2f" % row["ratio"], row["note"]]


def print_table(rows):
    table = [HEADINGS] + [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEADINGS))]
    table.insert(1, ["-" * w for w in widths])
    for line in table:
        print("| %s |" % " | ".join(cell.ljust(w) for cell, w in zip(line, widths)))


def measure(a, b, wanted):
    """All rows, in the order of the subjects. The idle clients idle from the beginning."""
    idle = figures.Idle(b) if "client" in wanted else None
    rows = []
    try:
        for name in wanted:
            print("  %s ..." % name, file=sys.stderr, flush=True)
            rows += map(summary, idle.rows() if name == "client" else getattr(figures, name)(b))
    finally:
        if idle is not None:
            idle.end()
    return rows


def main():
    a = arguments()
    wanted = [name for name in SUBJECTS if a.bench is None or name in a.bench]
    began = time.monotonic()
    about = machine(a)
    b = figures.Bench(a.build, a.time, ROUNDS_SHORT if a.short else ROUNDS, a.short, cores())
    rows = measure(a, b, wanted)
    about.update(load_average_after=os.getloadavg()[0], seconds=round(time.monotonic() - began, 1), rounds=b.rounds)
    if about["server_core"] == about["load_core"]:
        b.missing.append("one core for servers and loads: figures per second mean little")
    print_table(rows)
    print("\n%(cpu)s, %(cores)d cores, Linux %(kernel)s, %(network)s; servers on core %(server_core)d, loads on core "
          "%(load_core)d; load average %(load_average_before).1f before, %(load_average_after).1f after; "
          "%(rounds)d rounds, %(seconds)g s in all" % about)
    for why in b.missing:
        print("not measured: %s" % why)
    with open(a.json or os.path.join(a.build, "bench.json"), "w") as file:
        json.dump({"machine": about, "missing": b.missing, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError) as error:
        print("bench: %s" % error, file=sys.stderr)
        sys.exit(1)
