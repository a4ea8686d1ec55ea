"""One cell of the matrix: two people in a small internet of their own. usage: cell.py BUILD SPEC     (inside private.sh)

SPEC is JSON: layout, a, b, carriers (kinds of NAT), story (a function of stories.py), expect ("direct", "relay", "inside":
a path that does not leave the home or the carrier, or "any"), delay_ms of each edge, wan (options of the program `wan`),
foreign (the homes, "a", "b" or "ab", with other people's traffic), seed. The last line of the output is the result as
JSON. Status 1: something was not as it must be, 75: not possible here.

The path is judged by what the wan counts while chat flows, and times are those of packets in the wan's trace; what the
clients say only tells which packet to look at.
"""
import json
import os
import subprocess
import sys
import time

import expect
import stories
from lab import ELSEWHERE, Client, Failure, Foreigners, Lab, Wan

HERE = os.path.dirname(os.path.abspath(__file__))

ROUND_MESSAGES = 8
ROUND_BYTES = 700
DIRECT_WITHIN_S = 10.0
CLASSIFIED_WITHIN_S = 10.0
REASON_WITHIN_S = 30.0 # what is tried before may take as long
RELAY_FOR_S = 6.0      # so long no direct path may come up where none is expected


def side_of(address):
    for prefix, side in (("198.51.100.", "a"), ("192.0.2.", "b"), (ELSEWHERE, "elsewhere"), ("203.0.113.", "server"),
                         ("2001:db8:a:", "a"), ("2001:db8:b:", "b"), ("2001:db8::", "server")):
        if address.startswith(prefix):
            return side
    return "hop"


