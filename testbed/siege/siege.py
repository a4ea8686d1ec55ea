#!/usr/bin/env python3
"""Two people meet while their server is flooded. usage: siege.py [OPTION]...

  --seconds S     for each flood (default 20)
  --pairs N       that meet one after the other during each (default: as many as there is time for, at least 1)
  --floods WORD   only those whose name contains the word
  --short         two floods of few seconds, for make test
  --json FILE     the figures

First it is measured how many Registers from forged addresses a second the server answers, 95 % of them at least; then
floods of as many and of three times as many run while pairs come. README.md says more. The programs are taken from
P2P_BUILD (default: build). The last line is "N passed, N failed".
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
DELAYS_MS = {"server": 0, "a": 10, "b": 10}
ANSWERED_MIN = 0.95
WITHIN_S = {0: 3.0, 1: 3.0, 3: 15.0}  # by how many times the capacity
RATE_FIRST = 20000
RATE_STEPS = 5  # of halving what is not known
PROBE_S = 1
ROOM = 42


class Server(Program):
    """On a processor of its own, if there are two: the flood is to take its time, not that of who measures."""

    def __init__(self, lab, addresses):
        self.own = ["taskset", "-c", "1"] if os.cpu_count() > 1 else []
        where = [word for address in addresses for word in ("--listen", address)]
        super().__init__(lab, "server", [*self.own, lab.build + "/p2p-server", *where])
        lab.wait(lambda: "ready" in self.lines, "the server is ready")

    def resident_kb(self):
        with open("/proc/%d/status" % self.child.pid) as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


class Flood(Program):
    def __init__(self, lab, kind, family, aim, rate, seconds):
        super().__init__(lab, "attacker", [lab.build + "/flood", kind, "siege", SERVER[family], str(aim), str(int(rate)),
                                           str(seconds)])
        self.may_end = True
        lab.wait(lambda: self.lines, "the flood has begun")

    def result(self):
        self.lab.wait(lambda: len(self.lines) > 1, "the flood ends", within_s=3600)
        return json.loads(self.lines[1])


class Siege:
    def __init__(self):
        subprocess.run([NETNS + "/internet.sh", "homes-v6", "linux", "linux"], check=True)
        self.lab = Lab(BUILD, time_max_s=3600)
        self.plug_attacker()
        Wan(self.lab, DELAYS_MS, {})
        self.server = Server(self.lab, [*SERVER.values(), "203.0.113.2:41414"])
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

    def answers(self):
        link = json.loads(self.lab.in_host("attacker", "ip", "-s", "-j", "link", "show", "siege"))[0]
        return link["stats64"]["rx"]["packets"]

    def full_buffers(self):
        """Datagrams that were dropped since the server's sockets were full."""
        text = self.lab.in_host("server", "cat", "/proc/net/snmp", "/proc/net/snmp6")
        names, values = re.findall(r"^Udp: (.*)$", text, re.M)
        v4 = dict(zip(names.split(), map(int, values.split())))["RcvbufErrors"]
        return v4 + int(re.search(r"^Udp6RcvbufErrors\s+(\d+)", text, re.M).group(1))

    # ---- how much it can take ----

    def answered(self, family, rate, seconds=PROBE_S):
        """(rate that was sent, part that was answered)"""
        before = self.answers()
        told = Flood(self.lab, "spoofed", family, "rooms", rate, seconds).result()
        return told["sent"] / told["seconds"], (self.answers() - before) / told["sent"]

    def capacity(self, family):
        low, high = 0, RATE_FIRST
        while True:
            sent, part = self.answered(family, high)
            if part < ANSWERED_MIN:
                break
            if sent < 0.9 * high:
                raise Failure("this machine cannot send more than %d a second, and all are answered" % sent)
            low, high = sent, 2 * high
        high = min(high, sent)
        for _ in range(RATE_STEPS):
            middle = (low + high) / 2
            sent, part = self.answered(family, middle)
            low, high = (sent, high) if part >= ANSWERED_MIN else (low, sent)
        return low

    # ---- people ----

    def pair(self, family, keyword, within_s):
        """Seconds until both have read what the other had typed."""
        self.lab.keyword, self.lab.server_name = keyword, SERVER[family]
        began = time.monotonic()
        people = [Client(self.lab, name, "typed by " + name) for name in ("ann", "bob")]
        self.pairs += 1
        met = self.lab.serve_until(lambda: all(p.texts() for p in people), began + within_s)
        took = time.monotonic() - began if met else None
        for p in people:
            p.kill()
        return took, people


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    if os.getpid() != 1:
        os.execv(NETNS + "/private.sh", ["private.sh", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    if os.cpu_count() > 1:
        os.sched_setaffinity(0, {0})
    s = Siege()
    for family in ("v4", "v6"):
        print("alone", family, s.pair(family, "%d-crab-lunar-toast" % ROOM, 10)[0])
        print(family, s.answered(family, 1000000), flush=True)
        cap = s.capacity(family)
        print("capacity", family, cap, s.server.resident_kb(), flush=True)
        for aim in ("rooms", ROOM, "open"):
          for times in (1, 3):
            e0=s.full_buffers(); a0=s.answers()
            flood = Flood(s.lab, "spoofed", family, aim, times * cap, options.seconds)
            s.lab.serve_until(lambda: False, time.monotonic() + 0.5)
            for n in range(3):
                took, people = s.pair(family, "42-crab-lunar-toast" if aim!="open" else "foobarbaz%d" % s.pairs, 20)
                print(aim, times, took, [ [e["event"] for e in p.events] for p in people] if took is None else "", s.server.resident_kb(), flush=True)
            r = flood.result()
            print(r, s.full_buffers()-e0, s.answers()-a0, s.server.resident_kb(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
