"""One cell of the matrix: two people in a small internet of their own. usage: cell.py BUILD SPEC     (inside private.sh)

SPEC is JSON: layout, a, b, carriers (kinds of NAT), story (a function below), expect ("direct", "relay" or "inside": a
path that does not leave the home or the carrier), delay_ms of each edge, wan (options of the program `wan`).
The last line of the output is the result as JSON. Status 1: something was not as it must be, 75: not possible here.

The path is judged by what the wan counts while chat flows, and times are those of packets in the wan's trace; what the
clients say only tells which packet to look at.
"""
import json
import os
import subprocess
import sys
import time

import expect
from lab import PUBLIC, SERVER, Client, Failure, Lab, Wan

HERE = os.path.dirname(os.path.abspath(__file__))

ROUND_MESSAGES = 8
ROUND_BYTES = 700
DIRECT_WITHIN_S = 10.0
RELAY_FOR_S = 6.0      # so long no direct path may come up where none is expected
SEEN_WITHIN_S = 0.05   # a client says what it has got so long after it arrived, at most (and a busy machine allows)


def side_of(address):
    for prefix, side in (("198.51.100.", "a"), ("192.0.2.", "b"), ("203.0.113.", "server")):
        if address.startswith(prefix):
            return side
    return "hop"


class Cell:
    def __init__(self, build, spec):
        self.spec = spec
        status = subprocess.run([HERE + "/internet.sh", spec["layout"], spec["a"], spec["b"], *spec["carriers"]],
                                check=False).returncode
        if status:
            sys.exit(status)
        self.lab = Lab(build, time_max_s=spec["time_max_s"])
        self.wan = None
        self.server = self.ann = self.bob = None
        self.round = 0
        self.result = {}

    # ---- what everybody does ----

    def start_wan(self):
        self.wan = Wan(self.lab, self.spec["delay_ms"], self.spec["wan"])

    def meet(self, before_bob=lambda: None):
        """Ann waits, bob comes; both have typed something before."""
        self.server = self.lab.start_server()
        self.ann = Client(self.lab, "ann")
        self.ann.tell(send="typed by ann", id=1)
        self.lab.wait(lambda: self.ann.all("registered"), "ann is registered")
        before_bob()
        self.bob = Client(self.lab, "bob")
        self.bob.tell(send="typed by bob", id=1)
        self.lab.wait(lambda: self.ann.texts() and self.bob.texts(), "the first messages are read")

    def both(self):
        return self.ann, self.bob

    def become_direct(self, within_s=DIRECT_WITHIN_S):
        self.lab.wait(lambda: all(c.is_direct() for c in self.both()), "both say direct", within_s)

    def stay_relayed(self):
        if self.lab.serve_until(lambda: any(c.is_direct() for c in self.both()), time.monotonic() + RELAY_FOR_S):
            raise Failure("a direct path, where none was expected; if the engine has learnt it, say so in expect.py")

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
        arrived = {}
        for ends, pair in after.items():
            way = tuple(side_of(end) for end in ends)
            old = before[ends]["arrived_bytes"] if ends in before else 0
            arrived[way] = arrived.get(way, 0) + pair["arrived_bytes"] - old
        sides = ("a", "b") if self.spec["layout"] in ("homes", "carriers") else ("a", "a")
        direct = [arrived.get(sides, 0), arrived.get(sides[::-1], 0)]
        server = [arrived.get(way, 0) for way in {(s, "server") for s in sides} | {("server", s) for s in sides}]
        self.result["bytes"] = {"text": 2 * text, "direct": sum(direct), "server": sum(server)}
        if min(direct) >= text and sum(server) < text / 2:
            return "direct"
        if sum(server) >= 2 * 2 * text and sum(direct) < text / 2:
            return "relay"
        if sum(server) < text / 2 and sum(direct) < text / 2:
            return "inside"
        return "mixed"

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
        for c in self.both():
            c.may_end = True
            c.tell(command="quit")
        for c in self.both():
            self.lab.wait_exit(c)
            if c.child.returncode != 0:
                raise Failure("%s ended with status %d" % (c.name, c.child.returncode))

    # ---- times ----

    def tell_times(self):
        """In ms from bob's first packet; rounds are round trips to the server, of both the same."""
        trace = self.wan.trace()
        observed = {}
        for c in self.both():
            address, port = c.all("registered")[0]["observed"].rsplit(":", 1)
            observed[c.name] = address, int(port)
        began = min(p["sent"] for (src, dst), packets in trace.items() if side_of(dst) == "server"
                    for p in packets if (src, p["ports"][0]) == observed["bob"])
        inside = self.result.get("path") == "inside"

        def arrival(client, event, sides):
            """Of the packet that made the client say this. Its port is not asked for: a NAT may have changed it."""
            times = [p["arrived"] for (src, dst), packets in trace.items() for p in packets
                     if p["fate"] == "arrived" and dst == observed[client.name][0] and side_of(src) in sides
                     and p["arrived"] <= event["at"]]
            return max(times) if times else None

        def latest(events, sides):
            if any(event is None for event in events):
                return None
            at = [arrival(c, event, sides) for c, event in zip(self.both(), events)]
            if None in at:
                return None
            return round(1000 * (max(at) - began), 1)

        first = [c.all("message")[0] for c in self.both()]
        self.result["message_ms"] = latest(first, ("server", "a", "b"))
        self.result["message_seen_ms"] = round(1000 * (max(e["at"] for e in first) - began), 1)
        direct = [next((e for e in c.all("path") if e["path"] in ("direct", "lan")), None) for c in self.both()]
        if None not in direct:
            seen = round(1000 * (max(e["at"] for e in direct) - began), 1)
            self.result["direct_ms"] = seen if inside else latest(direct, ("a", "b"))
            self.result["direct_seen_ms"] = seen

    def tell_ends(self):
        for c in self.both():
            path, nat = c.last("path"), c.last("nat")
            self.result[c.name] = {"path": path["path"], "reason": path["reason"], "address": path.get("address"),
                                   "nat": {k: nat[k] for k in ("mapping", "filtering", "ports")} if nat else None}


