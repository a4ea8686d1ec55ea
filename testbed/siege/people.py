"""People of the real program on one machine, and the ledger of what they say to each other.

Inside private.sh: who uses this has a network of its own, of which only the loopback is used.
"""
import collections
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NETNS = os.path.join(os.path.dirname(HERE), "netns")
sys.path.insert(0, NETNS)

# pylint: disable=wrong-import-position
from lab import Client, Failure, Lab, Program  # noqa: E402

BUILD = os.environ.get("P2P_BUILD", "build")
HOST = "here"
SERVER = "127.0.0.1:41414"


def enter_private():
    """Starts the calling program anew inside private.sh, unless that is where it is."""
    if os.getpid() != 1:
        os.execv(NETNS + "/private.sh", ["private.sh", sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]])
    for command in (["ip", "link", "set", "lo", "up"], ["ip", "netns", "attach", HOST, "1"]):
        subprocess.run(command, check=True)


Mapping = collections.namedtuple("Mapping", "is_anonymous size_kb rss_kb own_kb")


def mappings(program):
    """own: pages that are not a file's, resident or swapped."""
    with open("/proc/%d/smaps" % program.child.pid) as file:
        text = file.read()
    for entry in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.M)[1:]:
        kb = {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB$", entry, re.M)}
        has_name = len(entry.split("\n", 1)[0].split()) > 5
        yield Mapping(not has_name, kb["Size"], kb["Rss"], kb["Anonymous"] + kb["Swap"])


def memory(program):
    """(The largest mapping that is nothing but memory: its block, with some kB of a neighbour; kB of its own outside that)"""
    found = list(mappings(program))
    block = max((m for m in found if m.is_anonymous), key=lambda m: m.size_kb)
    return block, sum(m.own_kb for m in found) - block.own_kb


def open_files(program):
    return len(os.listdir("/proc/%d/fd" % program.child.pid))


class Server(Program):
    def __init__(self, lab):
        super().__init__(lab, HOST, [lab.build + "/p2p-server", "--listen", SERVER])
        lab.wait(lambda: "ready" in self.lines, "the server is ready")


class Person(Client):
    """Nobody else ever has the same name, and says so in all that it writes: NAME ID ROOM."""

    def __init__(self, lab, ledger, name, room, *options):
        self.ledger, self.room = ledger, room
        self.events, self.known, self.heard, self.paths = [], {}, {}, {}
        self.said_count = 0
        self.last_delivered = None
        Program.__init__(self, lab, HOST, [lab.build + "/p2p-client", "--json", "--server", SERVER, "--keyword",
                                           "%d-crab-lunar-toast" % room, "--name", name, *options])
        self.name = name
        self.options = options
        ledger.people[name] = self

    def said(self, line):
        event = json.loads(line)
        kind = event["event"]
        if kind == "peer":
            self.known[event["peer"]] = event["name"]
        elif kind == "peer-left":
            self.paths.pop(event["peer"], None)
        elif kind == "path":
            self.paths[event["peer"]] = event["path"]
        elif kind == "message":
            self.ledger.heard(self, event)
        elif kind == "delivered":
            self.ledger.delivered(self, event)
        elif kind == "failed":
            self.ledger.failed(self, event)
        elif kind == "sent":
            self.ledger.sent(self, event)
        else:
            self.events.append(event)

    def say(self):
        self.said_count += 1
        self.ledger.said += 1
        text = "%s %d %d" % (self.name, self.said_count, self.room)
        try:
            self.tell(send=text.ljust(40 + 37 * self.said_count % 1500, "."), id=self.said_count)
        except BrokenPipeError:
            raise Failure("%s has closed its input" % self.name) from None


class Ledger:
    """Who was told that what was delivered to whom, and who has read what. Problems are found when they happen, or by
    the audit at the end, when all output of all programs has been read."""

    def __init__(self):
        self.people = {}
        self.said = self.read = 0
        # All of (writer, number, reader).
        self.owed, self.receipts, self.failures = set(), set(), set()
        self.problems = []

    def heard(self, reader, event):
        self.read += 1
        name, number, room = event["text"].rstrip(".").split(" ")
        number = int(number)
        writer = self.people.get(name)
        if writer is None or number > writer.said_count or int(room) != reader.room or writer.room != reader.room:
            self.problems.append("%s reads what was not said to it: %.60s" % (reader.name, event["text"]))
        if reader.known.get(event["peer"]) != name or event["name"] != name:
            self.problems.append("%s reads %.60s as somebody else's" % (reader.name, event["text"]))
        before = reader.heard.setdefault(name, [])
        if before and number <= before[-1]:
            self.problems.append("%s reads %s's message %d after %d" % (reader.name, name, number, before[-1]))
        before.append(number)

    def sent(self, writer, event):
        """What was said to nobody is told again, when it is known to whom; some may have it by then."""
        to = {(writer.name, event["id"], writer.known[peer]) for peer in event["peers"]}
        self.owed |= to - self.receipts - self.failures

    def settle(self, writer, event, where):
        entry = (writer.name, event["id"], writer.known.get(event["peer"]))
        if entry in self.receipts or entry in self.failures:
            self.problems.append("settled twice: %s" % (entry,))
        where.add(entry)
        self.owed.discard(entry)

    def delivered(self, writer, event):
        self.settle(writer, event, self.receipts)

    def failed(self, writer, event):
        self.settle(writer, event, self.failures)

    def owed_among(self, present):
        names = {p.name for p in present}
        return [o for o in self.owed if o[0] in names and o[2] in names]

    def audit(self):
        read = {name: {other: set(numbers) for other, numbers in p.heard.items()} for name, p in self.people.items()}
        for writer, number, reader in self.receipts:
            if number not in read[reader].get(writer, ()):
                self.problems.append("%s's message %d is told as delivered to %s, who has not read it" %
                                     (writer, number, reader))
        return self.problems


def conclude(result, found, path):
    """Prints the figures and what is wrong; the figures go to `path`, too, if it is one. Returns the exit status."""
    print(json.dumps(result))
    if path:
        with open(path, "w") as file:
            json.dump(result, file, indent=1)
    for problem in found[:20]:
        print("FAIL " + problem)
    print("%d passed, %d failed" % (not found, bool(found)))
    return 1 if found else 0
