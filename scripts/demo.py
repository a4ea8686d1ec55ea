"""The demo's conversation. usage: demo.py BUILD [NAT_OF_ANN NAT_OF_BOB]

With two NATs: inside the testbed's small internet (testbed/netns); ann, bob and the server each in the namespace of that
name, and a watcher in the middle that looks into every packet. Without: everything on loopback.

Every step waits for an event of the programs, never for time to pass; all of it together has TIME_MAX_S.
"""
import collections
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time

TIME_MAX_S = 40.0
PLAIN_CHAT_PACKETS = 60  # what a chat as short as this one needs between the two at most
DIRECT_MAX_S = 12.0  # how long a direct path may take before we go on through the relay: guessing takes its time
EDGE_MS = 5  # from everybody to the middle of the internet
KEYWORD = "foo"
SERVERS = ["203.0.113.1", "203.0.113.2"]  # who has two addresses can be asked more about a NAT

FIRST_WORDS = [
    ("ann", "hi bob, how did you find me?"),
    ("bob", "by the keyword alone: no address, no account, no forwarded port"),
    ("ann", "and who else can read this?"),
    ("bob", "nobody who doesn't know the keyword; the server sees only noise"),
]
LAST_WORDS = [
    ("ann", "the server is dead. still there?"),
    ("bob", "still here: we don't need it any more"),
]
RELAYED_WORDS = [
    ("ann", "no way around the server, then?"),
    ("bob", "not between these two routers; it still can't read us"),
]

TOPOLOGY = """
                   p2p-server 203.0.113.1
                             |
            .------------ internet ------------.
            |                                  |
      198.51.100.1                         192.0.2.1
  {0:^19}              {1}
      192.168.1.1                         192.168.2.1
            |                                  |
    ann 192.168.1.10                   bob 192.168.2.11
"""


class Failure(Exception):
    pass


# ---- what it looks like ----

COLOURS = {"ann": "36", "bob": "33", "quiet": "2", "good": "32", "bad": "31"}
coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
started_at = time.monotonic()


def paint(text, colour):
    return "\033[%sm%s\033[0m" % (COLOURS[colour], text) if coloured and colour in COLOURS else text


def tell(who, text, colour="quiet"):
    stamp = paint("%6.2f s" % (time.monotonic() - started_at), "quiet")
    print("%s  %s %s" % (stamp, paint("%-7s" % who, who), paint(text, colour)), flush=True)


def show_message(sender, text):
    stamp = paint("%6.2f s" % (time.monotonic() - started_at), "quiet")
    print("%s  %s %s" % (stamp, paint(sender + ">", sender), text), flush=True)


# ---- the programs ----

class Program:
    """One child. Its stdout is handed out line by line; its stderr is kept for the case that something fails."""

    def __init__(self, stage, name, argv, host=None):
        self.name = name
        if host:
            argv = ["nsenter", "--net=/run/netns/" + host, "--"] + argv
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env=stage.environment)
        self.pending = {"stdout": b"", "stderr": b""}
        self.errors = collections.deque(maxlen=10)
        for stream in ("stdout", "stderr"):
            pipe = getattr(self.child, stream)
            os.set_blocking(pipe.fileno(), False)
            stage.selector.register(pipe, selectors.EVENT_READ, (self, stream))
        stage.programs.append(self)

    def take(self, stream, data):
        lines = (self.pending[stream] + data).split(b"\n")
        self.pending[stream] = lines.pop()
        lines = [line.decode("utf-8", "replace") for line in lines]
        if stream == "stderr":
            self.errors.extend(lines)
            return
        for line in lines:
            self.said(line)

    def said(self, line):
        raise NotImplementedError

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()


class Server(Program):
    def __init__(self, stage, argv, host):
        super().__init__(stage, "server", argv, host)
        self.addresses = []
        self.ready = False

    def said(self, line):
        if line.startswith("listening on udp "):
            self.addresses.append(line.split()[-1])
        self.ready = self.ready or line == "ready"

    def address(self):
        """The first one that another machine can use."""
        return next(a for a in self.addresses if not a.startswith("["))


