"""Finds out what kind of NAT somebody is behind, in RFC 4787's terms, and shares no code with what it is there to judge.

usage: probe.py serve                                  four UDP sockets: two addresses x two ports
       probe.py bystand SERVER                         30 flows that live, and a new one each second, for ever
       probe.py talk SERVER_1 SERVER_2                 orders on stdin: {"send": [ADDRESS, PORT], "name": N} or {}; tells
                                                       where it is seen, and after each order what has come to it
       probe.py ask SERVER_1 SERVER_2 [timeout] [sessions]     prints what it found, as JSON

What it asks is apart from what carries it: an Internet here, or tests/sim/test_kinds.py's, where NATs are models.

The path to the server must neither lose nor reorder. That is what makes waiting unnecessary: to find that nothing comes
through, we ask for something that surely does after it (a fence); once that is here, the other is not coming.
"""
import json
import selectors
import socket
import sys
import time

PORTS = (3478, 3479)
PATIENCE_S = 5.0  # for what must come


# ---- the server: sends what a question asks for, from and to where it says ----

def answer(sockets, asked, data, source):
    question = json.loads(data)
    for step in question["steps"]:
        sender = sockets[tuple(step["from"])] if "from" in step else asked
        reply = {"id": question["id"], "name": step["name"], "seen": source}
        sender.sendto(json.dumps(reply).encode(), tuple(step.get("to", source)))


def serve(addresses):
    sockets = {}
    selector = selectors.DefaultSelector()
    for i, address in enumerate(addresses):
        for k, port in enumerate(PORTS):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((address, port))
            sockets[i, k] = s
            selector.register(s, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            answer(sockets, key.fileobj, *key.fileobj.recvfrom(2048))


# ---- asking ----

class Failure(Exception):
    pass


class Internet:
    """Where we are ourselves."""

    sleep = staticmethod(time.sleep)

    @staticmethod
    def socket():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("0.0.0.0", 0))
        return s

    @staticmethod
    def local_address(server):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((server, PORTS[0]))
            return s.getsockname()[0]


class Probe:
    def __init__(self, servers, internet=Internet):
        self.servers = servers
        self.internet = internet
        self.next_id = 1
        self.keep = []  # a closed socket's port could be given to another
        self.flows = set()
        self.strays = set()  # what came to a socket and was no answer

    def socket(self):
        s = self.internet.socket()
        self.keep.append(s)
        return s

    def server(self, address, port):
        return self.servers[address], PORTS[port]

    def ask(self, s, address, port, steps=(), listen=None):
        """Asks the server's socket (address, port) from s for the steps and then for a fence. Returns what the server
        saw as our address, and the names of the steps that reached `listen` (default: s)."""
        self.next_id += 1
        number = self.next_id
        question = {"id": number, "steps": [*steps, {"name": "fence"}]}
        s.sendto(json.dumps(question).encode(), self.server(address, port))
        self.flows.add((s, address, port))
        s.settimeout(PATIENCE_S)
        seen, names = None, set()
        while seen is None:
            try:
                answer = json.loads(s.recv(2048))
            except TimeoutError:
                raise Failure("the server does not answer") from None
            if answer["id"] == number and answer["name"] == "fence":
                seen = tuple(answer["seen"])
            elif answer["id"] == number:
                names.add(answer["name"])
            else:
                self.strays.add(answer["name"])
        if listen:
            names |= set(received(listen))
        return seen, names

    def seen(self, s, address=0, port=0):
        return self.ask(s, address, port)[0]


def received(s):
    """The names of what is there already."""
    s.setblocking(False)
    names = []
    while True:
        try:
            names.append(json.loads(s.recv(2048))["name"])
        except BlockingIOError:
            return names


def mapping(probe):
    """RFC 5780 s4.3, with fresh sockets: is the address that is seen the same from everywhere?"""
    s = probe.socket()
    first = probe.seen(s, 0, 0)
    if first == (probe.internet.local_address(probe.servers[0]), s.getsockname()[1]):
        return "none"
    other_port, other_address = probe.seen(s, 0, 1), probe.seen(s, 1, 0)
    if first == other_port == other_address:
        return "endpoint-independent"
    return "address-dependent" if first == other_port else "address-and-port-dependent"


def filtering(probe):
    """RFC 5780 s4.4: who may answer a socket that has only ever sent to (0, 0)?"""
    s = probe.socket()
    probe.seen(s)
    _, came = probe.ask(s, 0, 0, [{"name": "address", "from": (1, 1)}, {"name": "port", "from": (0, 1)}])
    came |= set(received(s))
    if "address" in came:
        return "endpoint-independent"
    return "address-dependent" if "port" in came else "address-and-port-dependent"


