"""The figures, each beside a reference that was measured at the same time. A function for each subject: it is given a
Bench and yields rows.

A row: "figure", "unit", "rounds" (ours, one value a round), "reference" (its name), "reference_rounds", "note"."""
import os
import time

import client
from programs import Missing, call, coturn, server

RELAY_CASES = [(size, pairs) for size in (200, 1200) for pairs in (1, 100)]
BATCH = 64  # datagrams in one call of the batched forwarder: as many as p2p-server takes
PEOPLE = 15000  # who come in one round: they fit the server's table of 65,536, and their introductions one of 16,448
WAITING = [1000, 100000, 1000000]
WAITING_SHORT = [1000, 5000]
LOADS = (10, 80)  # % of what the relay took


class Bench:
    def __init__(self, build, seconds, rounds, short, cores):
        self.build, self.seconds, self.rounds, self.short = build, seconds, rounds, short
        self.server_core, self.load_core = cores
        self.relayed = None  # datagrams/s, for the latency
        self.missing = []

    def program(self, name):
        return os.path.join(self.build, "bench", name)

    def slice(self):
        return "%.4f" % (self.seconds / self.rounds)

    def load(self, name, *arguments):
        return call([self.program(name)] + [str(a) for a in arguments], self.load_core)

    # Who is loaded: context managers that give a port and a process id.
    def p2p(self):
        # Its limits, which a single source at full speed is what they are for, are not what is measured.
        unlimited = ["--%s=0" % name for name in ("relay-rate", "relay-total", "register-rate", "control-rate")]
        return server([os.path.join(self.build, "p2p-server"), "--listen", "127.0.0.1:0", "--log-level", "error"] +
                      unlimited, self.server_core)

    def forward(self, batch, *answer):
        return server([self.program("forward"), str(batch)] + [str(a) for a in answer], self.server_core)

    def turn(self):
        return coturn(self.server_core)


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def per_cpu(result, what):
    """What was done for each second of the server's CPU time. A short round may end before the clock has moved."""
    return result[what] / max(result["cpu_seconds"], 1e-6)


def say_raw(name, results, what):
    """By the clock. What slept could have done more: the load was too small for it, or it waited for something else."""
    text = "%s %.0fk/s, CPU %.0f %%" % (name, median([r[what] / r["seconds"] for r in results]) / 1e3,
                                        100 * median([r["cpu_seconds"] / r["seconds"] for r in results]))
    asleep = median([r["asleep"] for r in results])
    return text + (", asleep %.0f %%" % (100 * asleep) if asleep > 0.1 else "")


# ---- the relay ----

def relay_round(b, contestants, size, pairs, results):
    for name, (kind, start) in list(contestants.items()):
        try:
            with start() as (port, pid):
                results[name].append(b.load("relay_load", kind, port, pid, pairs, size, b.slice()))
        except Missing as why:
            b.missing.append("relay, against %s: %s" % (name, why))
            del contestants[name], results[name]


def relay(b):
    contestants = {
        "p2p-server": ("p2p", b.p2p),
        "forwarder, batches of %d" % BATCH: ("bare", lambda: b.forward(BATCH)),
        "forwarder, one a call": ("bare", lambda: b.forward(1)),
        "coturn": ("turn", b.turn),
    }
    for size, pairs in RELAY_CASES[:1] if b.short else RELAY_CASES:
        results = {name: [] for name in contestants}
        for _ in range(b.rounds):
            relay_round(b, contestants, size, pairs, results)
        ours = results.pop("p2p-server")
        lost = sum(r["lost"] for r in ours)
        if (size, pairs) == RELAY_CASES[0]:
            b.relayed = median([r["datagrams"] / r["seconds"] for r in ours])
        for name, theirs in results.items():
            yield {"figure": "relay, %d bytes, %d pair%s" % (size, pairs, "s" if pairs > 1 else ""),
                   "unit": "datagrams per CPU second",
                   "rounds": [per_cpu(r, "datagrams") for r in ours], "reference": name,
                   "reference_rounds": [per_cpu(r, "datagrams") for r in theirs],
                   "note": "%s; %s%s" % (say_raw("ours", ours, "datagrams"), say_raw("reference", theirs, "datagrams"),
                                         "; %d lost" % lost if lost else "")}


def latency(b):
    if b.relayed is None:
        with b.p2p() as (port, pid):
            result = b.load("relay_load", "p2p", port, pid, 1, 200, b.slice())
        b.relayed = result["datagrams"] / result["seconds"]
    for load in LOADS:
        rate = max(1000, int(b.relayed * load / 100))
        ours, theirs = [], []
        for _ in range(b.rounds):
            with b.p2p() as (port, pid):
                ours.append(b.load("relay_load", "p2p", port, pid, 1, 200, b.slice(), rate))
            with b.forward(BATCH) as (port, pid):
                theirs.append(b.load("relay_load", "bare", port, pid, 1, 200, b.slice(), rate))
        sent = median([r["sent"] / r["seconds"] for r in ours])
        for which in ("p50", "p99"):
            yield {"figure": "way through the relay at %d %% load, %s" % (load, which), "unit": "µs",
                   "rounds": [r[which + "_us"] for r in ours], "reference": "forwarder, batches of %d" % BATCH,
                   "reference_rounds": [r[which + "_us"] for r in theirs],
                   "note": "at %.0fk/s of 200 bytes, wanted %.0fk/s" % (sent / 1e3, rate / 1e3)}


