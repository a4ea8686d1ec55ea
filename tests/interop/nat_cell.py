"""One pair of NATs, the second client or a program around the library behind one and the real one behind the other.
usage: nat_cell.py BUILD SPEC     (inside testbed/netns/private.sh)

SPEC is JSON: a, b (kinds of NAT; ann waits behind a, bob comes behind b), second ("ann" or "bob": whose program is
second.py), side (which the second client is to be, or null), lost (so many direct packets each way, from the first one
on). The last line of the output is the result as JSON: the path as the wan counts it (testbed/netns/cell.py), what
either says that its NAT is, which tries the second client took part in, and how many sockets of the real one have asked
the server before the answer to the question before could be there ("hasty"). With "echo" instead of "second", "side"
and "lost" ann is examples/echo, and there is only the path to tell, and from and to how many ports she has sent to
bob. Status 1: it failed; 75: not possible here.
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "testbed", "netns"))

# pylint: disable=wrong-import-position
import cell  # noqa: E402
import lab  # noqa: E402

DELAY_MS = {"server": 0, "a": 10, "b": 10}
TIME_SCALE = float(os.environ.get("P2P_TIME_SCALE", 1))
DIRECT_WITHIN_S = 10.0 * TIME_SCALE
TIME_MAX_S = 25.0 * TIME_SCALE
SEALED = "3a"    # the first byte of that body
PROBE_BYTES = 28 + 64
ROUND_TRIP_S = 0.02


class Second(lab.Client):
    """second.py, which says and takes the same lines."""

    def __init__(self, of, name, typed, side):
        self.events = []
        more = [] if side is None else ["--side", str(side)]
        lab.Program.__init__(self, of, name, [sys.executable, os.path.join(HERE, "second.py"), "--keyword", of.keyword,
                                              "--name", name, "--server", lab.SERVER + ":41414", *more],
                             json.dumps({"send": typed, "id": 1}) + "\n")


class Pair(cell.Cell):
    def person(self, name):
        typed = "typed by " + name
        if self.spec["second"] == name:
            return Second(self.lab, name, typed, self.spec["side"])
        return lab.Client(self.lab, name, typed)

    def meet(self, before_bob=lambda: None):
        self.server = self.lab.start_server()
        self.ann = self.person("ann")
        self.lab.wait(lambda: self.ann.all("nat"), "ann knows her NAT")
        before_bob()
        self.bob = self.person("bob")
        self.lab.wait(lambda: self.ann.texts() and self.bob.texts(), "the first messages are read")

    def lose_direct(self):
        a, b = lab.PUBLIC["a"], lab.PUBLIC["b"]
        for ends in ((a, b), (b, a)):
            self.wan.ask("lose %s %s %d %s" % (*ends, self.spec["lost"], SEALED))

    def hasty(self):
        """By ports outside."""
        home = lab.PUBLIC["b" if self.spec["second"] == "ann" else "a"]
        asked = {}
        for p in self.wan.trace().get((home, lab.SERVER), []):
            if p["size"] == PROBE_BYTES:
                asked.setdefault(tuple(p["ports"]), []).append(p["sent"])
        return sum(any(b - a < ROUND_TRIP_S for a, b in zip(times, times[1:])) for times in map(sorted, asked.values()))

    def story(self):
        self.start_wan()
        self.meet(self.lose_direct if self.spec["lost"] else lambda: None)
        self.become_direct(DIRECT_WITHIN_S)
        self.expect_path("direct")
        self.learn_nats()
        self.tell()

    def tell(self):
        self.result["hasty"] = self.hasty()
        for c in self.both():
            nat = c.last("nat")
            self.result[c.name] = {"nat": {k: nat[k] for k in ("mapping", "filtering", "ports")},
                                   "tries": [{k: e[k] for k in ("number", "technique", "role")} for e in c.all("try")],
                                   "forbidden": c.all("bad") + c.all("too-long") + c.all("aim-refused")}


class Echo(Pair):
    """Whatever bob says comes back: through p2p_run (src/loop), with as many sockets as ann's NAT asks for."""

    def chat(self):
        self.round += 1
        texts = [("%d.%d " % (self.round, i)).ljust(cell.ROUND_BYTES, ".") for i in range(cell.ROUND_MESSAGES)]
        had = len(self.bob.texts())
        before = self.wan.counts()
        for i, text in enumerate(texts):
            self.bob.tell(send=text, id=100 * self.round + i)
        self.lab.wait(lambda: len(self.bob.texts()) - had >= len(texts), "the round has come back")
        if self.bob.texts()[had:] != texts:
            raise lab.Failure("not what was said came back")
        return self.path_of(before, self.wan.counts())

    def story(self):
        self.start_wan()
        self.server = self.lab.start_server()
        self.ann = lab.Program(self.lab, "ann", [self.lab.build + "/examples/echo", lab.SERVER, self.lab.keyword])
        self.bob = lab.Client(self.lab, "bob", "typed by bob")
        self.lab.wait(lambda: self.bob.texts() == ["typed by bob"], "the first message comes back")
        self.lab.wait(self.bob.is_direct, "bob says direct", DIRECT_WITHIN_S)
        self.expect_path("direct")
        tried = self.wan.trace().get((lab.PUBLIC["a"], lab.PUBLIC["b"]), [])
        self.result["ports"] = [len({p["ports"][end] for p in tried}) for end in (0, 1)]

    def end(self):
        self.ann.may_end = self.bob.may_end = True
        self.bob.tell(command="quit")
        self.ann.child.terminate()
        for program in self.bob, self.ann:
            self.lab.wait_exit(program)
            if program.child.returncode != 0:
                raise lab.Failure("%s ended with status %d" % (program.name, program.child.returncode))


def main():
    build, spec = sys.argv[1], json.loads(sys.argv[2])
    kind = Echo if spec.get("echo") else Pair
    pair = kind(build, {"layout": "homes", "carriers": [], "wan": {"seed": 1}, "delay_ms": DELAY_MS, "foreign": "",
                        "time_max_s": TIME_MAX_S, **spec})
    pair.run(pair.story)


if __name__ == "__main__":
    main()
