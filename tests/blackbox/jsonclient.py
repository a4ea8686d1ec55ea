"""`p2p-client --json` as a test sees it: events by name, and the rules that hold for every run.

Every event of every test is checked against the contract: its name, its fields and their types; hello first, end
last; peers counted from 1; nothing from a peer that has not come or has left; each message to each peer delivered or
failed once. A client that breaks one of these fails the test it serves in, whatever that test is about.
"""
import json
import re

from harness import SOON, PipeClient

ADDRESS = re.compile(r"^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+(%\w+)?\]):\d{1,5}$")
NAT_KINDS = ("none", "endpoint-independent", "address-dependent", "address-and-port-dependent", "port-independent",
             "unknown")


def text(value):
    return isinstance(value, str)


def integer(low):
    return lambda value: type(value) is int and value >= low


def one_of(*values):
    return lambda value: value in values


def address(value):
    return text(value) and bool(ADDRESS.match(value))


def nullable(check):
    return lambda value: value is None or check(value)


def list_of(check):
    return lambda value: isinstance(value, list) and all(check(v) for v in value)


def number(value):
    return type(value) in (int, float) and value >= 0


PEER = integer(1)
ID = integer(1)
FIELDS = {
    "hello": {"version": text, "form": one_of("room", "open")},
    "keyword": {"keyword": text, "command": text},
    "registered": {"observed": address},
    "server-lost": {"reason": text},
    "nat": {"mapping": one_of(*NAT_KINDS), "filtering": one_of(*NAT_KINDS),
            "ports": one_of("preserved", "sequential", "random", "unknown")},
    "peer": {"peer": PEER, "name": text},
    "name": {"peer": PEER, "name": text},
    "peer-left": {"peer": PEER, "reason": one_of("quit", "timeout")},
    "path": {"peer": PEER, "path": one_of("relay", "direct", "lan"), "address": nullable(text),
             "rtt_ms": nullable(number), "reason": nullable(text)},
    "message": {"peer": PEER, "name": text, "id": ID, "text": text},
    "sent": {"id": ID, "peers": list_of(PEER)},
    "delivered": {"id": ID, "peer": PEER},
    "failed": {"id": ID, "peer": nullable(PEER), "reason": text},
    "peers": {"peers": list_of(lambda p: isinstance(p, dict) and PEER(p.get("peer")) and text(p.get("name")))},
    "stats": {},
    "verify": {"peer": PEER, "words": lambda w: list_of(text)(w) and len(w) == 4},
    "warning": {"code": text, "text": text},
    "error": {"code": text, "text": text},
    "end": {"status": one_of(0, 1, 2)},
}


def schema_problem(event):
    """None, or what is wrong with one event."""
    if not isinstance(event, dict) or not text(event.get("event")):
        return "not an event"
    fields = FIELDS.get(event["event"])
    if fields is None:
        return "an event that the contract does not know"
    for field, check in fields.items():
        if field not in event or not check(event[field]):
            return "bad or missing field '%s'" % field
    if event["event"] == "path" and event["path"] != "relay" and not address(event["address"]):
        return "a direct path without an address"
    return None


def run_problem(events):
    """None, or what is wrong with the row of events of one run."""
    come, left, sent, settled, heard = 0, set(), set(), set(), set()
    for i, e in enumerate(events):
        kind = e["event"]
        if (kind == "hello") != (i == 0):
            return "hello is not the first event, or comes twice"
        if kind == "end" and i != len(events) - 1:
            return "an event after end"
        if kind == "peer":
            come += 1
            if e["peer"] != come:
                return "peer %d came as number %d" % (e["peer"], come)
        elif kind in ("name", "path", "message", "peer-left", "verify"):
            if e["peer"] > come or e["peer"] in left:
                return "%s of peer %d, who is not here" % (kind, e["peer"])
            if kind == "peer-left":
                left.add(e["peer"])
            if kind == "message":
                if (e["peer"], e["id"]) in heard:
                    return "message %d of peer %d came twice" % (e["id"], e["peer"])
                heard.add((e["peer"], e["id"]))
        elif kind == "sent":
            sent.add(e["id"])
            if any(p > come for p in e["peers"]):
                return "message %d is sent to peers %s, who have not come yet" % (e["id"], e["peers"])
        elif kind in ("delivered", "failed"):
            if kind == "delivered" and e["id"] not in sent:
                return "delivered, but never sent: %d" % e["id"]
            if (e["id"], e["peer"]) in settled:
                return "message %d is settled twice with peer %s" % (e["id"], e["peer"])
            settled.add((e["id"], e["peer"]))
    return None


class JsonClient(PipeClient):
    def __init__(self, test, server, *args, **more):
        self.parsed_bytes = 0
        self.events = []
        # A test that reuses ids on purpose cannot be held to "settled once".
        self.check_run = True
        super().__init__(test, server, *args, **more)

    def mode(self):
        return ["--json"]

    def _parse(self):
        complete = self.stdout.data.rfind(b"\n") + 1
        fresh = bytes(self.stdout.data[self.parsed_bytes:complete])
        self.parsed_bytes = max(complete, self.parsed_bytes)
        for line in fresh.split(b"\n")[:-1]:
            try:
                event = json.loads(line.decode("utf-8"))
            except ValueError as e:
                self.fail("not a line of JSON: %r: %s" % (line[:200], e))
            problem = schema_problem(event)
            if problem:
                self.fail("%s: %s" % (problem, line[:300]))
            self.events.append(event)
        return self.events

    def all(self, kind, **fields):
        """All events so far of this kind and with these fields."""
        return [e for e in self._parse()
                if e["event"] == kind and all(e.get(name) == value for name, value in fields.items())]

    def mark(self):
        """Events up to here are old for expect(..., after=mark)."""
        return len(self._parse())

    def expect(self, kind, timeout=SOON, after=0, **fields):
        def find():
            for e in self._parse()[after:]:
                if e["event"] == kind and all(e.get(name) == value for name, value in fields.items()):
                    return e
            return None
        return self.wait_until(find, "event %s %s" % (kind, fields or ""), timeout)

    def command(self, **fields):
        self.write(json.dumps(fields).encode() + b"\n")

    def say(self, text, **fields):
        self.command(send=text, **fields)

    def texts(self, **fields):
        return [e["text"] for e in self.all("message", **fields)]

    def expect_texts(self, texts, timeout=SOON, **fields):
        """These and no others so far. A sender knows of a delivery before we have read what was written."""
        self.wait_until(lambda: len(self.texts(**fields)) >= len(texts), "%d texts" % len(texts), timeout)
        self.test.assertEqual(self.texts(**fields), texts)

    def quit(self):
        self.command(command="quit")

    def expect_end(self, status, timeout=SOON):
        self.expect("end", timeout, status=status)
        self.expect_exit(status, timeout)

    def _finish(self):
        super()._finish()
        self._parse()
        problem = run_problem(self.events) if self.check_run else None
        if problem:
            self.fail(problem)


def pair(test, server, *args, keyword=None, names=("ann", "bob")):
    """Two clients of one keyword that see each other; ann was first."""
    keyword = keyword or test.keyword
    ann = JsonClient(test, server, *args, keyword=keyword, name=names[0])
    ann.expect("registered")
    bob = JsonClient(test, server, *args, keyword=keyword, name=names[1])
    ann.expect("peer", name=names[1])
    bob.expect("peer", name=names[0])
    return ann, bob
