#!/usr/bin/env python3
"""The simulator's kinds of NAT, asked by the testbed's probe. usage: test_kinds.py [NAME]...

A kind that the testbed has too must be what the head of testbed/netns/kinds/NAME.sh says, word for word, as there the
kernel's is (make e2e, "probe/NAME"): so model and kernel are the same, as far as the probe can see. The others must be
what their row here says. And what is hoped for between two is the same in the simulator and in the testbed.
"""
import itertools
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "testbed", "netns"))

import cases
import expect
import probe as questions

NATPROBE = os.path.join(os.environ.get("P2P_BUILD", os.path.join(ROOT, "build")), "tests", "sim", "natprobe")
SERVERS = ["198.51.100.11", "198.51.100.12"]
EVERYWHERE = list(itertools.product((0, 1), (0, 1)))  # the server's sockets: (address, port)


# ---- what carries the questions: virtual time ----

class Socket:
    """As much of socket.socket as the probe uses."""

    def __init__(self, model, *where):
        self.model, self.inbox, self.timeout_s = model, [], None
        _, number, address, port = model.order("open", *where)
        self.number, self.address = int(number), (address, int(port))
        model.sockets[self.number] = self

    def getsockname(self):
        return self.address

    def settimeout(self, seconds):
        self.timeout_s = seconds

    def setblocking(self, blocking):
        assert not blocking
        self.timeout_s = 0

    def sendto(self, data, to):
        self.model.order("send", self.number, *to, data.hex())

    def recvfrom(self, _size):
        if not self.inbox and self.timeout_s == 0:
            raise BlockingIOError
        if not self.inbox and not self.model.run(self.timeout_s, lambda: self.inbox):
            raise TimeoutError
        return self.inbox.pop(0)

    def recv(self, size):
        return self.recvfrom(size)[0]