# ---- the stories ----

def story_pair(cell):
    """Two people meet and talk."""
    cell.meet()
    if cell.spec["expect"] == "relay":
        cell.stay_relayed()
    else:
        cell.become_direct()
    cell.expect_path(cell.spec["expect"])


def story_server_dies(cell):
    """A direct chat does not need the server."""
    cell.meet()
    cell.become_direct()
    cell.server.kill()
    cell.expect_path("direct")
    cell.expect_path("direct")


def story_nat_forgets(cell):
    """A router loses its table under a live chat; `speaker` is the first to say something after it."""
    cell.meet()
    cell.become_direct()
    cell.expect_path("direct")
    cell.lab.in_host("home-" + cell.spec["side"], "conntrack", "-F")
    speaker, reader = cell.both() if cell.spec["speaker"] == "ann" else cell.both()[::-1]
    began = time.monotonic()
    speaker.tell(send="are you there?", id=2)
    cell.lab.wait(lambda: "are you there?" in reader.texts() and speaker.all("delivered", id=2), "it is delivered")
    cell.result["delivered_s"] = round(time.monotonic() - began, 3)
    cell.expect_path_again("direct")


def story_bad_line(cell):
    """Loss, jitter, packets twice and out of order, all the time."""
    cell.meet()
    cell.become_direct(40)
    for _ in range(3):
        cell.chat()
    # What is repeated goes over the relay as well, so the path is counted in calm.
    cell.wan.ask("set loss 0 jitter 0 duplicate 0 reorder 0")
    cell.expect_path_again("direct")


def story_early_packet(cell):
    """The server's first envelope to bob gets lost, so that ann's first packet is at bob's router before bob has sent
    anything to her."""
    signal = "2a"
    cell.meet(before_bob=lambda: cell.wan.ask("lose %s %s 1 %s" % (SERVER, PUBLIC["b"], signal)))
    if cell.spec["expect"] == "relay":
        cell.stay_relayed()
    else:
        cell.become_direct()
    cell.expect_path(cell.spec["expect"])


def story_silence(cell):
    """Nobody says anything for longer than a router remembers; what is waited for is two questions each way."""
    cell.meet()
    cell.become_direct()
    cell.expect_path("direct")
    paths = [len(c.all("path")) for c in cell.both()]

    def asked():
        counts = cell.wan.counts()
        return [counts[ends]["arrived"] for ends in ((PUBLIC["a"], PUBLIC["b"]), (PUBLIC["b"], PUBLIC["a"]))]

    before, began = asked(), time.monotonic()
    remembered_s = int(expect.described(cell.spec["a"])["timeout"])
    while min(now - then for now, then in zip(asked(), before)) < 4 or time.monotonic() - began < 2 * remembered_s:
        cell.lab.serve_until(lambda: False, time.monotonic() + 0.5)
    cell.expect_path("direct")
    if [len(c.all("path")) for c in cell.both()] != paths:
        raise Failure("the path did not live through the silence")


STORIES = {name[len("story_"):]: story for name, story in globals().items() if name.startswith("story_")}


def main():
    build, spec = sys.argv[1], json.loads(sys.argv[2])
    failure = None
    cell = Cell(build, spec)
    try:
        cell.start_wan()
        STORIES[spec["story"]](cell)
        cell.tell_times()
        cell.tell_ends()
        cell.end()
    except Failure as why:
        failure = str(why)
        if cell.ann and cell.bob and cell.ann.path() and cell.bob.path():
            cell.tell_ends()
        cell.lab.say_what_failed()
    cell.result["failure"] = failure
    print(json.dumps(cell.result), flush=True)
    # Nobody needs to be ended: we are the first process here, and the kernel ends the others after us.
    os._exit(1 if failure else 0)


if __name__ == "__main__":
    main()
