#!/usr/bin/env python3
"""Runs the cells: which path do two people get, whatever NATs they are behind? usage: e2e.py [OPTION]... [NAME]...

  --full         every ordered pair of kinds, not one of each class
  --jobs N       cells at a time, each in a small internet of its own (default: one a processor)
  --json FILE, --markdown FILE     the matrix for programs, and for the README
  --list         only the names of the cells
  NAME           only the cells and probes whose name contains it

The programs are taken from P2P_BUILD (default: build). First every kind of NAT is probed to be what its name says, and
only then used. The last line is "N passed, N failed".
"""
import argparse
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time

import expect

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CANNOT = 75
BUILD = os.environ.get("P2P_BUILD", "build")

ONE_WAY_MS = {"server": 0, "a": 25, "b": 25}  # to the middle of the wan: R = 50 ms to the server, P = 100 ms
UNEVEN_MS = {"server": 0, "a": 5, "b": 60}
UNEVEN_OTHER_WAY_MS = {"server": 0, "a": 60, "b": 5}
BAD_LINE = {"loss": 10, "jitter": 20, "duplicate": 2, "reorder": 2, "overtake": 30}
ROUND_TRIP_MS = 50.0
STARTING_MS = 50.0  # for two programs to start and compute

CLASSES = ["address-restricted", "port-restricted", "linux", "sequential", "symmetric"]


class Cell:
    def __init__(self, name, layout, a, b, carriers=(), story="pair", expect_path=None, needed=None, patient=False,
                 **more):
        self.name = name
        self.needed = needed
        self.patient = patient  # most of its time it waits, by design
        self.spec = {"layout": layout, "a": a, "b": b, "carriers": list(carriers), "story": story,
                     "expect": expect_path or expect.expected(needed), "delay_ms": ONE_WAY_MS, "wan": {},
                     "time_max_s": 90, **more}
        self.argv = ["cell.py", BUILD, json.dumps(self.spec)]

    def judge(self, result):
        if result.get("failure"):
            return result["failure"]
        message, allowed = result.get("message_ms"), self.floor_ms() + STARTING_MS
        if self.spec["story"] == "pair" and message is not None and message > allowed:
            return "the first message took %.0f ms, %.0f are allowed" % (message, allowed)
        return None

    def floor_ms(self):
        """T of DESIGN: no message is readable at both ends before."""
        a, b = (2 * (self.spec["delay_ms"][side] + self.spec["delay_ms"]["server"]) for side in self.sides())
        return max(a + b, 1.5 * b + 0.5 * a)

    def sides(self):
        return ("a", "b") if self.spec["layout"] in ("homes", "carriers") else ("a", "a")

    def told(self, result):
        marker = " (needs %s)" % self.needed if self.needed and result.get("path") == "relay" else ""
        words = [result.get("path", "-") + marker]
        for what in ("message", "direct"):
            if result.get(what + "_ms") is not None:
                words.append("%s %.1f R" % (what, result[what + "_ms"] / ROUND_TRIP_MS))
        if "again_s" in result:
            words.append("again after %.1f s" % result["again_s"])
        return ", ".join(words)


class Probe:
    """Is a kind what its name says?"""

    def __init__(self, kind):
        self.name = "probe/" + kind
        self.kind = kind
        self.said = expect.described(kind)
        self.patient = "timeout" in self.said
        wanted = [word for word in ("timeout", "sessions") if word in self.said]
        self.argv = ["verify.py", BUILD, kind, *wanted]

    def judge(self, result):
        if "error" in result:
            return result["error"]
        wrong = []
        for word in ("mapping", "filtering", "ports", "hairpin", "poisoned", "timeout", "sessions"):
            found, said = str(result.get(word, "no")), self.said.get(word, "no")
            if word == "timeout" and said != "no":
                said = "25"  # the first pause of the probe that is longer
            if word in ("ports", "hairpin") and self.said["mapping"] == "none":
                continue
            if found != said:
                wrong.append("%s is %s, not %s" % (word, found, said))
        return "; ".join(wrong) or None

    def told(self, result):
        return ", ".join("%s %s" % (k, v) for k, v in result.items() if k != "address" and v != "no")


