"""The programs in a small internet (internet.sh), and one loop that serves them all.

Everything waits for events; time limits are there to end what has gone wrong.
As a program: lab.py QUESTION... asks the wan.
"""
import ctypes
import json
import os
import selectors
import socket
import subprocess
import sys
import time

WAN_SOCKET = "/run/wan.socket"
SERVER = "203.0.113.1"
ELSEWHERE = "203.0.113.3"  # a host of others, who have nothing to do with ann and bob
PUBLIC = {"a": "198.51.100.1", "b": "192.0.2.1"}
HERE = os.path.dirname(os.path.abspath(__file__))
CLONE_NEWNET = 0x40000000


class Failure(Exception):
    pass


def socket_in(host, address):
    """A UDP socket stays in the network where it was made."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as home, open("/run/netns/" + host) as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise Failure("setns: " + os.strerror(ctypes.get_errno()))
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, 0))
        if libc.setns(home.fileno(), CLONE_NEWNET):
            raise Failure("setns: " + os.strerror(ctypes.get_errno()))
    return s


class Program:
    """A child in a host. Its lines come to said(); what it says to stderr is kept for the case that something fails."""

    def __init__(self, lab, host, argv, typed=""):
        """typed: what is there to be read when it starts."""
        self.name = host
        self.lab = lab
        reader, writer = os.pipe()
        self.stdin = open(writer, "wb", buffering=0)
        self.stdin.write(typed.encode())
        self.child = subprocess.Popen(["nsenter", "--net=/run/netns/" + host, "--", *argv], stdin=reader,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=lab.environment)
        os.close(reader)
        self.lines = []
        self.pending = {"stdout": b"", "stderr": b""}
        self.errors = []
        self.may_end = False
        for stream in ("stdout", "stderr"):
            pipe = getattr(self.child, stream)
            os.set_blocking(pipe.fileno(), False)
            lab.selector.register(pipe, selectors.EVENT_READ, (self, stream))
        # A pipe's end comes a moment before that of the process.
        lab.selector.register(os.pidfd_open(self.child.pid), selectors.EVENT_READ, (self, "end"))
        lab.programs.append(self)

    def take(self, stream, data):
        *lines, self.pending[stream] = (self.pending[stream] + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")
            if stream == "stderr":
                self.errors = (self.errors + [text])[-20:]
            else:
                self.said(text)

    def said(self, line):
        self.lines.append(line)

    def waited_s(self):
        """So long it could have run, but had to wait for a processor: what a busy machine adds to our times."""
        try:
            with open("/proc/%d/schedstat" % self.child.pid) as file:
                return int(file.read().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0

    def kill(self):
        self.may_end = True
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()


class Client(Program):
    """p2p-client --json"""

    def __init__(self, lab, name, typed):
        self.events = []  # each with the time at which it came, as "at"
        super().__init__(lab, name, [lab.build + "/p2p-client", "--json", "--keyword", lab.keyword, "--name", name,
                                     "--server", lab.server_name], json.dumps({"send": typed, "id": 1}) + "\n")

    def said(self, line):
        event = json.loads(line)
        event["at"] = time.monotonic()
        self.events.append(event)

    def all(self, kind, **fields):
        return [e for e in self.events if e["event"] == kind and all(e.get(k) == v for k, v in fields.items())]

    def last(self, kind):
        return next((e for e in reversed(self.events) if e["event"] == kind), None)

    def path(self):
        event = self.last("path")
        return event["path"] if event else None

    def is_direct(self):
        return self.path() in ("direct", "lan")

    def tell(self, **command):
        self.stdin.write(json.dumps(command).encode() + b"\n")

    def texts(self):
        return [e["text"] for e in self.all("message")]


class Foreigners(Program):
    """Other people's traffic in a home: new flows to nowhere. The wan counts them as unroutable."""

    PER_S = 5

    def __init__(self, lab, side, seed):
        super().__init__(lab, "others-" + side, [sys.executable, HERE + "/foreign.py", str(self.PER_S), str(seed)])
        self.lab.wait(lambda: self.lines, self.name + " have begun")


