"""Looks whether a small internet is what it says, with the probe. usage: verify.py BUILD SPEC     (inside private.sh)

SPEC is JSON: layout, a, b, carriers, and wanted: what else the probe is to find out. Prints, as JSON, what ann's probe
has found and bob's; whether both have the same address outside; and who reaches whom, after bob has sent something to
where ann is seen: "local" (at bob's own address) and "public" (where bob is seen). Or SPEC names a question: "harm" or
"foreign" or "v6", of the functions below.
"""
import json
import os
import subprocess
import sys
import time

from lab import Failure, Foreigners, Lab, Program, Wan, socket_in

HERE = os.path.dirname(os.path.abspath(__file__))
SERVERS = ["203.0.113.1", "203.0.113.2"]
ANN_V6, BOB_V6 = "2001:db8:a:1::10", "2001:db8:b:1::10"
PROBE = [sys.executable, HERE + "/probe.py"]


class Talker(Program):
    """probe.py talk: does what it is told and answers with a line."""

    def __init__(self, lab, host):
        super().__init__(lab, host, [*PROBE, "talk", *SERVERS])
        self.lab.wait(lambda: self.lines, host + " has an address")
        start = json.loads(self.lines[0])
        self.local, self.seen = start["local"], start["seen"]

    def order(self, **order):
        had = len(self.lines)
        self.stdin.write(json.dumps(order).encode() + b"\n")
        self.lab.wait(lambda: len(self.lines) > had, self.name + " has done it")
        return json.loads(self.lines[had])


def who_reaches_whom(lab):
    ann, bob = Talker(lab, "ann"), Talker(lab, "bob")
    bob.order(send=ann.seen, name="opener")
    ann.order(send=bob.seen, name="public")
    ann.order(send=bob.local, name="local")
    return bob.order()["got"]


def harm(lab, _):
    """Somebody fills ann's router: do the bystanders notice?"""
    others = Program(lab, "others-a", [*PROBE, "bystand", SERVERS[0]])
    lab.wait(lambda: len(others.lines) > 2, "the bystanders have their flows")
    hog = Program(lab, "ann", [*PROBE, "ask", *SERVERS, "sessions"])
    hog.may_end = True
    lab.wait(lambda: not json.loads(others.lines[-1]).get("new", True), "a new flow fails")
    return json.loads(others.lines[-1])


def foreign(lab, wan, flows=20):
    """Foreign flows between two flows of ann's: how many there were a second, and whether each took a port."""
    Foreigners(lab, "a", seed=1)
    # The first port was given between the counts 0 and 1, the second one between 2 and 3.
    counts = [wan.to_nowhere()]
    ports = [Talker(lab, "ann").seen[1]]
    counts.append(wan.to_nowhere())
    began = time.monotonic()
    lab.wait_polling(lambda: wan.to_nowhere() >= counts[1] + flows, "foreign flows pass")
    took_s = time.monotonic() - began
    counts.append(wan.to_nowhere())
    ports.append(Talker(lab, "ann").seen[1])
    counts.append(wan.to_nowhere())
    between = ports[1] - ports[0] - 1
    return {"flows_per_s": round(flows / took_s, 1), "ports_taken": between,
            "one_each": counts[2] - counts[1] <= between <= counts[3] - counts[0]}


def v6(lab, wan):
    """What comes to ann over IPv6 from a stranger, and then from one whom she has asked; everybody keeps their address."""
    ann, bob = socket_in("ann", ANN_V6), socket_in("bob", BOB_V6)
    for s in (ann, bob):
        s.settimeout(5)
    bob.sendto(b"strange", ann.getsockname())
    lab.wait_polling(lambda: sum(pair["arrived"] for pair in wan.counts().values()), "it is at ann's router")
    ann.sendto(b"question", bob.getsockname())  # at bob's firewall it is an answer
    _, asker = bob.recvfrom(100)
    bob.sendto(b"answer", asker)
    return {"first": ann.recv(100).decode(), "asker": asker[0]}


def verify(lab, spec):
    wan = Wan(lab, {"server": 0, "a": 2, "b": 2}, {})
    server = Program(lab, "server", [*PROBE, "serve", *SERVERS])
    lab.wait(lambda: server.lines, "the probe's server is ready")
    if "question" in spec:
        return {"harm": harm, "foreign": foreign, "v6": v6}[spec["question"]](lab, wan)
    found = {}
    for host in ("ann", "bob"):
        asking = Program(lab, host, [*PROBE, "ask", *SERVERS, *spec["wanted"].get(host, [])])
        asking.may_end = True
        lab.wait(lambda: asking.lines, "the probe has found something", 80)
        found[host] = json.loads(asking.lines[0])
        if "error" in found[host]:
            raise Failure(found[host]["error"])
    found["one address"] = found["ann"].pop("address") == found["bob"].pop("address")
    if not spec["wanted"]:  # they may have left no room for more
        found["reaches"] = who_reaches_whom(lab)
    return found


def main():
    build, spec = sys.argv[1], json.loads(sys.argv[2])
    status = subprocess.run([HERE + "/internet.sh", spec["layout"], spec["a"], spec["b"], *spec["carriers"]],
                            check=False).returncode
    if status:
        sys.exit(status)
    lab = Lab(build, time_max_s=120)
    try:
        result = verify(lab, spec)
    except Failure as failure:
        lab.say_what_failed()
        result = {"failure": str(failure)}
    print(json.dumps(result), flush=True)
    os._exit(1 if "failure" in result else 0)


if __name__ == "__main__":
    main()
