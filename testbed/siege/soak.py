#!/usr/bin/env python3
"""People come, chat and vanish, for a long time. usage: soak.py [--seconds S] [--people N] [--seed N] [--json FILE]

They are in ten rooms; a third takes only the relay. Who goes says so, or is killed with -9. One stays for all of the time.
At the end the ledger has to be right, and the server and the one who stayed must not have grown since the first quarter:
each sets one block of fixed size aside at its start, whose pages are touched by and by, and it is what lies outside of it
that must stay as it is. Programs are taken from P2P_BUILD. The last line is "N passed, N failed".
"""
import argparse
import random
import statistics
import sys
import time

import people
from lab import Failure, Lab
from people import BUILD, Ledger, Person, Server

ROOMS = 10
LIFE_S = 40.0       # on average; a shorter run has shorter lives, so that each place changes hands a few times
SAYS_EVERY_S = 0.7  # each, on average
STEP_S = 0.05
SAMPLES = 200
RELAY_PART, KILLED_PART = 1 / 3, 1 / 2
# After the first quarter, outside the block. Of half an hour, 1,000 people come in the rest, and the one who stays reads
# some 8,000 messages: a leak of 65 bytes for each person, or of 8 for each message, would be more.
GROWTH_MAX_KB = 64
SETTLE_S = 30.0


class Sample:
    """What a program takes, over time."""

    def __init__(self, name, program):
        self.name, self.program = name, program
        self.rows = []

    def take(self, at):
        block, outside_kb = people.memory(self.program)
        self.rows.append((at, outside_kb, block, people.open_files(self.program)))

    def result(self):
        rows = self.rows[len(self.rows) // 4:]
        slope = statistics.linear_regression([r[0] for r in rows], [r[1] for r in rows]).slope
        return {"outside_kb": [r[1] for r in self.rows[::10]],
                "growth_kb": round(slope * (rows[-1][0] - rows[0][0]), 1),
                "block_kb": sorted({r[2].size_kb for r in self.rows}), "inside_kb": [r[2].rss_kb for r in self.rows[::10]],
                "inside_max_kb": max(r[2].rss_kb for r in self.rows),
                "files": sorted({r[3] for r in rows})}


class Soak:
    def __init__(self, seconds, count, seed):
        self.seconds, self.count, self.dice = seconds, count, random.Random(seed)
        self.life_s = min(LIFE_S, seconds / 3)
        self.lab, self.ledger = Lab(BUILD, time_max_s=seconds + 300), Ledger()
        self.server = Server(self.lab)
        self.number = self.killed = self.quit = self.direct = self.relayed = 0
        self.present = []
        self.leaving = []
        self.oldest = self.come("--relay", "auto")
        self.present.remove(self.oldest)
        self.lab.wait(lambda: any(e["event"] == "registered" for e in self.oldest.events), "the first is there", SETTLE_S)

    def come(self, *options, room=None):
        self.number += 1
        if not options and self.dice.random() < RELAY_PART:
            options = ("--relay", "only")
        person = Person(self.lab, self.ledger, "p%d" % self.number, room or 1 + self.number % ROOMS, *options)
        person.until = time.monotonic() + self.dice.expovariate(1 / self.life_s)
        self.present.append(person)
        return person

    def go(self, person):
        self.present.remove(person)
        self.note_paths(person)
        person.may_end = True
        if self.dice.random() < KILLED_PART:
            self.killed += 1
            person.child.kill()
        else:
            self.quit += 1
            person.tell(command="quit")
        self.leaving.append(person)

    def note_paths(self, person):
        for path in person.paths.values():
            self.direct += path != "relay"
            self.relayed += path == "relay"

    def forget_gone(self):
        """A child's pipes are closed when the last of its output has been read."""
        for person in [p for p in self.leaving if p.child.returncode is not None]:
            self.leaving.remove(person)
            self.lab.programs.remove(person)

    def step(self, until):
        now = time.monotonic()
        for person in [p for p in self.present if p.until < now]:
            self.go(person)
        if len(self.present) < self.count:
            self.come()
        for person in [self.oldest, *self.present]:
            if self.dice.random() < STEP_S / SAYS_EVERY_S:
                person.say()
        self.lab.serve_until(lambda: False, min(until, now + STEP_S))
        self.lab.wait(lambda: True, "nobody has ended who should not")
        self.forget_gone()

    def run(self):
        began = time.monotonic()
        until = began + self.seconds
        samples = [Sample("server", self.server), Sample("client", self.oldest)]
        next_sample = began
        while time.monotonic() < until:
            self.step(until)
            if time.monotonic() >= next_sample:
                next_sample += self.seconds / SAMPLES
                for sample in samples:
                    sample.take(time.monotonic() - began)
        result = {sample.name: sample.result() for sample in samples}
        self.end()
        return result

    def end(self):
        everybody = [self.oldest, *self.present]
        self.lab.wait(lambda: not self.ledger.owed_among(everybody), "all is delivered among those who are here", SETTLE_S)
        for person in everybody:
            self.note_paths(person)
            person.may_end = True
            person.tell(command="quit")
        everybody += self.leaving
        self.lab.wait(lambda: all(p.child.returncode is not None for p in everybody), "all have left", SETTLE_S)
        self.lab.serve_until(lambda: False, time.monotonic() + STEP_S)  # the rest of their output


def problems(soak, result):
    yield from soak.ledger.audit()
    if soak.server.child.poll() is not None:
        yield "the server has ended"
    for name in ("server", "client"):
        took = result[name]
        if took["growth_kb"] > GROWTH_MAX_KB:
            yield "the %s grows outside its block: %s kB" % (name, took["growth_kb"])
        if len(took["block_kb"]) != 1 or took["inside_max_kb"] > took["block_kb"][0]:
            yield "the %s's block is not one of fixed size: %s kB, %s of them touched" % (
                name, took["block_kb"], took["inside_max_kb"])
    if len(result["server"]["files"]) != 1:
        yield "the server's open files: %s" % result["server"]["files"]
    for what in ("said", "receipts", "killed", "quit", "direct", "relayed"):
        if not result[what]:
            yield "the run shows nothing: no " + what


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json")
    parser.add_argument("--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__)
        return 0
    people.enter_private()
    soak = Soak(options.seconds, options.people, options.seed)
    found = []
    result = {}
    try:
        result = soak.run()
        result.update(people=soak.number, killed=soak.killed, quit=soak.quit, direct=soak.direct, relayed=soak.relayed,
                      said=soak.ledger.said, read=soak.ledger.read, receipts=len(soak.ledger.receipts))
        found = list(problems(soak, result))
    except Failure as failure:
        found = [str(failure), *soak.ledger.problems]
        soak.lab.say_what_failed()
    return people.conclude(result, found, options.json)


if __name__ == "__main__":
    sys.exit(main())
