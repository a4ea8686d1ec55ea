"""What happens in a cell. Each is a function of a Cell; the first lines of cell.py say how it is judged."""
import json
import sys
import time

import expect
from lab import ELSEWHERE, PUBLIC, SERVER, Failure, Program


def ports_from(cell, side):
    """From which ports of this home packets have come to the other home."""
    other = {"a": "b", "b": "a"}[side]
    packets = cell.wan.trace().get((PUBLIC[side], PUBLIC[other]), [])
    return {p["ports"][0] for p in packets}


def pair(cell):
    """Two people meet and talk."""
    cell.meet()
    cell.find_path()


def server_dies(cell):
    """A direct chat does not need the server."""
    cell.meet()
    cell.become_direct()
    cell.server.kill()
    cell.expect_path("direct")
    cell.expect_path("direct")


def nat_forgets(cell):
    """A router loses its table under a live chat; `speaker` is the first to say something after it."""
    cell.meet()
    cell.become_direct()
    cell.expect_path("direct")
    before = ports_from(cell, "a")
    cell.lab.in_host("home-a", "conntrack", "-F")
    speaker, reader = cell.both() if cell.spec["speaker"] == "ann" else cell.both()[::-1]
    began = time.monotonic()
    speaker.tell(send="are you there?", id=2)
    cell.lab.wait(lambda: "are you there?" in reader.texts() and speaker.all("delivered", id=2), "it is delivered")
    cell.result["delivered_s"] = round(time.monotonic() - began, 3)
    cell.expect_path_again("direct")
    kept = expect.described(cell.spec["a"])["ports"] == "preserved"
    if kept != (ports_from(cell, "a") <= before):
        raise Failure("the router was to %s its ports" % ("keep" if kept else "change"))


def bad_line(cell):
    """Loss, jitter, packets twice and out of order, all the time."""
    cell.meet()
    cell.become_direct(40)
    for _ in range(3):
        cell.chat()
    # What is repeated goes over the relay as well, so the path is counted in calm.
    cell.wan.ask("set loss 0 jitter 0 duplicate 0 reorder 0")
    cell.expect_path_again("direct")


def early_packet(cell):
    """The server's first envelope to bob gets lost, so that ann's first packet is at bob's router before bob has sent
    anything to her."""
    signal = "2a"
    cell.meet(before_bob=lambda: cell.wan.ask("lose %s %s 1 %s" % (SERVER, PUBLIC["b"], signal)))
    cell.find_path()
    known = int(cell.bob.all("registered")[0]["observed"].rsplit(":", 1)[1])
    cell.result["poisoned"] = known not in ports_from(cell, "b")


def silence(cell):
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
    cell.lab.wait_polling(lambda: min(now - then for now, then in zip(asked(), before)) >= 4
                          and time.monotonic() - began > 2 * remembered_s, "they ask each other", every_s=0.5)
    cell.expect_path("direct")
    if [len(c.all("path")) for c in cell.both()] != paths:
        raise Failure("the path did not live through the silence")


def sent_between_homes(cell):
    counts = cell.wan.counts()
    return sum(counts[ends]["sent"] for ends in ((PUBLIC["a"], PUBLIC["b"]), (PUBLIC["b"], PUBLIC["a"])) if ends in counts)


def let_punching_end(cell, calm_s=3.0, packets=5):
    """Until hardly anything has gone from home to home for a while: a few checks and keepalives may."""
    def is_calm():
        before = sent_between_homes(cell)
        cell.lab.serve_until(lambda: False, time.monotonic() + calm_s)  # the measure
        return sent_between_homes(cell) - before <= packets

    cell.lab.wait_polling(is_calm, "punching ends")


def bystanders(cell):
    """Others use the router of `side`, which has room for few flows: those that they have must live, and new ones may
    fail once, for at most 40 s."""
    probe = [sys.executable, cell.here + "/probe.py"]
    server = Program(cell.lab, "server", [*probe, "serve", ELSEWHERE])
    cell.lab.wait(lambda: server.lines, "the bystanders' server is ready")
    others = Program(cell.lab, "others-" + cell.spec["side"], [*probe, "bystand", ELSEWHERE])
    cell.lab.wait(lambda: others.lines, "the bystanders have their flows")
    cell.meet()
    cell.find_path()
    let_punching_end(cell)
    # Until new flows succeed again, or have failed for too long.
    calm = len(others.lines)
    cell.lab.wait(lambda: any(json.loads(line)["new"] for line in others.lines[calm:]), "new flows succeed again", 45)
    judge_bystanders(cell, [json.loads(line) for line in others.lines[1:]])


def judge_bystanders(cell, seconds):
    failures = [line["at"] for line in seconds if not line["new"]]
    cell.result["bystanders"] = {"broken": max(line["broken"] for line in seconds), "new_failed": len(failures),
                                 "for_s": failures[-1] - failures[0] if failures else 0}
    spells = sum(not now["new"] and (i == 0 or seconds[i - 1]["new"]) for i, now in enumerate(seconds))
    if cell.result["bystanders"]["broken"] or spells > 1 or cell.result["bystanders"]["for_s"] > 40:
        raise Failure("other people's flows suffered: %s" % cell.result["bystanders"])