def ports(probe):
    """What new flows get, one after the other: from fresh sockets, and from one socket to other destinations."""
    first = [(s.getsockname()[1], probe.seen(s)[1]) for s in (probe.socket() for _ in range(8))]
    s = probe.socket()
    more = [(s.getsockname()[1], probe.seen(s, *to)[1]) for to in ((0, 0), (0, 1), (1, 0), (1, 1))]

    def are_kept(pairs):
        return all(own == outside for own, outside in pairs)

    def are_counted(pairs):
        return all(b[1] - a[1] == 1 for a, b in zip(pairs, pairs[1:]))

    if are_kept(first + more):
        return "preserved"
    if are_counted(first + more):
        return "sequential"
    return "sequential-after-first" if are_kept(first + more[:1]) and are_counted(more[1:]) else "random"


def hairpin(probe):
    """Does what is sent to our outside address come in again, and from our outside address?"""
    a, b = probe.socket(), probe.socket()
    outside_a, outside_b = probe.seen(a), probe.seen(b)
    b.sendto(json.dumps({"name": "hairpin"}).encode(), outside_a)
    probe.seen(b)  # goes further than the hairpin, so that is here by now, if it comes
    a.setblocking(False)
    try:
        _, source = a.recvfrom(2048)
    except BlockingIOError:
        return "no"
    return "yes" if source == outside_b else "internal"


def poisoned(probe):
    """A stranger's packet comes to our port before we have sent to the stranger: do we still get that port there?"""
    control, s = probe.socket(), probe.socket()
    before = probe.seen(s, 0, 0)
    probe.ask(control, 0, 0, [{"name": "early", "from": (1, 1), "to": before}])
    return "yes" if probe.seen(s, 1, 1) != before else "no"


def timeout(probe, pauses_s=(15, 25)):
    """The first pause after which nothing comes in any more; the pauses are what is tested."""
    control, s = probe.socket(), probe.socket()
    outside = probe.seen(s)
    for pause in pauses_s:
        probe.internet.sleep(pause)
        _, came = probe.ask(control, 0, 0, [{"name": "late", "from": (0, 0), "to": outside}], listen=s)
        if "late" not in came:
            return pause
    return 0


def sessions(probe, attempts=400):
    """How many flows fit, those from before included; the first one has to live on."""
    first, control = probe.socket(), probe.socket()
    probe.seen(first)
    probe.seen(control)
    before = len(probe.keep)
    for s in [probe.socket() for _ in range(attempts)]:
        s.sendto(json.dumps({"id": 0, "steps": [{"name": "session"}]}).encode(), probe.server(0, 0))
        probe.seen(control)  # one after the other, and all answers are here at the end
    count = sum(bool(received(s)) for s in probe.keep[before:])
    probe.seen(first)
    return len(probe.flows) + count


def bystand(probe, flows=30):
    """A line of JSON each second: how many of the first flows have ever not been answered, and whether a new one was."""
    old = [probe.socket() for _ in range(flows)]
    for s in old:
        probe.seen(s)
    print("ready", flush=True)
    began, broken = time.monotonic(), 0
    question = json.dumps({"id": 0, "steps": [{"name": "still there"}]}).encode()
    while True:
        new = probe.socket()
        for s in (*old, new):
            s.sendto(question, probe.server(0, 0))
        time.sleep(1)  # the pace; an answer has this long to come
        broken += sum(not received(s) for s in old)
        line = {"at": round(time.monotonic() - began, 1), "broken": broken, "new": bool(received(new))}
        print(json.dumps(line), flush=True)


def talk(probe):
    s = probe.socket()
    local = probe.internet.local_address(probe.servers[0]), s.getsockname()[1]
    print(json.dumps({"local": local, "seen": probe.seen(s)}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "send" in order:
            s.sendto(json.dumps({"id": -1, "name": order["name"]}).encode(), tuple(order["send"]))
        probe.seen(s)  # a fence, for what was sent, too: the server is as far as anybody
        print(json.dumps({"got": sorted(probe.strays)}), flush=True)


def ask(probe, wanted):
    found = {"mapping": mapping(probe), "filtering": filtering(probe), "ports": ports(probe),
             "hairpin": hairpin(probe), "address": probe.seen(probe.socket())[0]}
    if found["mapping"] == "none" and found["filtering"] == "endpoint-independent":
        found["filtering"] = "none"
    found["poisoned"] = poisoned(probe) if found["mapping"] == "endpoint-independent" else "no"
    if "timeout" in wanted:
        found["timeout"] = timeout(probe)
    if "sessions" in wanted:
        found["sessions"] = sessions(probe)
    return found


def main():
    word, rest = sys.argv[1], sys.argv[2:]
    try:
        if word == "serve":
            serve(rest)
        elif word == "talk":
            talk(Probe(rest))
        elif word == "bystand":
            bystand(Probe(rest))
        elif word == "ask":
            print(json.dumps(ask(Probe(rest[:2]), rest[2:])), flush=True)
        else:
            sys.exit(2)
    except Failure as failure:
        print(json.dumps({"error": str(failure)}))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