class Client(Program):
    """p2p-client --json. Remembers what it was told, and shows the parts of it that tell the story."""

    def __init__(self, stage, name, argv, host):
        super().__init__(stage, name, argv, host)
        self.events = []
        self.path = None
        self.delivered = set()
        self.received = []

    def said(self, line):
        event = json.loads(line)
        self.events.append(event)
        handler = getattr(self, "on_" + event["event"].replace("-", "_"), None)
        if handler:
            handler(event)

    def on_registered(self, event):
        if self.count("registered") == 1:
            tell(self.name, "is registered; the server sees %s" % event["observed"])

    def on_nat(self, event):
        if event["mapping"] == event["filtering"] == event["ports"] == "unknown":
            return
        tell(self.name, "finds a NAT: mapping %s, filtering %s, ports %s" %
             (event["mapping"], event["filtering"], event["ports"]))

    def on_peer(self, event):
        tell(self.name, "meets %s: same keyword" % event["name"])

    def on_path(self, event):
        self.path = event
        where = " to %s" % event["address"] if event.get("address") else ""
        rtt = ", %.1f ms" % event["rtt_ms"] if event.get("rtt_ms") is not None else ""
        why = ": " + event["reason"] if event.get("reason") else ""
        tell(self.name, "has a %s path%s%s%s" % (event["path"], where, rtt, why))

    def on_message(self, event):
        self.received.append(event["text"])
        show_message(event["name"], event["text"])

    def on_delivered(self, event):
        self.delivered.add(event["id"])

    def on_error(self, event):
        tell(self.name, "error %s: %s" % (event["code"], event["text"]), "bad")

    def gave_up(self):
        """Says why it is relayed, and that it does not look for a direct path any more."""
        reason = self.path["reason"] if self.path is not None else ""
        return "relayed" in reason and "tried again" not in reason

    def count(self, kind):
        return sum(event["event"] == kind for event in self.events)

    def is_direct(self):
        return self.path is not None and self.path["path"] in ("direct", "lan")

    def tell(self, **command):
        self.child.stdin.write(json.dumps(command).encode() + b"\n")
        self.child.stdin.flush()


class Watcher(Program):
    """Us again, in the middle of the internet; see watch()."""

    def __init__(self, stage, texts):
        super().__init__(stage, "watcher", [sys.executable, os.path.abspath(__file__), "--watch"] + texts, "wan")
        self.watching = False
        self.report = None

    def said(self, line):
        if line == "watching":
            self.watching = True
        else:
            self.report = json.loads(line)


class Wan(Program):
    """The testbed's internet, which takes its time: see testbed/netns/wan.c."""

    def __init__(self, stage):
        with open("/run/wan.edges") as edges:
            plugged = ["%s,%d" % (edge.strip(), EDGE_MS) for edge in edges]
        super().__init__(stage, "wan", [stage.build + "/wan", "socket", "/run/wan.socket"] + plugged, "wan")
        self.ready = False

    def said(self, line):
        self.ready = line == "ready"


