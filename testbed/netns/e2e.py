#!/usr/bin/env python3
"""Runs the cells: which path do two people get, whatever NATs they are behind? usage: e2e.py [OPTION]... [NAME]...

  --full         every ordered pair of kinds, not one of each class, and what is hard ten times
  --repeat N     each cell N times, not only once
  --jobs N       cells at a time, each in a small internet of its own (default: two a processor: mostly they wait)
  --json FILE, --markdown FILE     the matrix for programs, and for docs/nat-matrix.md
  --classes FILE                   the part of it that is in the README
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

import cases
import matrix

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CANNOT = 75
PATIENT_JOBS = 3  # beside the others


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
            again = "testbed/netns/e2e.py %s" % job.name.partition(" #")[0]
            print("     | to repeat: P2P_BUILD=%s %s" % (cases.BUILD, again), flush=True)
        row = {"name": job.name, "passed": not why, "seconds": round(seconds, 1), **result, "failure": why}
        if isinstance(job, cases.Cell):
            row.update({k: job.spec[k] for k in ("layout", "a", "b", "carriers", "story", "foreign", "seed")}, needs=job.needed,
                       unit_ms=job.unit_ms())
        self.rows.append(row)


def run_all(probes, cells, workers, report):
    """First the probes, then the cells; those that mostly wait do so beside the others."""
    with (concurrent.futures.ThreadPoolExecutor(workers) as pool,
          concurrent.futures.ThreadPoolExecutor(PATIENT_JOBS) as waiting_room):
        waiting = {waiting_room.submit(run, job): job for job in probes + cells if job.patient}
        for jobs in (probes, cells):
            busy = {pool.submit(run, job): job for job in jobs if not job.patient}
            for done in concurrent.futures.as_completed(busy):
                report.add(busy[done], *done.result())
        for done in concurrent.futures.as_completed(waiting):
            report.add(waiting[done], *done.result())


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    parser.add_argument("--classes")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--help", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.help:
        print(__doc__)
        return 0

    def wanted(job):
        return not options.names or any(name in job.name for name in options.names)

    probes = [job for job in cases.probes() if wanted(job)]
    cells = [job for job in cases.cells(options.full) if wanted(job)]
    if options.repeat > 1:
        cells = [job.again(n) for job in cells for n in range(1, options.repeat + 1)]
    if options.list:
        print("\n".join(job.name for job in probes + cells))
        return 0
    for program in ("wan", "p2p-server", "p2p-client"):
        if not os.access(os.path.join(ROOT, cases.BUILD, program), os.X_OK):
            sys.exit("e2e: %s/%s is missing: run make e2e" % (cases.BUILD, program))
    if os.getpid() != 1:
        os.execv(HERE + "/private.sh", ["private.sh", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda signum, _: stop(128 + signum))

    report = Report()
    run_all(probes, cells, options.jobs, report)
    print("\n" + matrix.render(report.rows, markdown=False) + "\n")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report.rows, file, indent=1)
    if options.markdown:
        with open(options.markdown, "w") as file:
            file.write(matrix.document(report.rows))
    if options.classes:
        with open(options.classes, "w") as file:
            file.write(matrix.classes(report.rows) + "\n")
    print("%d passed, %d failed" % (report.passed, report.failed))
    return 1 if report.failed or not report.rows else 0


if __name__ == "__main__":
    sys.exit(main())