def pairs(kinds, ordered):
    for i, a in enumerate(kinds):
        for k, b in enumerate(kinds):
            if ordered or i <= k:
                yield Cell("pair/%s/%s" % (a, b), "homes", a, b, needed=expect.need(a, b))


def special_cells():
    return [
        Cell("lan", "lan", "linux", "none", expect_path="inside"),
        Cell("carriers/full-cone", "carriers", "linux", "linux", ["full-cone"]),
        Cell("carriers/symmetric", "carriers", "linux", "linux", ["symmetric", "full-cone"], needed="birthday"),
        Cell("carrier/hairpin", "carrier", "linux", "linux", ["cgn"], expect_path="inside"),
        Cell("carrier/no-hairpin", "carrier", "linux", "linux", ["full-cone"], expect_path="relay"),
        Cell("isolated/no-hairpin", "isolated", "linux", "none", expect_path="relay"),
        Cell("isolated/hairpin", "isolated", "cgn", "none", expect_path="inside"),
        Cell("uneven/linux", "homes", "linux", "linux", delay_ms=UNEVEN_MS),
        Cell("uneven/open-input", "homes", "open-input", "open-input", delay_ms=UNEVEN_MS),
        Cell("uneven/other-way", "homes", "open-input", "open-input", delay_ms=UNEVEN_OTHER_WAY_MS),
        Cell("early-packet/linux", "homes", "port-restricted", "linux", story="early_packet"),
        Cell("early-packet/open-input", "homes", "port-restricted", "open-input", story="early_packet",
             needed="fresh-sockets"),
        Cell("silence/short-timeout", "homes", "short-timeout", "short-timeout", story="silence", patient=True),
        Cell("server-dies", "homes", "linux", "linux", story="server_dies"),
        *(Cell("forgets/%s/%s-speaks" % (a, speaker), "homes", a, b, story="nat_forgets", side="a", speaker=speaker)
          for a, b in (("linux", "linux"), ("sequential", "address-restricted"), ("symmetric", "full-cone"))
          for speaker in ("ann", "bob")),
        *(Cell("bad-line/%s/%d" % (a, seed), "homes", a, b, story="bad_line", wan=dict(BAD_LINE, seed=seed))
          for a, b in (("linux", "port-restricted"), ("address-restricted", "symmetric")) for seed in (1, 2, 3)),
    ]


def cells(full):
    if full:
        yield from pairs(expect.kinds(), ordered=True)
    else:
        yield from pairs(CLASSES, ordered=False)
        for a, b in (("none", "symmetric"), ("none", "none"), ("firewall", "firewall"), ("firewall", "symmetric"),
                     ("full-cone", "symmetric"), ("full-cone", "full-cone"), ("open-input", "port-restricted"),
                     ("open-input", "open-input"), ("few-sessions", "linux"), ("sequential", "firewall")):
            yield Cell("pair/%s/%s" % (a, b), "homes", a, b, needed=expect.need(a, b))
    yield from special_cells()


# ---- running ----