class Model:
    """What probe.Internet is to the real one. The server's half of the probe runs in here, too."""

    def __init__(self, kind, seed=1):
        self.child = subprocess.Popen([NATPROBE, kind, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True)
        self.now_us, self.sockets = 0, {}
        self.servers = {(i, k): Socket(self, "server", SERVERS[i], questions.PORTS[k]) for i, k in EVERYWHERE}

    def order(self, *words):
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().split()

    def run(self, seconds, done=lambda: False):
        """Until done(), and no longer than so long; returns done()."""
        end_us = self.now_us + round(seconds * 1e6)
        while not done() and self.now_us < end_us:
            now, what, *datagram = self.order("wait", end_us - self.now_us)
            self.now_us = int(now)
            if what == "got":
                self.take(*datagram)
        return done()

    def take(self, number, address, port, data):
        s = self.sockets[int(number)]
        datagram = bytes.fromhex(data), (address, int(port))
        if s in self.servers.values():
            questions.answer(self.servers, s, *datagram)
        else:
            s.inbox.append(datagram)

    sleep = run

    def socket(self):
        return Socket(self, "ann")

    def local_address(self, _server):
        return self.socket().getsockname()[0]

    def probe(self):
        return questions.Probe(SERVERS, self)

    def end(self):
        self.child.stdin.close()
        self.child.stdout.close()
        return self.child.wait()


# ---- kinds that the testbed has, too ----

def find_fault_of_kernel_kind(kind):
    case = cases.Probe(kind)
    model = Model(kind)
    found = questions.ask(model.probe(), [word for word in ("timeout", "sessions") if word in case.said])
    return case.find_fault({"ann": found}) or (model.end() and "natprobe failed") or None


# ---- the others: what the probe says, and questions of their own ----

RANGE = range(32768, 61000)
ALL_PORTS = range(1024, 65536)


def of_one_socket(probe, count=4):
    """Where one socket is seen, by one destination after the other, and its own port."""
    s = probe.socket()
    return s.getsockname()[1], [probe.seen(s, *where) for where in EVERYWHERE[:count]]


def ports_of_one_socket(probe):
    own, seen = of_one_socket(probe)
    return own, [port for _, port in seen]


def steps(probe):
    """Between new flows, one right after the other: of new sockets and of one socket."""
    found = [probe.seen(probe.socket())[1] for _ in range(8)] + ports_of_one_socket(probe)[1]
    return {b - a for a, b in zip(found, found[1:])}


def addresses(probe, sockets=20):
    return {probe.seen(probe.socket())[0] for _ in range(sockets)}


def goes_up_by_one(probe):
    return steps(probe) == {1}


def goes_up_by_two(probe):
    return steps(probe) == {2}


def goes_down_by_one(probe):
    return steps(probe) == {-1}


def stays_in_range(probe):
    """A counter of all ports may happen to stand in there, but not with every seed."""
    return all(probe.seen(probe.socket())[1] in RANGE for _ in range(100))


def foreign_flows_come(probe):
    """5 a second: 1,000 in 200 s, here within five standard deviations; one or two are our own."""
    before = ports_of_one_socket(probe)[1][3]
    probe.internet.sleep(200)
    moved = (ports_of_one_socket(probe)[1][1] - before) % len(ALL_PORTS)
    return 1000 - 158 <= moved - 2 and moved - 1 <= 1000 + 158


def keeps_first_and_counts_up(probe):
    own, seen = ports_of_one_socket(probe)
    return seen == [own, own + 1, own + 2, own + 3]


def keeps_first_and_shares_a_counter(probe):
    own, seen = ports_of_one_socket(probe)
    other, seen_other = ports_of_one_socket(probe)
    counted = seen[1:] + seen_other[1:]
    return (seen[0], seen_other[0]) == (own, other) and counted == list(range(counted[0], counted[0] + 6))


def keeps_first(probe):
    own, seen = ports_of_one_socket(probe)
    return seen[0] == own != seen[1]


def has_one_address(probe):
    return len(addresses(probe)) == 1


def has_four_addresses(probe):
    return len(addresses(probe)) == 4


def changes_address(probe):
    """For each destination of one socket."""
    return len({address for _ in range(10) for address, _ in of_one_socket(probe)[1]}) == 4


EI, AD, APD = "endpoint-independent", "address-dependent", "address-and-port-dependent"
OTHERS = {  # mapping, filtering, questions
    "shifting": (EI, APD, []),
    "address-dependent": (AD, AD, []),
    "sequential-2": (APD, APD, [goes_up_by_two]),
    "sequential-down": (APD, APD, [goes_down_by_one]),
    "sequential-range": (APD, APD, [goes_up_by_one, stays_in_range]),
    "sequential-busy": (APD, APD, [foreign_flows_come]),
    "keeps-first": (APD, APD, [keeps_first_and_shares_a_counter]),
    "keeps-first-own": (APD, APD, [keeps_first_and_counts_up]),
    "keeps-first-busy": (APD, APD, [keeps_first, foreign_flows_come]),
    "symmetric-range": (APD, APD, [stays_in_range]),
    "pool-paired": (APD, APD, [goes_up_by_one, has_one_address]),
    "pool-arbitrary": (EI, AD, [has_four_addresses]),
    "symmetric-pool": (APD, APD, [changes_address]),
}
SEEDS = 5  # of each


def find_fault_of_other_kind(kind):
    mapping, filtering, asked = OTHERS[kind]
    for question in asked:
        right = 0
        for seed in range(1, SEEDS + 1):
            model = Model(kind, seed)
            right += question(model.probe())
            model.end()
        if right < SEEDS:
            return "%s: true in %d of %d" % (question.__name__, right, SEEDS)
    model = Model(kind)
    found = questions.ask(model.probe(), [])
    model.end()
    if (found["mapping"], found["filtering"]) != (mapping, filtering):
        return "mapping %(mapping)s, filtering %(filtering)s" % found
    return None


# ---- what is hoped for ----

def find_fault_of_names(kernel_kinds, model_kinds):
    missing = set(kernel_kinds) - set(model_kinds)
    unasked = set(model_kinds) - set(kernel_kinds) - set(OTHERS)
    return " ".join(sorted(missing | unasked)) or None


def find_fault_of_hope(kernel_kinds):
    means = {None: "checks", "impossible": "relay"}
    said = dict(line.rsplit(" ", 1) for line in ask_natprobe("--hope"))
    wrong = []
    for a, b in itertools.product(kernel_kinds, repeat=2):
        needed = expect.need([a], [b])
        here, there = said.get("%s %s" % (a, b)), means.get(needed, needed)
        if here != there:
            wrong.append("%s and %s: here %s, there %s" % (a, b, here, there))
    return "; ".join(wrong) or None


def ask_natprobe(option):
    return subprocess.run([NATPROBE, option], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def main():
    kernel_kinds, model_kinds = expect.kinds(), ask_natprobe("--kinds")
    checks = {"names": lambda: find_fault_of_names(kernel_kinds, model_kinds),
              "hope": lambda: find_fault_of_hope(kernel_kinds)}
    for kind in model_kinds:
        find_fault = find_fault_of_kernel_kind if kind in kernel_kinds else find_fault_of_other_kind
        checks[kind] = lambda find_fault=find_fault, kind=kind: find_fault(kind)
    wanted = [name for name in checks if name in sys.argv[1:] or not sys.argv[1:]]
    failed = 0
    for name in wanted:
        fault = checks[name]()
        failed += bool(fault)
        print("%-4s %s" % ("FAIL" if fault else "ok", name), *filter(None, [fault]), flush=True)
        if fault:
            print("     to repeat: tests/sim/test_kinds.py " + name)
    print("%d passed, %d failed" % (len(wanted) - failed, failed))
    return 1 if failed or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
