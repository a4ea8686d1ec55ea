#!/usr/bin/env python3
"""The server is killed with -9 under people who chat, and comes back. usage: restart.py [OPTION]...

  --rooms N    of two people each (default 30); a quarter of the rooms take only the relay
  --away S     seconds between its death and its return (default 5)
  --json FILE  the figures

All must be known to the new server within 20 s, not all at once, and no message may be lost. Who is known is what the
server's own datagrams say, seen on the wire. Programs are taken from P2P_BUILD. The last line is "N passed, N failed".
"""
import argparse
import random
import socket
import struct
import sys
import time

import people
from lab import Failure, Lab
from people import BUILD, SERVER, Ledger, Person, Server

BACK_S = 20.0
# Of them in any one second. A third has missed a refresh in 5 s and asks every half second, and who relays comes when it
# is refused: 40 to 42 % were seen, the simulator (tests/sim/test_herd) has 45 to 50 %.
PART_MAX = 0.6
SAYS_EVERY_S = 0.7
STEP_S = 0.02
CHAT_S = 5.0    # before, and after all are known again
MEET_S = 30.0
SETTLE_S = 60.0
ETH_P_IP = 0x0800 # what arrives only: each datagram once
UDP = 17
PROTOCOL_WORD = bytes.fromhex("0d50325031") # the first field of every frame
REGISTER, REGISTERED = 0x12, 0x1a           # the key of the second: body 2 or 3, length-delimited
PORT = int(SERVER.rsplit(":", 1)[1])


class Wire:
    """What goes over the loopback: who registers and who is told that it is registered, by the client's port."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self.socket.bind(("lo", ETH_P_IP))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.setblocking(False)
        self.forget()

    def forget(self):
        self.known = {}     # port: when first
        self.registers = [] # when

    def listen(self):
        while True:
            try:
                data = self.socket.recv(64)
            except BlockingIOError:
                return
            if data[9] != UDP or data[28:33] != PROTOCOL_WORD:
                continue
            source, to = struct.unpack_from("!HH", data, 20)
            if to == PORT and data[33] == REGISTER:
                self.registers.append(time.monotonic())
            if source == PORT and data[33] == REGISTERED:
                self.known.setdefault(to, time.monotonic())

    def lost(self):
        stats = self.socket.getsockopt(263, 6, 8)  # SOL_PACKET, PACKET_STATISTICS: packets, drops
        return struct.unpack("II", stats)[1]


def histogram(times, began):
    counts = {}
    for t in times:
        counts[int(t - began)] = counts.get(int(t - began), 0) + 1
    return [counts.get(s, 0) for s in range(max(counts, default=-1) + 1)]


class Restart:
    def __init__(self, rooms):
        self.lab, self.ledger, self.dice = Lab(BUILD, time_max_s=600), Ledger(), random.Random(1)
        self.wire = Wire()
        self.server = Server(self.lab)
        self.everybody = [Person(self.lab, self.ledger, "p%d" % n, 1 + n // 2,
                                 *(() if n // 2 % 4 else ("--relay", "only"))) for n in range(2 * rooms)]

    def chat(self, done, until):
        """Whether done() in time."""
        while not done() and time.monotonic() < until:
            for person in self.everybody:
                if self.dice.random() < STEP_S / SAYS_EVERY_S:
                    person.say()
            self.lab.serve_until(lambda: False, time.monotonic() + STEP_S)
            self.wire.listen()
        return done()

    def run(self, away_s):
        count = len(self.everybody)
        self.lab.wait(lambda: all(p.known for p in self.everybody), "all have met", MEET_S)
        self.chat(lambda: False, time.monotonic() + CHAT_S)
        ports = set(self.wire.known)
        if len(ports) != count:
            raise Failure("%d people, but %d are registered" % (count, len(ports)))
        self.server.kill()
        self.chat(lambda: False, time.monotonic() + away_s)
        self.wire.forget()
        began = time.monotonic()
        self.server = Server(self.lab)
        all_back = self.chat(lambda: ports <= set(self.wire.known), began + BACK_S)
        back = [self.wire.known[p] for p in ports if p in self.wire.known]
        result = {"people": count, "away_s": away_s, "back": len(back), "back_s": round(max(back, default=0) - began, 2),
                  "known_per_s": histogram(back, began), "registers_per_s": histogram(self.wire.registers, began),
                  "busiest_part": round(max(histogram(back, began), default=0) / count, 3)}
        self.chat(lambda: False, time.monotonic() + CHAT_S)
        self.lab.wait(lambda: not self.ledger.owed, "all is delivered", SETTLE_S)
        result.update(said=self.ledger.said, read=self.ledger.read, receipts=len(self.ledger.receipts),
                      failed=len(self.ledger.failures), wire_lost=self.wire.lost(),
                      left=sum(len(p.all("peer-left")) for p in self.everybody))
        if not all_back:
            raise Failure("%d of %d are not known within %g s: %s" % (count - len(back), count, BACK_S, result))
        return result

    def problems(self, result):
        yield from self.ledger.audit()
        if result["busiest_part"] > PART_MAX:
            yield "too many in one second: %s" % result["known_per_s"]
        if not result["said"] == result["read"] == result["receipts"]:
            yield "a message is lost"
        if result["left"]:
            yield "somebody is said to have left"
        if result["wire_lost"]:
            yield "the wire was not seen whole"


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rooms", type=int, default=30)
    parser.add_argument("--away", type=float, default=5)
    parser.add_argument("--json")
    parser.add_argument("--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__)
        return 0
    people.enter_private()
    restart = Restart(options.rooms)
    result = {}
    try:
        result = restart.run(options.away)
        found = list(restart.problems(result))
    except Failure as failure:
        found = [str(failure), *restart.ledger.problems]
        restart.lab.say_what_failed()
    return people.conclude(result, found, options.json)


if __name__ == "__main__":
    sys.exit(main())
