#!/usr/bin/env python3
"""People meet while their server is flooded. usage: siege.py [OPTION]...

  --seconds S     for each flood (default 20), and until the pair that is meeting then has met
  --short         one kind of flood, and at most 15 s of everything: for make test
  --floods WORD   only those whose name contains the word (v4 spoofed rooms x1, ...)
  --json FILE     the figures

First it is measured how many Registers a second the server answers, 95 % of them at least; then floods of as many and of
three times as many run while pairs of the real program come, one after the other. Programs are
taken from P2P_BUILD (default: build). The last line is "N passed, N failed".
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NETNS = os.path.join(os.path.dirname(HERE), "netns")
sys.path.insert(0, NETNS)

# pylint: disable=wrong-import-position
from lab import Client, Failure, Lab, Program, Wan  # noqa: E402

BUILD = os.environ.get("P2P_BUILD", "build")
SERVER = {"v4": "203.0.113.1:41414", "v6": "[2001:db8::1]:41414"}
FORGED = {"v4": ("198.51.100.128/25", "192.0.2.128/25", "203.0.113.128/25"), "v6": ("2001:db8:8000::/33",)}
METRICS = "http://127.0.0.1:9090/metrics"
DELAYS_MS = {"server": 0, "a": 10, "b": 10}
ROOM = 42

ANSWERED_MIN = 0.95
RATE_FIRST = 20000
PROBE_S = 1

# Within so many seconds people have to have read each other, by the part of the flood that had to be dropped meanwhile.
# The bounds are for floods of what the server can take and of three times as much; a busy machine makes either worse.
BOUNDS = ((0.10, 3.0), (0.70, 15.0))
USUAL_MAX_S = 2.0         # without a flood: 0.2 s are usual, on a busy machine some more
RESIDENT_MAX_KB = 64 << 10  # docs/operating.md: 59 MB of tables, 5 of everything else
GROWTH_MAX_KB = 256       # by floods after the first of their kind: a program's own noise, and no row of a table more
LEASE_S = 60
# A few addresses cannot take the 64 places of a room from others; 64 that are nowhere else can, whoever they are. In the
# open form 384 can have all places of all 256 buckets, but not keep them. With shares they are strangers like others, on
# whom a pair spends its own, eight at a refresh: a numbered room is for those who do not want that.
BOTS = {"rooms": 384, "open": 16, "places": 384, ROOM: 16}
OPEN = ("open", "places")

THIEF = """import time
while True:
    until = time.perf_counter() + 0.0005
    while time.perf_counter() < until:
        pass
    time.sleep(0.0005)"""


class Machine:
    """Two processors: the server has one, all else the other. In the long form both are kept from others who use the
    machine, as far as it may be: then the server has its processor for half of the time only, half a millisecond in each,
    since one that sends cannot make three times what one that answers can take."""

    def __init__(self, alone):
        self.two = os.cpu_count() > 1
        self.alone = alone and self.two and self.may_be_alone()
        if self.two:
            os.sched_setaffinity(0, {0})
        if self.alone:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))

    @staticmethod
    def may_be_alone():
        return subprocess.run(["chrt", "-r", "3", "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0

    def for_server(self):
        return ["taskset", "-c", "1"] if self.two else []

    def for_flood(self):
        return ["chrt", "-r", "1"] if self.alone else []

    def start_thief(self, lab):
        if self.alone:
            Program(lab, "server", ["taskset", "-c", "1", "chrt", "-r", "3", sys.executable, "-c", THIEF])


class Server(Program):
    def __init__(self, lab, machine):
        where = [word for address in (*SERVER.values(), "203.0.113.2:41414") for word in ("--listen", address)]
        super().__init__(lab, "server", [*machine.for_server(), lab.build + "/p2p-server", *where,
                                         "--metrics", METRICS.split("/")[2]])
        lab.wait(lambda: "ready" in self.lines, "the server is ready")

    def resident_kb(self):
        with open("/proc/%d/status" % self.child.pid) as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def used(self):
        """Entries in its tables of people."""
        text = self.lab.in_host("server", sys.executable, "-c",
                                "import urllib.request as r; print(r.urlopen('%s').read().decode())" % METRICS)
        found = dict(re.findall(r'^p2p_server_table_used\{table="(\w+)"\} (\d+)', text, re.M))
        return int(found["registrations"]) + int(found["unvalidated"])


class Flood(Program):
    def __init__(self, lab, machine, kind, family, aim, rate, seconds):
        more = [str(BOTS[aim])] if kind == "real" else []
        super().__init__(lab, "attacker", [*machine.for_flood(), lab.build + "/flood", kind, "siege", SERVER[family],
                                           str(aim), str(int(rate)), str(int(seconds)), *more])
        self.may_end = True
        lab.wait(lambda: self.lines, "the flood has begun")

    def result(self):
        self.lab.wait(lambda: len(self.lines) > 1, "the flood ends", within_s=3600)
        return json.loads(self.lines[1])

    def stop(self):
        self.child.terminate()
        return self.result()


class Siege:
    def __init__(self, machine, steps):
        status = subprocess.run([NETNS + "/internet.sh", "homes-v6", "linux", "linux"], check=False).returncode
        if status:
            sys.exit(status)
        self.machine, self.steps = machine, steps
        self.lab = Lab(BUILD, time_max_s=7200)
        self.plug_attacker()
        Wan(self.lab, DELAYS_MS, {})
        self.server = Server(self.lab, machine)
        machine.start_thief(self.lab)
        self.pairs = 0

    def plug_attacker(self):
        commands = ["netns add attacker",
                    "link add siege netns server address 02:00:00:00:00:01 type veth"
                    " peer name siege netns attacker address 02:00:00:00:00:02",
                    "-n attacker link set siege arp off up", "-n server link set siege arp off up"]
        commands += ["-n server route add %s dev siege" % net for nets in FORGED.values() for net in nets]
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)

    # ---- what the kernel counts ----

    def traffic(self):
        """(Datagrams that the attacker has sent, and got; those that the server's sockets had no room for)"""
        link = json.loads(self.lab.in_host("attacker", "ip", "-s", "-j", "link", "show", "siege"))[0]["stats64"]
        text = self.lab.in_host("server", "cat", "/proc/net/snmp", "/proc/net/snmp6")
        names, values = re.findall(r"^Udp: (.*)$", text, re.M)
        dropped = dict(zip(names.split(), map(int, values.split())))["RcvbufErrors"]
        dropped += int(re.search(r"^Udp6RcvbufErrors\s+(\d+)", text, re.M).group(1))
        return link["tx"]["packets"], link["rx"]["packets"], dropped

    # ---- how much it can take ----

    def answered(self, kind, family, rate):
        """(rate that was sent, part that was answered; of real ones, that got as far as their echo)"""
        _, before, _ = self.traffic()
        told = Flood(self.lab, self.machine, kind, family, "rooms", rate, PROBE_S).result()
        got = self.traffic()[1] - before if kind == "spoofed" else told["echoes"]
        return told["sent"] / told["seconds"], got / told["sent"]

    def capacity(self, kind, family):
        low, high = 0, RATE_FIRST
        while True:
            sent, part = self.answered(kind, family, high)
            if part < ANSWERED_MIN:
                break
            if sent < 0.9 * high:
                raise Failure("one processor cannot send more than %d a second, and all are answered" % sent)
            low, high = sent, 2 * high
        high = min(high, sent)
        for _ in range(self.steps):
            sent, part = self.answered(kind, family, (low + high) / 2)
            low, high = (sent, high) if part >= ANSWERED_MIN else (low, sent)
        return max(low, RATE_FIRST / 8)

    # ---- people ----

    def pair(self, family, aim, within_s=BOUNDS[-1][1]):
        """Seconds until both have read what the other had typed; None: not within so many."""
        self.pairs += 1
        self.lab.keyword = "open sesame %d" % self.pairs if aim in OPEN else "%d-crab-lunar-toast" % ROOM
        self.lab.server_name = SERVER[family]
        began = time.monotonic()
        people = [Client(self.lab, name, "typed by " + name) for name in ("ann", "bob")]
        met = self.lab.serve_until(lambda: all(p.texts() for p in people), began + within_s)
        took = time.monotonic() - began
        for p in people:
            if met:
                p.may_end = True
                p.tell(command="quit")  # says goodbye, so that the next pair meets nobody's ghost
            else:
                p.kill()
        self.lab.wait(lambda: all(p.child.poll() is not None for p in people), "ann and bob leave")
        for p in people:
            self.lab.programs.remove(p)
        return round(took, 2) if met else None

    def under_flood(self, kind, family, aim, rate, seconds):
        """Pairs, one after the other, while it lasts."""
        began = time.monotonic()
        flood = Flood(self.lab, self.machine, kind, family, aim, rate, seconds + 3 * BOUNDS[-1][1])
        pairs = []
        resident_kb = 0
        while time.monotonic() < began + seconds:
            sent, _, dropped = self.traffic()
            took = self.pair(family, aim)
            now_sent, _, now_dropped = self.traffic()
            pairs.append({"took_s": took, "dropped": round((now_dropped - dropped) / max(1, now_sent - sent), 3)})
            resident_kb = max(resident_kb, self.server.resident_kb())
        told = flood.stop()
        return {"pairs": pairs, "resident_kb": resident_kb, "sent_per_s": round(told["sent"] / told["seconds"]), **told}


def judge(pairs):
    """What is wrong, or None."""
    for pair in pairs:
        bound = next((s for part, s in BOUNDS if pair["dropped"] <= part), None)
        if bound is not None and (pair["took_s"] is None or pair["took_s"] > bound):
            return "%s s, where %g are allowed" % (pair["took_s"], bound)
    return None


class Report:
    def __init__(self):
        self.rows, self.passed, self.failed = [], 0, 0

    def add(self, name, told, wrong, **figures):
        self.passed += wrong is None
        self.failed += wrong is not None
        print("%-4s %-28s %s%s" % ("FAIL" if wrong else "ok", name, told, ": " + wrong if wrong else ""), flush=True)
        self.rows.append({"name": name, "wrong": wrong, **figures})


def tell_flood(row):
    took = [p["took_s"] for p in row["pairs"]]
    known = sorted(t for t in took if t is not None)
    return "%7d/s, %2.0f %% dropped; %d pairs: %s s (median), %s s (all); %d kB" % (
        row["sent_per_s"], 100 * statistics.mean(p["dropped"] for p in row["pairs"]) if took else 0, len(took),
        statistics.median(known) if known else "-", max(known) if len(known) == len(took) and known else "more than 15",
        row["resident_kb"])


def usual(siege, report, name, family):
    took = [siege.pair(family, ROOM) for _ in range(3)]
    wrong = None if all(t is not None and t <= USUAL_MAX_S for t in took) else "more than %g s" % USUAL_MAX_S
    report.add(name, "%s s" % took, wrong, took_s=took)


def wait_until_drained(siege, report, name):
    began = time.monotonic()
    used = siege.server.used()
    while siege.server.used() and time.monotonic() < began + LEASE_S + 10:
        siege.lab.serve_until(lambda: False, time.monotonic() + 1)
    left = siege.server.used()
    report.add(name, "%d entries, gone after %.0f s" % (used, time.monotonic() - began), None if not left else "%d left" % left,
               used=used)


def run(siege, report, options):
    families = ("v4",) if options.short else ("v4", "v6")
    kinds = ("spoofed",) if options.short else ("spoofed", "real")
    aims = (ROOM,) if options.short else ("rooms", ROOM, *OPEN)
    for family in families:
        usual(siege, report, family + " before", family)
        for kind in kinds:
            wanted = [(aim, times) for aim in aims for times in (1, 3)
                      if (kind, aim) != ("spoofed", "places") and options.floods in "%s %s %s x%d" % (family, kind, aim, times)]
            if not wanted:
                continue
            capacity = siege.capacity(kind, family)
            print("     %s %s: the server answers %d a second" % (family, kind, capacity), flush=True)
            for aim, times in wanted:
                row = siege.under_flood(kind, family, aim, times * capacity, options.seconds)
                wrong = judge(row["pairs"])
                if row["resident_kb"] > RESIDENT_MAX_KB:
                    wrong = "more memory than all of its tables"
                report.add("%s %s %s x%d" % (family, kind, aim, times), tell_flood(row), wrong, capacity=round(capacity), **row)
        if not options.short:
            wait_until_drained(siege, report, family + " drained")
        usual(siege, report, family + " after", family)
    if not options.short and not options.floods:
        before = siege.server.resident_kb()
        siege.under_flood("real", families[-1], "rooms", 3 * capacity, options.seconds)
        growth = siege.server.resident_kb() - before
        report.add("once more", "%d kB, and %d kB more" % (before, growth), None if growth <= GROWTH_MAX_KB else "it grows",
                   resident_kb=before, growth_kb=growth)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--floods", default="")
    parser.add_argument("--json")
    parser.add_argument("--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__)
        return 0
    if os.getpid() != 1:
        os.execv(NETNS + "/private.sh", ["private.sh", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    options.seconds = options.seconds or (3 if options.short else 20)
    machine, report = Machine(alone=not options.short), Report()
    siege = Siege(machine, steps=1 if options.short else 5)
    try:
        run(siege, report, options)
    except Failure as failure:
        report.add("siege", "", str(failure))
        siege.lab.say_what_failed(sys.stdout)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"alone": machine.alone, "rows": report.rows}, file, indent=1)
    print("%d passed, %d failed" % (report.passed, report.failed))
    return 1 if report.failed or not report.rows else 0


if __name__ == "__main__":
    sys.exit(main())