# ---- registrations ----

MODES = [("register", "registrations"), ("refresh", "refreshes"), ("introduce", "introductions")]


def register(b):
    people = 2000 if b.short else PEOPLE
    results = {mode: [] for mode, _ in MODES}
    echoes = []
    for _ in range(b.rounds):
        for mode, _ in MODES:
            with b.p2p() as (port, pid):
                results[mode].append(b.load("register_load", mode, port, pid, people, b.slice()))
        with b.forward(BATCH, 144) as (port, pid):
            echoes.append(b.load("register_load", "echo", port, pid, people, b.slice()))
    for mode, name in MODES:
        ours = results[mode]
        yield {"figure": name, "unit": "per CPU second", "rounds": [per_cpu(r, "served") for r in ours],
               "reference": "echo, 1,200 bytes there, 144 back", "reference_rounds": [per_cpu(r, "served") for r in echoes],
               "note": "%s; %s" % (say_raw("ours", ours, "served"), say_raw("reference", echoes, "served"))}
    yield {"figure": "registrations, by datagram answered", "unit": "per CPU second",
           "rounds": [2 * per_cpu(r, "served") for r in results["register"]],
           "reference": "echo, 1,200 bytes there, 144 back", "reference_rounds": [per_cpu(r, "served") for r in echoes],
           "note": "each registration is two: Register and the echo of its cookie"}


# ---- people who wait ----

def memory(b):
    sizes = WAITING_SHORT if b.short else WAITING
    results = {size: [] for size in sizes}
    for i in range(b.rounds):
        for size in sizes:
            if i == 0 or size < WAITING[-1]:  # a million takes half a minute: once
                results[size].append(call([b.program("registry"), str(size)], b.server_core))
    first = results[sizes[0]]
    for size in sizes:
        ours = results[size]
        yield {"figure": "memory of each of %s who wait" % format(size, ","), "unit": "resident bytes",
               "rounds": [r["each_bytes"] for r in ours], "reference": "each of %s" % format(sizes[0], ","),
               "reference_rounds": [r["each_bytes"] for r in first],
               "note": "%.1f MiB in all" % (ours[0]["resident_bytes"] / 2 ** 20)}
        yield {"figure": "time of one more of %s who wait" % format(size, ","), "unit": "µs of CPU time",
               "rounds": [r["each_us"] for r in ours], "reference": "of %s" % format(sizes[0], ","),
               "reference_rounds": [r["each_us"] for r in first], "note": "both datagrams of a registration"}


# ---- frames ----

CODEC = [("register", "Register, 8 shares, 1,200 bytes"), ("relay", "Relay, 1,194 bytes"), ("message", "Message, 1,000 bytes")]


def frames(b):
    ns = call([b.program("frames"), str(b.rounds), "%.4f" % (b.seconds / 4)], b.server_core)
    for name, text in CODEC:
        for verb in ("encode", "decode"):
            yield {"figure": "%s %s" % (verb, text), "unit": "ns", "rounds": ns["%s_%s" % (verb, name)],
                   "reference": "memcpy", "reference_rounds": ns["copy_%s" % name], "note": ""}
    for size in (200, 1100):
        for verb in ("seal", "open"):
            name = "%s_%d" % (verb, size)
            yield {"figure": "%s %d bytes" % (verb, size), "unit": "ns", "rounds": ns[name],
                   "reference": "libsodium's ChaCha20-Poly1305", "reference_rounds": ns["bare_" + name], "note": ""}


# ---- the client ----

class Idle:
    """Two clients with a direct path and a bare program, from now on until `rows`: what they do meanwhile does not
    disturb, and needs a minute to be seen."""

    def __init__(self, b):
        self.seconds = 1.0 if b.short else 30 * b.seconds
        self.pair = client.Pair(b.build, b.program("idle"))
        self.began = time.monotonic()

    def rows(self):
        self.pair.watch(max(0.0, self.began + self.seconds - time.monotonic()))
        minutes = (time.monotonic() - self.began) / 60
        ours, bare = self.pair.used()
        note = "over %.0f s; two clients, each a round" % (minutes * 60)
        yield {"figure": "idle client: wake-ups", "unit": "per minute", "rounds": [u["wakeups"] / minutes for u in ours],
               "reference": "bare program in libevent's loop", "reference_rounds": [bare["wakeups"] / minutes], "note": note}
        yield {"figure": "idle client: memory", "unit": "resident KiB", "rounds": [u["resident_kib"] for u in ours],
               "reference": "bare program, same libraries", "reference_rounds": [bare["resident_kib"]], "note": note}

    def end(self):
        self.pair.end()