def run(job):
    """Returns status, result, what it complained, seconds."""
    began = time.monotonic()
    done = subprocess.run([HERE + "/private.sh", sys.executable, os.path.join(HERE, job.argv[0]), *job.argv[1:]], cwd=ROOT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    try:
        result = json.loads(done.stdout.strip().rsplit("\n", 1)[-1])
    except ValueError:
        result = {"failure": "ended with status %d" % done.returncode}
    return done.returncode, result, done.stderr, time.monotonic() - began


def stop(status):
    """At once, whatever the threads are doing: we are the first process in our namespace, and all others end with us."""
    sys.stdout.flush()
    os._exit(status)


class Report:
    def __init__(self):
        self.passed, self.failed = 0, 0
        self.rows = []

    def add(self, job, status, result, errors, seconds):
        why = job.judge(result)
        if status == CANNOT:
            print(errors.strip() or "not possible here", file=sys.stderr)
            stop(CANNOT)
        if not why and status:
            why = "ended with status %d" % status
        if why:
            self.failed += 1
        else:
            self.passed += 1
        print("%-4s %-40s %s%s  (%.1f s)" % ("FAIL" if why else "ok", job.name, job.told(result) if result else "",
                                            ": " + why if why else "", seconds), flush=True)
        if why:
            for line in errors.splitlines():
                print("     | " + line)
            again = "testbed/netns/e2e.py %s" % job.name
            print("     | to repeat: P2P_BUILD=%s %s" % (job.argv[1], again), flush=True)
        row = {"name": job.name, "passed": not why, "seconds": round(seconds, 1), **result, "failure": why}
        if isinstance(job, Cell):
            row.update({k: job.spec[k] for k in ("layout", "a", "b", "carriers", "story")}, needs=job.needed)
        self.rows.append(row)


def run_all(probes, pair_cells, workers, report):
    """First the probes, then the cells; those that mostly wait do so beside the others."""
    with (concurrent.futures.ThreadPoolExecutor(workers) as pool,
          concurrent.futures.ThreadPoolExecutor(2) as waiting_room):
        waiting = {waiting_room.submit(run, job): job for job in probes + pair_cells if job.patient}
        for jobs in (probes, pair_cells):
            busy = {pool.submit(run, job): job for job in jobs if not job.patient}
            for done in concurrent.futures.as_completed(busy):
                report.add(busy[done], *done.result())
        for done in concurrent.futures.as_completed(waiting):
            report.add(waiting[done], *done.result())


# ---- the matrix ----

def short(row):
    if not row["passed"]:
        return "FAILED"
    if row.get("direct_ms") is not None:
        return "%s %.1f R" % (row["path"], row["direct_ms"] / ROUND_TRIP_MS)
    return row["path"] + (" (%s)" % row["needs"] if row["needs"] else "")


def matrix(rows):
    """Kinds and, by pair of kinds, a text."""
    found = {(row["a"], row["b"]): short(row) for row in rows if row["name"].startswith("pair/")}
    names = [kind for kind in expect.kinds() if any(kind in ends for ends in found)]
    return names, found


def table(header, lines, markdown):
    lines = [header] + lines
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    out = []
    for n, line in enumerate(lines):
        texts = [text.ljust(width) for text, width in zip(line, widths)]
        out.append("| %s |" % " | ".join(texts) if markdown else "  ".join(texts).rstrip())
        if n == 0 and markdown:
            out.append("|%s|" % "|".join("-" * (width + 2) for width in widths))
    return "\n".join(out)


def render(rows, markdown):
    names, found = matrix(rows)
    parts = []
    if found:
        lines = [[a] + [found.get((a, b), "") for b in names] for a in names]
        parts.append(table(["ann \\ bob"] + names, lines, markdown))
    others = sorted((row for row in rows if "layout" in row and not row["name"].startswith("pair/")),
                    key=lambda row: row["name"])
    if others:
        lines = [[row["name"], short(row), "%.1f R" % (row["message_ms"] / ROUND_TRIP_MS)
                  if row.get("message_ms") is not None else ""] for row in others]
        parts.append(table(["case", "path, to direct", "to the first message"], lines, markdown))
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--help", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.help:
        print(__doc__)
        return 0

    def wanted(job):
        return not options.names or any(name in job.name for name in options.names)

    probes = [job for job in map(Probe, expect.kinds()) if wanted(job)]
    pair_cells = [job for job in cells(options.full) if wanted(job)]
    if options.list:
        print("\n".join(job.name for job in probes + pair_cells))
        return 0
    for program in ("wan", "p2p-server", "p2p-client"):
        if not os.access(os.path.join(ROOT, BUILD, program), os.X_OK):
            sys.exit("e2e: %s/%s is missing: run make testbed" % (BUILD, program))
    if os.getpid() != 1:
        os.execv(HERE + "/private.sh", ["private.sh", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda signum, _: stop(128 + signum))

    report = Report()
    run_all(probes, pair_cells, options.jobs, report)
    print("\n" + render(report.rows, markdown=False) + "\n")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report.rows, file, indent=1)
    if options.markdown:
        with open(options.markdown, "w") as file:
            file.write(render(report.rows, markdown=True) + "\n")
    print("%d passed, %d failed" % (report.passed, report.failed))
    return 1 if report.failed or not report.rows else 0


if __name__ == "__main__":
    sys.exit(main())
