#!/usr/bin/env python3
"""The second client (second.py) behind one NAT and the real one behind another, in network namespaces (testbed/netns):
classification and every kind of try, with either of them as opener and as prober; and the library's own loop on ports
that have to be guessed. nat_cell.py says how it is judged.

P2P_BUILD names the folder of the programs (default: build); `wan` is among them. usage: test_nat_interop.py [NAME]...
"""
import concurrent.futures
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NETNS = os.path.join(ROOT, "testbed", "netns")
BUILD = os.path.join(ROOT, os.environ.get("P2P_BUILD", "build"))
CANNOT = 75
JOBS = 3            # mostly they wait
CELL_MAX_S = 40 * float(os.environ.get("P2P_TIME_SCALE", 1))
PLAIN_CHECKS = 8    # direct packets that get lost in a cell whose plain checks fail: all of them

sys.path.insert(0, NETNS)
import expect  # noqa: E402


class Cell:
    """second: ann waits, bob comes. role: what the second client is in one of its tries; None: there are no tries."""

    def __init__(self, name, a, b, second, role=None, technique=None, side=None, lost=0):
        self.name, self.kinds, self.second, self.role, self.technique = name, (a, b), second, role, technique
        self.spec = {"a": a, "b": b, "second": second, "side": side, "lost": lost}

    def run(self):
        began = time.monotonic()
        argv = [NETNS + "/private.sh", sys.executable, HERE + "/nat_cell.py", BUILD, json.dumps(self.spec)]
        try:
            done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, check=False, timeout=CELL_MAX_S)
        except subprocess.TimeoutExpired:
            return 1, "did not end", "", CELL_MAX_S
        try:
            result = json.loads(done.stdout.strip().rsplit("\n", 1)[-1])
        except ValueError:
            result = {"failure": "ended with status %d" % done.returncode}
        return done.returncode, result["failure"] or self.fault(result), done.stderr, time.monotonic() - began

    def fault(self, result):
        for who, kind in zip(("ann", "bob"), self.kinds):
            if result[who]["nat"] != expect.engine_says([kind]):
                return "%s says that the NAT is %s" % (who, result[who]["nat"])
        second = result[self.second]
        if second["forbidden"]:
            return "the real client has sent %s" % second["forbidden"]
        wrong = [t for t in second["tries"] if t["technique"] != self.technique]
        if wrong or self.role and not any(t["role"] == self.role for t in second["tries"]):
            return "the tries were %s" % second["tries"]
        # The one socket that asks for answers from elsewhere, too.
        if result["hasty"] > 1:
            return "the real client has asked %d sockets' questions again at once" % result["hasty"]
        return None


class EchoCell(Cell):
    """ann is a program around the library."""

    def __init__(self, name, a, b):
        super().__init__(name, a, b, None)
        self.spec = {"a": a, "b": b, "echo": True}

    def fault(self, result):
        if max(result["ports"]) <= 16:
            return "only so many ports were tried: %s" % result["ports"]
        return None if result["path"] == "direct" else "the path is %s" % result["path"]


# Between two sequential ones, and two known ones, side 0 probes in the first try, and side 1 opens.
CELLS = [
    Cell("symmetric_second_opens", "symmetric", "port-restricted", "ann", "opener", "birthday"),
    Cell("symmetric_second_probes", "symmetric", "port-restricted", "bob", "prober", "birthday"),
    Cell("checks_second_probes", "port-restricted", "port-restricted", "ann", "prober", "checks", 0, PLAIN_CHECKS),
    Cell("checks_second_opens", "port-restricted", "port-restricted", "bob", "opener", "checks", 1, PLAIN_CHECKS),
    Cell("sequential_second_opens", "sequential", "port-restricted", "ann", "opener", "prediction"),
    Cell("sequential_second_probes", "port-restricted", "sequential", "ann", "prober", "prediction"),
    Cell("both_sequential_second_opens", "sequential", "sequential", "ann", "opener", "prediction", 1),
    Cell("both_sequential_second_probes", "sequential", "sequential", "bob", "prober", "prediction", 0),
    Cell("plain_checks", "port-restricted", "port-restricted", "bob"),
    EchoCell("echo_opens", "symmetric", "port-restricted"),
    EchoCell("echo_probes", "port-restricted", "symmetric"),
]


def main():
    for name in ("p2p-server", "p2p-client", "wan", "examples/echo"):
        if not os.access(os.path.join(BUILD, name), os.X_OK):
            print("%s is not there: make all examples build/wan first, or set P2P_BUILD" % os.path.join(BUILD, name))
            print("0 passed, 1 failed")
            return 1
    cells = [c for c in CELLS if not sys.argv[1:] or c.name in sys.argv[1:]]
    tried = subprocess.run([NETNS + "/private.sh", NETNS + "/internet.sh", "homes", "sequential", "port-restricted"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           check=False)
    if tried.returncode == CANNOT:
        print("skipped: %s" % tried.stdout.strip().replace("\n", "; "))
        print("0 passed, 0 failed, %d skipped" % len(cells))
        return 0
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for cell, (status, why, errors, took) in zip(cells, pool.map(Cell.run, cells)):
            if status and not why:
                why = "ended with status %d" % status
            print("%-4s %-36s %5.1f s%s" % ("FAIL" if why else "ok", cell.name, took, ": " + why if why else ""),
                  flush=True)
            if why:
                failed += 1
                print(errors, end="", flush=True)
    print("%d passed, %d failed" % (len(cells) - failed, failed))
    return 1 if failed or not cells else 0


if __name__ == "__main__":
    sys.exit(main())