class Wan:
    """The program `wan`, and what it counts."""

    def __init__(self, lab, delays_ms, options):
        lab.see_that_routers_are_new()
        with open("/run/wan.edges") as edges:
            self.edges = [line.strip() for line in edges]
        argv = [lab.build + "/wan", "socket", WAN_SOCKET]
        argv += [str(word) for option in options.items() for word in option]
        argv += ["%s,%g" % (edge, delays_ms[edge.split(",")[0].removeprefix("carrier-").removeprefix("home-")])
                 for edge in self.edges]
        self.program = Program(lab, "wan", argv)
        lab.wait(lambda: self.program.lines, "the wan is ready")

    @staticmethod
    def ask(question):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(WAN_SOCKET)
            s.sendall(question.encode() + b"\n")
            answer = json.load(s.makefile())
        if "error" in answer:
            raise Failure("the wan does not understand: " + question)
        return answer

    def ask_counts(self):
        counts = self.ask("counts")
        if counts["overflow"] or counts["foreign"]:
            raise Failure("the wan lost %(overflow)d packets, and %(foreign)d came from foreign addresses" % counts)
        return counts

    def counts(self):
        return {(pair["from"], pair["to"]): pair for pair in self.ask_counts()["pairs"]}

    def to_nowhere(self):
        return self.ask_counts()["unroutable"]

    def trace(self):
        return {(pair["from"], pair["to"]): pair["packets"] for pair in self.ask("trace")}


class Lab:
    def __init__(self, build, keyword="42-crab-lunar-toast", time_max_s=60.0):
        self.build = os.path.abspath(build)
        self.keyword = keyword
        self.server_addresses, self.server_name = [SERVER, "203.0.113.2"], SERVER
        self.deadline = time.monotonic() + time_max_s
        self.selector = selectors.DefaultSelector()
        self.programs = []
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("P2P_")}

    def serve_until(self, done, until):
        """Serves the programs until done() (True) or the time `until` (False)."""
        while not done():
            left = until - time.monotonic()
            if left <= 0:
                return False
            for key, _ in self.selector.select(left):
                program, stream = key.data
                if stream == "end":
                    program.child.wait()
                    self.selector.unregister(key.fileobj)
                    continue
                data = key.fileobj.read(65536)
                if data:
                    program.take(stream, data)
                elif data == b"":
                    self.selector.unregister(key.fileobj)
        return True

    def wait(self, done, what, within_s=30.0):
        def dead():
            return [p for p in self.programs if p.child.returncode is not None and not p.may_end]

        in_time = self.serve_until(lambda: done() or dead(), min(self.deadline, time.monotonic() + within_s))
        if done():
            return
        for program in dead():
            raise Failure("%s ended with status %d before: %s" % (program.name, program.child.returncode, what))
        assert not in_time
        raise Failure("did not happen in %g s: %s" % (within_s, what))

    def wait_polling(self, done, what, every_s=0.01):
        """For what nobody tells: the wan only answers."""
        while not done():
            self.serve_until(lambda: False, time.monotonic() + every_s)
            if time.monotonic() > self.deadline:
                raise Failure("did not happen: " + what)

    def use_v6(self):
        """... too, if it can."""
        self.server_addresses.append("[2001:db8::1]")
        self.server_name = "server.example"

    def see_that_routers_are_new(self):
        """What a router remembers from before would be part of the result. Nothing can pass before the wan runs."""
        for host in sorted(os.listdir("/run/netns")):
            if host.startswith(("home-", "carrier-")):
                count = int(self.in_host(host, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))
                if count:
                    raise Failure("%s knows %d flows already" % (host, count))

    def start_server(self, *options):
        where = [word for address in self.server_addresses for word in ("--listen", address + ":41414")]
        server = Program(self, "server", [self.build + "/p2p-server", *where, *options])
        self.wait(lambda: "ready" in server.lines, "the server is ready")
        return server

    def in_host(self, host, *argv):
        return subprocess.run(["nsenter", "--net=/run/netns/" + host, "--", *argv], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def wait_exit(self, program, within_s=20.0):
        self.wait(lambda: program.child.returncode is not None, program.name + " ends", within_s)

    def say_what_failed(self, to=sys.stderr):
        for program in self.programs:
            status = program.child.poll()
            print("    %s: %s" % (program.name, "runs" if status is None else "ended with status %d" % status), file=to)
            for line in program.errors:
                print("      " + line, file=to)
            telling = [e for e in getattr(program, "events", []) if e["event"] not in ("message", "delivered", "sent")]
            for event in telling[-12:]:
                print("      " + json.dumps(event), file=to)


if __name__ == "__main__":
    print(json.dumps(Wan.ask(" ".join(sys.argv[1:])), indent=1))