class Cell:
    def __init__(self, build, spec):
        self.spec, self.here = spec, HERE
        status = subprocess.run([HERE + "/internet.sh", spec["layout"], spec["a"], spec["b"], *spec["carriers"]],
                                check=False).returncode
        if status:
            sys.exit(status)
        self.lab = Lab(build, time_max_s=spec["time_max_s"])
        # Where ann and bob are plugged into the wan.
        self.sides = ("a", "b") if spec["layout"] in ("homes", "homes-v6", "carriers") else ("a", "a")
        if spec["layout"] == "homes-v6":
            self.lab.use_v6()
        self.wan = None
        self.server = self.ann = self.bob = None
        self.round = 0
        self.direct_seen_at = None
        self.result = {}

    # ---- what everybody does ----

    def start_wan(self):
        self.wan = Wan(self.lab, self.spec["delay_ms"], self.spec["wan"])
        for i, side in enumerate(self.spec["foreign"]):
            Foreigners(self.lab, side, 2 * self.spec["seed"] + i)

    def meet(self, before_bob=lambda: None):
        """Ann waits, bob comes; both have typed something before."""
        self.server = self.lab.start_server()
        self.ann = Client(self.lab, "ann", "typed by ann")
        self.lab.wait(lambda: self.ann.all("registered"), "ann is registered")
        # She is waiting when she has nothing more to ask the server: which has her echo then, too.
        self.lab.wait(lambda: self.ann.all("nat"), "ann knows her NAT")
        before_bob()
        before = sum(p.waited_s() for p in self.lab.programs)
        self.bob = Client(self.lab, "bob", "typed by bob")
        self.lab.wait(lambda: self.ann.texts() and self.bob.texts(), "the first messages are read")
        self.result["waited_ms"] = round(1000 * (sum(p.waited_s() for p in self.lab.programs) - before), 1)

    def both(self):
        return self.ann, self.bob

    def side(self, client):
        return self.sides[0] if client is self.ann else self.sides[1]

    def become_direct(self, within_s=DIRECT_WITHIN_S):
        self.lab.wait(lambda: all(c.is_direct() for c in self.both()), "both say direct", within_s)

    def stay_relayed(self):
        if self.lab.serve_until(lambda: any(c.is_direct() for c in self.both()), time.monotonic() + RELAY_FOR_S):
            raise Failure("a direct path, where none is possible")

    def chat(self):
        """A round of messages both ways; nothing lost, twice or out of order. Returns where the bytes went."""
        self.round += 1
        texts = {c.name: [("%s %d.%d " % (c.name, self.round, i)).ljust(ROUND_BYTES, ".")
                          for i in range(ROUND_MESSAGES)] for c in self.both()}
        had = {c.name: len(c.texts()) for c in self.both()}
        before = self.wan.counts()
        for i in range(ROUND_MESSAGES):
            for c in self.both():
                c.tell(send=texts[c.name][i], id=100 * self.round + i)
        for c, other in ((self.ann, self.bob), (self.bob, self.ann)):
            self.lab.wait(lambda: len(c.texts()) - had[c.name] >= ROUND_MESSAGES, c.name + " has read the round")
            if c.texts()[had[c.name]:] != texts[other.name]:
                raise Failure("%s has not read what %s wrote" % (c.name, other.name))
            ids = {100 * self.round + i for i in range(ROUND_MESSAGES)}
            self.lab.wait(lambda: ids <= {e["id"] for e in c.all("delivered")}, c.name + "'s round is delivered")
        return self.path_of(before, self.wan.counts())

    def path_of(self, before, after):
        """Which way the round went: a way carries it if at least all of the text went there, and not if less than a
        part of the text of one direction did."""
        text = ROUND_MESSAGES * ROUND_BYTES
        arrived, v6 = {}, 0
        for ends, pair in after.items():
            way = tuple(side_of(end) for end in ends)
            new = pair["arrived_bytes"] - (before[ends]["arrived_bytes"] if ends in before else 0)
            arrived[way] = arrived.get(way, 0) + new
            v6 += new if way == self.sides and ":" in ends[0] else 0
        direct = [arrived.get(self.sides, 0), arrived.get(self.sides[::-1], 0)]
        server = [arrived.get(way, 0) for side in set(self.sides) for way in ((side, "server"), ("server", side))]
        self.result["bytes"] = {"text": 2 * text, "direct": sum(direct), "server": sum(server)}
        self.result["family"] = "v6" if v6 >= text else "v4"
        if min(direct) >= text and sum(server) < text / 2:
            return "direct"
        if sum(server) >= 2 * 2 * text and sum(direct) < text / 2:
            return "relay"
        if sum(server) < text / 2 and sum(direct) < text / 2:
            return "inside"
        return "mixed"

    def find_path(self):
        """Waits for what is expected, or long enough to know that it does not come."""
        expected = self.spec["expect"]
        if expected == "relay":
            self.stay_relayed()
        elif expected == "any":
            self.lab.serve_until(lambda: all(c.is_direct() for c in self.both()), time.monotonic() + DIRECT_WITHIN_S)
            expected = "direct" if all(c.is_direct() for c in self.both()) else "relay"
        else:
            self.become_direct()
        self.expect_path(expected)

    def expect_path(self, expected):
        path = self.chat()
        if path != expected:
            raise Failure("the chat goes %s: %s" % (path, json.dumps(self.result["bytes"])))
        self.result["path"] = path

    def expect_path_again(self, expected, within_s=60.0):
        """... after something has happened: round after round, until one goes that way."""
        until = time.monotonic() + within_s
        began = time.monotonic()
        while self.chat() != expected:
            if time.monotonic() > until:
                raise Failure("not %s again: %s" % (expected, json.dumps(self.result["bytes"])))
        self.result["again_s"] = round(time.monotonic() - began, 3)
        self.result["path"] = expected

    def end(self):
        if self.spec["foreign"]:
            self.result["foreign_flows"] = self.wan.to_nowhere()
        for c in self.both():
            c.may_end = True
            c.tell(command="quit")
        for c in self.both():
            self.lab.wait_exit(c)
            if c.child.returncode != 0:
                raise Failure("%s ended with status %d" % (c.name, c.child.returncode))

    # ---- times ----

    def learn_nats(self):
        def knows(client):
            nat = client.last("nat")
            return nat and "unknown" not in (nat["mapping"], nat["filtering"], nat["ports"])

        self.lab.wait(lambda: all(knows(c) for c in self.both()), "both know their NAT", CLASSIFIED_WITHIN_S)

    def learn_reasons(self):
        self.lab.wait(lambda: not any(expect.UNDECIDED in c.last("path")["reason"] for c in self.both()),
                      "both have a reason", REASON_WITHIN_S)

    def tell_times(self):
        """In ms from bob's first packet; and how many datagrams it took."""
        trace = self.wan.trace()
        observed = {}
        for c in self.both():
            address, port = c.all("registered")[0]["observed"].rsplit(":", 1)
            observed[c.name] = address.strip("[]"), int(port)
        began = min(p["sent"] for (src, dst), packets in trace.items() if side_of(dst) == "server"
                    for p in packets if (src, p["ports"][0]) == observed["bob"])

        def arrival(client, event, sides):
            """Of the packet that made the client say this. Its port is not asked for: a NAT may have changed it."""
            times = [p["arrived"] for (src, dst), packets in trace.items() for p in packets
                     if p["fate"] == "arrived" and side_of(dst) == self.side(client) and side_of(src) in sides
                     and p["arrived"] <= event["at"]]
            return max(times) if times else None

        def latest(events, sides):
            at = [arrival(c, event, sides) for c, event in zip(self.both(), events)]
            return None if None in at else max(at)

        def ms(at):
            return None if at is None else round(1000 * (at - began), 1)

        first = [c.all("message")[0] for c in self.both()]
        self.result["message_ms"] = ms(latest(first, ("server", "a", "b")))
        self.result["message_seen_ms"] = ms(max(e["at"] for e in first))
        direct = [next((e for e in c.all("path") if e["path"] in ("direct", "lan")), None) for c in self.both()]
        if None in direct:
            return
        seen = max(e["at"] for e in direct)
        direct_at = seen if self.result.get("path") == "inside" else latest(direct, ("a", "b"))
        self.result["direct_ms"], self.result["direct_seen_ms"] = ms(direct_at), ms(seen)
        self.direct_seen_at = seen
        until_then = [tuple(side_of(end) for end in ends) for ends, packets in trace.items() for p in packets
                      if direct_at and began <= p["sent"] <= direct_at]
        self.result["server_datagrams"] = sum("server" in way for way in until_then)
        self.result["peer_datagrams"] = sum({"a", "b"}.issuperset(way) for way in until_then)

    def tell_probes(self):
        """What went from home to home until both had said "direct", after which the chat goes there: in all, in the
        busiest second, and from how many ports. And what went there in all."""
        homes = {("a", "b"): "ann", ("b", "a"): "bob"}
        counts = self.wan.counts()
        for ends, packets in self.wan.trace().items():
            who = homes.get(tuple(side_of(end) for end in ends))
            if not who:
                continue
            probes = [p for p in packets if self.direct_seen_at is None or p["sent"] <= self.direct_seen_at]
            times = [p["sent"] for p in probes]
            busiest, first = 0, 0
            for last, at in enumerate(times):
                while times[first] < at - 1:
                    first += 1
                busiest = max(busiest, last - first + 1)
            self.result.setdefault(who, {})["to_home"] = {
                "probes": len(probes), "busiest_s": busiest, "ports": len({p["ports"][0] for p in probes}),
                **{k: counts[ends][k] for k in ("sent", "arrived", "expired")}}

    def tell_ends(self):
        for c in self.both():
            path, nat = c.last("path"), c.last("nat")
            self.result.setdefault(c.name, {}).update(
                path=path["path"], reason=path["reason"], address=path.get("address"),
                nat={k: nat[k] for k in ("mapping", "filtering", "ports")} if nat else None)

    # ---- the whole ----

    def run(self, story):
        """The story, and an end without complaints. Prints the result and does not come back."""
        failure = None
        try:
            story()
            self.end()
        except Failure as why:
            failure = str(why)
            self.lab.say_what_failed()
        self.result["failure"] = failure
        print(json.dumps(self.result), flush=True)
        # Nobody needs to be ended: we are the first process here, and the kernel ends the others after us.
        os._exit(1 if failure else 0)


def tell(cell):
    try:
        cell.start_wan()
        getattr(stories, cell.spec["story"])(cell)
        if cell.spec["story"] == "pair":
            cell.learn_nats()
        if cell.result.get("path") == "relay":
            cell.learn_reasons()
        cell.tell_times()
        cell.tell_probes()
    finally: # what both ends say helps to see why it failed
        if cell.ann and cell.bob and cell.ann.path() and cell.bob.path():
            cell.tell_ends()


def main():
    cell = Cell(sys.argv[1], json.loads(sys.argv[2]))
    cell.run(lambda: tell(cell))


if __name__ == "__main__":
    main()