class Stage:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.selector = selectors.DefaultSelector()
        self.programs = []
        self.deadline = time.monotonic() + TIME_MAX_S
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("P2P_")}

    def wait(self, done, what, timeout_s=None, watched=None):
        """Serves the programs until done() is true. Returns False when timeout_s is over, fails at the deadline, or
        when a watched program (all of them, if not said otherwise) has ended before."""
        until = min(self.deadline, time.monotonic() + timeout_s) if timeout_s is not None else self.deadline
        while not done():
            left = until - time.monotonic()
            if left <= 0:
                if timeout_s is not None and until < self.deadline:
                    return False
                raise Failure("not within %g s: %s" % (TIME_MAX_S, what))
            for key, _ in self.selector.select(left):
                program, stream = key.data
                data = key.fileobj.read(65536)
                if data:
                    program.take(stream, data)
                elif data == b"":
                    self.selector.unregister(key.fileobj)
            for program in self.programs if watched is None else watched:
                if program.child.poll() is not None and not done():
                    self.drain(program)
                    if not done():
                        raise Failure("%s ended with status %s before: %s" % (program.name, program.child.returncode, what))
        return True

    def wait_exit(self, program):
        try:
            return program.child.wait(max(0.0, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failure("not within %g s: %s ends" % (TIME_MAX_S, program.name)) from None

    def drain(self, program):
        for stream in ("stdout", "stderr"):
            data = getattr(program.child, stream).read()
            if data:
                program.take(stream, data + (b"" if data.endswith(b"\n") else b"\n"))

    def stop(self):
        for program in reversed(self.programs):
            program.stop()


# ---- the watcher ----

def watch(texts):
    """Counts the UDP packets that cross this host by their two ends, and those that contain one of the texts. Says
    "watching", and the counts as JSON at the end of stdin."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    print("watching", flush=True)
    pairs = collections.Counter()
    ours = plain = 0
    needles = [text.encode() for text in texts]
    selector = selectors.DefaultSelector()
    selector.register(wire, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        ready = [key.fileobj for key, _ in selector.select()]
        if wire in ready:
            packet, (_, _, direction, _, _) = wire.recvfrom(65536)
            if direction == socket.PACKET_OUTGOING or packet[9] != socket.IPPROTO_UDP:
                continue  # what goes out here has come in here before
            ends = sorted(socket.inet_ntoa(packet[at:at + 4]) for at in (12, 16))
            payload = packet[4 * (packet[0] & 15) + 8:]
            pairs[" ".join(ends)] += 1
            ours += payload[1:5] == struct.pack("<I", 0x31503250)  # the protocol word of p2p.proto
            plain += any(needle in packet for needle in needles)
        elif sys.stdin in ready:
            break
    print(json.dumps({"pairs": pairs, "packets": sum(pairs.values()), "ours": ours, "plain": plain}), flush=True)


# ---- the story ----

def start_server(stage, nats):
    where = [SERVERS[0] + ":41414", SERVERS[1] + ":41414"] if nats else ["127.0.0.1:0"]
    where = [word for address in where for word in ("--listen", address)] + ([] if nats else ["--alt-port", "0"])
    server = Server(stage, [stage.build + "/p2p-server"] + where, "server" if nats else None)
    stage.wait(lambda: server.ready, "the server is ready")
    address = server.address()
    tell("server", "listens on udp %s" % address)
    return server, address


def start_client(stage, name, address, nats):
    argv = [stage.build + "/p2p-client", "--json", "--keyword", KEYWORD, "--name", name, "--server", address]
    tell(name, "runs p2p-client --keyword %s --server %s" % (KEYWORD, address))
    client = Client(stage, name, argv, name if nats else None)
    stage.wait(lambda: client.count("registered"), "%s is registered" % name)
    return client


def talk(stage, clients, lines, ids, watched=None):
    """One line after the other: the next is said when the one before has been read, as people do."""
    for sender, text in lines:
        reader = clients["bob" if sender == "ann" else "ann"]
        number = next(ids)
        clients[sender].tell(send=text, id=number)
        stage.wait(lambda: text in reader.received and number in clients[sender].delivered,
                   "%s reads: %s" % (reader.name, text), watched=watched)


def tell_the_wire(report, expect_direct):
    """What the watcher saw, against what the clients said."""
    direct = report["pairs"].get("192.0.2.1 198.51.100.1", 0)
    by_server = sum(n for ends, n in report["pairs"].items() if set(SERVERS) & set(ends.split()))
    tell("wire", "%d UDP packets were on the internet: %d to or from the server, %d from router to router%s" %
         (report["packets"], by_server, direct, ", most of them to find a port" if direct > PLAIN_CHAT_PACKETS else ""))
    tell("wire", "%d of them are frames of our protocol; %d contain a line of the chat in plain" %
         (report["ours"], report["plain"]), "good" if not report["plain"] else "bad")
    if report["plain"] or not report["ours"]:
        raise Failure("the wire shows what it should not")
    if expect_direct and not direct:
        raise Failure("the clients speak of a direct path, but nothing went that way")


def play(stage, nats):
    texts = [text for _, text in FIRST_WORDS + LAST_WORDS + RELAYED_WORDS]
    watcher = Watcher(stage, texts) if nats else None
    if nats:
        wan = Wan(stage)
        stage.wait(lambda: wan.ready and watcher.watching, "the internet is there, and watched")
    server, address = start_server(stage, nats)
    clients = {name: start_client(stage, name, address, nats) for name in ("ann", "bob")}
    people = list(clients.values())
    stage.wait(lambda: all(c.count("peer") for c in people), "ann and bob meet")

    ids = iter(range(1, 100))
    talk(stage, clients, FIRST_WORDS, ids)
    stage.wait(lambda: all(c.is_direct() or c.gave_up() for c in people), "a direct path", DIRECT_MAX_S)
    direct = all(c.is_direct() for c in people)
    if direct:
        # The proof that a direct path is one.
        server.stop()
        tell("server", "is killed")
        others = [p for p in stage.programs if p is not server]
        talk(stage, clients, LAST_WORDS, ids, watched=others)
    else:
        tell("both", "stay on the relay: no direct path was found")
        talk(stage, clients, RELAYED_WORDS, ids)

    for client in people:
        client.tell(command="quit")
    for client in people:
        status = stage.wait_exit(client)
        stage.drain(client)
        if status != 0:
            raise Failure("%s ended with status %d" % (client.name, status))
    if watcher:
        watcher.child.stdin.close()
        stage.wait(lambda: watcher.report, "the watcher's report", watched=[])
        tell_the_wire(watcher.report, direct)
    else:
        tell("wire", "not watched: that needs namespaces")
    path = {c.name: c.path["path"] if c.path else "unknown" for c in people}
    tell("done", "both directions delivered; paths at the end: ann %(ann)s, bob %(bob)s" % path, "good")
    if nats:
        tell("", "behind other routers: make demo NATS='symmetric linux'; testbed/netns/kinds/ has them all")


def main():
    nats = sys.argv[2:4]
    stage = Stage(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if nats:
        print(TOPOLOGY.format(*(("[ %s ]" % nat).center(19).rstrip() for nat in nats)), flush=True)
    try:
        play(stage, nats)
    except Failure as failure:
        tell("FAILED", str(failure), "bad")
        for program in stage.programs:
            for line in program.errors:
                print("         %s: %s" % (program.name, line))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        stage.stop()
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watch"]:
        watch(sys.argv[2:])
    else:
        sys.exit(main())
