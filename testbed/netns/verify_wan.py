"""Looks whether the wan does what wan.c says. usage: verify_wan.py BUILD     (inside private.sh); prints figures as JSON.

Two sockets, ann's and the server's, between them a router that takes one off the TTL, and the wan.
"""
import json
import os
import socket
import subprocess
import sys
import time

from lab import SERVER, Failure, Lab, Wan, socket_in

HERE = os.path.dirname(os.path.abspath(__file__))
IP_RECVERR, IP_RECVTTL = 11, 12  # Python does not know them everywhere
ONE_WAY_MS = 25
COUNT = 1500


class Line:
    """From ann to the server."""

    def __init__(self, wan):
        self.wan = wan
        self.near, self.far = socket_in("ann", "0.0.0.0"), socket_in("server", SERVER)
        self.far.settimeout(5)
        self.far.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        self.sent = 0

    def count(self, what):
        return sum(p[what] for (_, to), p in self.wan.counts().items() if to == SERVER)

    def send(self, ttl=64):
        self.near.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        self.sent += 1
        self.near.sendto(b"%d" % self.sent, self.far.getsockname())
        return self.sent

    def ttl_taken(self, ttl):
        """... by the wan; the router takes one."""
        number = self.send(ttl)
        data, ancillary, _, _ = self.far.recvmsg(100, socket.CMSG_SPACE(4))
        if int(data) != number:
            raise Failure("something else arrived")
        return ttl - 1 - int.from_bytes(ancillary[0][2], sys.byteorder)

    def travel_ms(self):
        began = time.monotonic()
        number = self.send()
        if int(self.far.recv(100)) != number:
            raise Failure("something else arrived")
        return round(1000 * (time.monotonic() - began), 1)

    def arrivals(self):
        """The numbers of what is there."""
        numbers = []
        self.far.setblocking(False)
        try:
            while True:
                numbers.append(int(self.far.recv(100)))
        except BlockingIOError:
            return numbers
        finally:
            self.far.settimeout(5)

    def send_many(self, count):
        """... at a pace, and what arrived, in order. Then the line is calm, and one more is a fence."""
        came = []
        for _ in range(count):
            self.send()
            time.sleep(0.0005)  # the pace
            came += self.arrivals()
        self.wan.ask("set loss 0 duplicate 0 jitter 0 reorder 0")
        time.sleep(0.1)  # longer than what is under way can take
        fence = self.send()
        came += self.arrivals()
        while (number := int(self.far.recv(100))) != fence:
            came.append(number)
        return came


def hops(line):
    """The least TTL with which a packet arrives, whether somebody complains about others, and what is left of 64."""
    line.near.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    line.near.settimeout(5)
    expired = line.count("expired")
    for ttl in (4, 7):
        line.send(ttl)
        try:
            line.near.recv(100)
            raise Failure("an answer to TTL %d" % ttl)
        except OSError as error:  # "no route to host" is what the kernel makes of "time exceeded"
            if isinstance(error, TimeoutError):
                raise Failure("nobody complains about TTL %d" % ttl) from None
    line.near.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 0)
    return {"expired": line.count("expired") - expired, "ttl_taken": [line.ttl_taken(8), line.ttl_taken(64)]}


def jitter(line, most_ms=10):
    """What it changes in the least time, and the quarters of what it changes. A busy machine adds to all times: of each
    two, one with and one without, to either as likely."""
    times = {0: [], most_ms: []}
    for _ in range(40):
        for ms in times:
            line.wan.ask("set jitter %d" % ms)
            times[ms].append(line.travel_ms())
    line.wan.ask("set jitter 0")
    changes = sorted(with_it - without for without, with_it in zip(*times.values()))
    return [round(ms, 1) for ms in (min(times[most_ms]) - min(times[0]), changes[10], changes[20], changes[30])]


def figures(line):
    result = {"one_way_ms": min(line.travel_ms() for _ in range(5)), **hops(line)}
    result["jitter_ms"] = jitter(line)

    before = {what: line.count(what) for what in ("sent", "arrived", "lost", "duplicated")}
    line.wan.ask("set loss 10 duplicate 5 reorder 2 overtake 30")
    came = line.send_many(COUNT)
    now = {what: line.count(what) - before[what] for what in before}
    result["lost_percent"] = round(100 * now["lost"] / COUNT, 1)
    result["duplicated_percent"] = round(100 * now["duplicated"] / COUNT, 1)
    result["out_of_order"] = sum(b < a for a, b in zip(came, came[1:]))
    result["counted_as_it_was"] = (now["sent"], now["arrived"], len(set(came))) == (
        COUNT + 1, len(came) + 1, COUNT - now["lost"]) and len(came) == COUNT - now["lost"] + now["duplicated"]

    ann = next(src for (src, dst) in line.wan.counts() if dst == SERVER)
    line.wan.ask("lose %s %s 2" % (ann, SERVER))
    result["lost_on_demand"] = line.send_many(5) == list(range(line.sent - 3, line.sent))
    return result


def main():
    if subprocess.run([HERE + "/internet.sh", "homes", "none", "none"], check=False).returncode:
        sys.exit(75)
    lab = Lab(sys.argv[1])
    try:
        result = figures(Line(Wan(lab, {"server": 0, "a": ONE_WAY_MS, "b": 0}, {})))
    except Failure as failure:
        lab.say_what_failed()
        result = {"failure": str(failure)}
    print(json.dumps(result), flush=True)
    os._exit(1 if "failure" in result else 0)


if __name__ == "__main__":
    main()
