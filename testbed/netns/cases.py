"""Which cells there are, and what makes each of them good."""
import copy
import json
import os

import expect

BUILD = os.environ.get("P2P_BUILD", "build")

# One way to the middle of the wan: R = 50 ms to the server, P = 100 ms between the two.
EVEN_MS = {"server": 0, "a": 25, "b": 25}
UNEVEN_MS = {"server": 0, "a": 5, "b": 60}
UNEVEN_OTHER_WAY_MS = {"server": 0, "a": 60, "b": 5}
BAD_LINE = {"loss": 10, "jitter": 20, "duplicate": 2, "reorder": 2, "overtake": 30}

COMPUTING_MS = 50.0   # for all programs; what they wait for a processor on a busy machine comes on top
DATAGRAMS_MAX = 12    # of an easy pair: between the peers until both have validated, and as many with the server
PROBES_MAX = 2000     # of a pair that is not easy: from one home to the other, until they are direct
PROBES_PER_S_MAX = 500
SOCKETS_MAX = 256 + 1 # for guessing, and the one that everything begins with
CHAT_MAX = 200        # packets that the chat may add, so that guessing does not go on under it
DIRECT_MAX_MS = 10000 # of what is hard
QUICK_MAX_MS = 2000   # ... and a counter on one side only, with nobody else's traffic
HARD_RUNS = 10        # what is hard has to be direct so often in a row

# Single pairs beside those of expect.CLASSES.
SINGLES = [("none", "none"), ("none", "symmetric"), ("full-cone", "full-cone"), ("full-cone", "symmetric"),
           ("cgn", "symmetric"), ("firewall", "firewall"), ("firewall", "symmetric"), ("firewall", "sequential"),
           ("sequential", "firewall"), ("sequential", "port-restricted"), ("sequential", "linux"),
           ("keeps-first", "linux"), ("linux", "keeps-first"), ("keeps-first", "sequential"),
           ("keeps-first", "keeps-first"), ("shifting", "linux"), ("shifting", "symmetric"),
           ("symmetric", "port-restricted"), ("symmetric", "linux"), ("open-input", "port-restricted"),
           ("open-input", "open-input"), ("open-input", "sequential"), ("open-input", "symmetric"),
           ("symmetric", "open-input"), ("few-sessions", "linux"), ("few-sessions", "few-sessions-random")]

# With other people's traffic in one of the homes, or in both: it takes ports of a NAT that counts.
FOREIGN = [("sequential", "port-restricted", "a"), ("port-restricted", "sequential", "b"), ("sequential", "linux", "a"),
           ("linux", "sequential", "b"), ("keeps-first", "linux", "a"), ("sequential", "sequential", "a"),
           ("sequential", "sequential", "b"), ("sequential", "sequential", "ab")]

# Beside IPv6 with a firewall in both homes, which makes it direct, whatever the NATs do to IPv4.
V6 = [("symmetric", "symmetric"), ("symmetric", "linux"), ("address-restricted", "linux")]

# The small router on either side of a hard pair, and with either person.
BYSTANDERS = [("few-sessions", "symmetric", "a"), ("symmetric", "few-sessions", "b"),
              ("few-sessions-random", "port-restricted", "a"), ("port-restricted", "few-sessions-random", "b")]


class Job:
    patient = False  # most of its time it waits, by design

    def judge(self, result):
        """Why it is not good; None: it is."""
        return result.get("failure") or self.find_fault(result)


class Cell(Job):
    def __init__(self, name, layout, a, b, carriers=(), story="pair", path=None, needed=None, patient=False, **more):
        self.name, self.patient = name, patient
        two = list(carriers) * 2 if layout == "carriers" else [*carriers, *carriers]
        self.chains = ([a, *two[:1]], [a if layout in ("lan", "isolated") else b, *two[1:2]])
        self.needed = needed or (expect.need(*self.chains) if path is None else None)
        self.spec = {"layout": layout, "a": a, "b": b, "carriers": list(carriers), "story": story,
                     "expect": path or expect.path(self.needed, self.chains), "delay_ms": EVEN_MS, "wan": {},
                     "foreign": "", "seed": 1, "time_max_s": 120, **more}

    @property
    def argv(self):
        return ["cell.py", BUILD, json.dumps({**self.spec, "wan": {"seed": self.spec["seed"], **self.spec["wan"]}})]

    def is_hard(self):
        """Direct, but not by checks alone."""
        return self.needed is not None and self.spec["expect"] == "direct"

    def again(self, n):
        """The same with other dice; that of the first run is as it is alone."""
        other = copy.copy(self)
        other.name = "%s #%d" % (self.name, n)
        other.spec = {**self.spec, "seed": self.spec["seed"] + n - 1}
        return other

    def round_trips_ms(self):
        delays = self.spec["delay_ms"]
        sides = ("a", "a") if self.spec["layout"] in ("lan", "isolated", "carrier") else ("a", "b")
        return [2 * (delays[side] + delays["server"]) for side in sides]

    def unit_ms(self):
        """R, where the two are not the same their mean."""
        return sum(self.round_trips_ms()) / 2

    def floor_ms(self):
        """T of DESIGN: no message is readable at both ends before."""
        a, b = self.round_trips_ms()
        return max(a + b, 1.5 * b + 0.5 * a)

    @staticmethod
    def was_held_up(result):
        """By other programs on this machine, so long that timers may have run out and packets been repeated."""
        return result["waited_ms"] > COMPUTING_MS

    def find_fault(self, result):
        for who in ("ann", "bob"):
            probes = result[who].get("to_home")
            if probes and (probes["probes"] > PROBES_MAX or probes["busiest_s"] > PROBES_PER_S_MAX
                           or probes["ports"] > SOCKETS_MAX or probes["sent"] > PROBES_MAX + CHAT_MAX):
                return "%s has sent too much: %s" % (who, probes)
        if self.is_hard() and result.get("direct_ms") is not None:
            quick = expect.is_quick(*self.chains) and not self.spec["foreign"] and self.spec["story"] == "pair"
            took, allowed = result["direct_ms"] - result["waited_ms"], QUICK_MAX_MS if quick else DIRECT_MAX_MS
            if took > allowed:
                return "the direct path took %.0f ms; %.0f are allowed" % (took, allowed)
        if self.needed == "birthday" and result.get("path") == "direct":
            # Openers are to die on the way, or a NAT that lets strangers in is poisoned.
            if not any(result[who].get("to_home", {}).get("expired") for who in ("ann", "bob")):
                return "no opener died on the way"
        if result.get("path") == "relay":
            for who, chain in zip(("ann", "bob"), self.chains):
                fault = expect.reason_fault(result[who]["reason"], chain)
                if fault:
                    return "%s's reason: %s" % (who, fault)
        if self.spec["story"] == "pair":
            took, allowed = result["message_ms"] - result["waited_ms"], self.floor_ms() + COMPUTING_MS
            if took > allowed:
                return "the first message took %.0f ms; %.0f are allowed" % (took, allowed)
            if result["path"] == "direct" and expect.is_easy_pair(*self.chains) and not self.was_held_up(result):
                families = 2 if self.spec["layout"] == "homes-v6" else 1  # the server is asked over each
                for what in ("peer_datagrams", "server_datagrams"):
                    if result[what] > DATAGRAMS_MAX * families:
                        return "%s: %d" % (what, result[what])
            # Who registers over IPv6 knows one IPv4 address of the server.
            addresses = 1 if self.spec["layout"] == "homes-v6" else 2
            for who, chain in zip(("ann", "bob"), self.chains):
                if result[who]["nat"] != expect.engine_says(chain, addresses):
                    return "%s says the NAT is %s" % (who, result[who]["nat"])
        family = "v6" if self.spec["layout"] == "homes-v6" else "v4"
        if result.get("path") == "direct" and result["family"] != family:
            return "the path is of " + result["family"]
        if self.spec["foreign"] and not result["foreign_flows"]:
            return "no foreign traffic"
        return None

    def told(self, result):
        words = [result.get("path", "")]
        for what in ("message", "direct"):
            if result.get(what + "_ms") is not None:
                words.append("%s %.1f R" % (what, result[what + "_ms"] / self.unit_ms()))
        if "peer_datagrams" in result:
            words.append("%(peer_datagrams)d+%(server_datagrams)d datagrams" % result)
        if self.was_held_up({"waited_ms": 0, **result}):
            words.append("held up for %.0f ms" % result["waited_ms"])
        if "delivered_s" in result:
            words.append("delivered after %.2f s" % result["delivered_s"])
        if "again_s" in result:
            words.append("direct again after %.2f s" % result["again_s"])
        if "foreign_flows" in result:
            words.append("%d foreign flows" % result["foreign_flows"])
        if result.get("poisoned"):
            words.append("bob's port was poisoned")
        if "bystanders" in result:
            words.append("bystanders %s" % result["bystanders"])
        return ", ".join(words)


class Probe(Job):
    """Is a kind of NAT what its name says?"""

    WORDS = ("mapping", "filtering", "ports", "hairpin", "poisoned", "timeout", "sessions")

    def __init__(self, kind):
        self.name, self.kind = "probe/" + kind, kind
        self.said = expect.described(kind)
        self.patient = "timeout" in self.said
        wanted = {"ann": [word for word in ("timeout", "sessions") if word in self.said]}
        spec = {"layout": "homes", "a": kind, "b": "none", "carriers": [], "wanted": wanted}
        self.argv = ["verify.py", BUILD, json.dumps(spec)]

    def find_fault(self, result):
        wrong = []
        for word in self.WORDS:
            found, said = str(result["ann"].get(word, "no")), self.said.get(word, "no")
            if word == "timeout" and said != "no":
                said = "25"  # the first pause of the probe that is longer
            if word in ("ports", "hairpin") and self.said["mapping"] == "none":
                continue
            if found != said:
                wrong.append("%s is %s, not %s" % (word, found, said))
        return "; ".join(wrong) or None

    def told(self, result):
        return ", ".join("%s %s" % item for item in result.get("ann", {}).items() if item[1] != "no")


class LayoutProbe(Job):
    """Are the homes connected as the layout says?"""

    def __init__(self, name, layout, a, b, carriers, one_address, reaches):
        self.name = "probe/" + name
        self.one_address, self.reaches = one_address, reaches
        self.chains = ([a, *carriers[:1]], [b if layout in ("homes", "carriers", "carrier") else a, *carriers[-1:]])
        spec = {"layout": layout, "a": a, "b": b, "carriers": carriers, "wanted": {}}
        self.argv = ["verify.py", BUILD, json.dumps(spec)]

    def find_fault(self, result):
        wrong = []
        for who, chain in zip(("ann", "bob"), self.chains):
            for word, said in expect.behind(chain).items():
                if result[who][word] != said:
                    wrong.append("%s: %s is %s, not %s" % (who, word, result[who][word], said))
        if result["one address"] != self.one_address:
            wrong.append("one address outside: %s" % result["one address"])
        if result["reaches"] != self.reaches:
            wrong.append("ann reaches bob by %s" % result["reaches"])
        return "; ".join(wrong) or None

    def told(self, result):
        return "ann reaches bob by %s" % (" and ".join(result.get("reaches", [])) or "nothing")


class HarmProbe(Job):
    """Would the bystanders of stories.py notice that a router is full? (Old flows live on, new ones fail.)"""

    name = "probe/bystanders"
    argv = ["verify.py", BUILD, json.dumps({"layout": "homes", "a": "few-sessions", "b": "none", "carriers": [],
                                            "question": "harm"})]

    def find_fault(self, result):
        return "old flows broke" if result["broken"] else None

    def told(self, result):
        return "new flows fail, old ones live"


class ForeignProbe(Job):
    """Does other people's traffic take the ports of a NAT that counts?"""

    name = "probe/foreign"
    argv = ["verify.py", BUILD, json.dumps({"layout": "homes", "a": "sequential", "b": "none", "carriers": [],
                                            "question": "foreign"})]

    def find_fault(self, result):
        return None if result["one_each"] and 3 <= result["flows_per_s"] <= 7 else json.dumps(result)

    def told(self, result):
        return "%(flows_per_s)s flows a second, each takes a port" % result


class V6Probe(Job):
    """Does IPv6 get through as it should, and only so?"""

    name = "probe/v6"
    argv = ["verify.py", BUILD, json.dumps({"layout": "homes-v6", "a": "linux", "b": "linux", "carriers": [],
                                            "question": "v6"})]

    def find_fault(self, result):
        return None if result == {"first": "answer", "asker": "2001:db8:a:1::10"} else json.dumps(result)

    def told(self, result):
        return "strangers are kept out, answers come in"


class WanProbe(Job):
    """Does the wan do what it is told, and count it?"""

    name = "probe/wan"
    argv = ["verify_wan.py", BUILD]

    def find_fault(self, result):
        # A busy machine may add a little to one of two times that are compared.
        good = (25 <= result["one_way_ms"] <= 30 and result["expired"] == 2
                and result["ttl_taken"] == [6, 6] and 8 <= result["lost_percent"] <= 12
                and -11 <= result["jitter_ms"][0] <= -6 and -3 <= result["jitter_ms"][2] <= 5
                and 2 <= result["jitter_ms"][3] <= 12
                and 3 <= result["duplicated_percent"] <= 6 and 10 <= result["out_of_order"] <= 60
                and result["counted_as_it_was"] and result["lost_on_demand"])
        return None if good else json.dumps(result)

    def told(self, result):
        return ", ".join("%s %s" % item for item in result.items())


def probes():
    return [WanProbe(), HarmProbe(), ForeignProbe(), V6Probe(), *map(Probe, expect.kinds()),
            LayoutProbe("lan", "lan", "linux", "none", [], True, ["local"]),
            LayoutProbe("isolated/no-hairpin", "isolated", "linux", "none", [], True, []),
            LayoutProbe("isolated/hairpin", "isolated", "cgn", "none", [], True, ["public"]),
            LayoutProbe("carriers/full-cone", "carriers", "linux", "linux", ["full-cone", "full-cone"], False, ["public"]),
            LayoutProbe("carriers/symmetric", "carriers", "linux", "linux", ["symmetric", "full-cone"], False, []),
            LayoutProbe("carrier/hairpin", "carrier", "linux", "linux", ["cgn"], True, ["public"]),
            LayoutProbe("carrier/no-hairpin", "carrier", "linux", "linux", ["full-cone"], True, [])]


def pair(a, b, **more):
    return Cell("pair/%s/%s" % (a, b), "homes", a, b, **more)


def special_cells():
    return [
        Cell("lan", "lan", "linux", "none", path="inside"),
        Cell("carriers/full-cone", "carriers", "linux", "linux", ["full-cone", "full-cone"]),
        Cell("carriers/linux", "carriers", "linux", "linux", ["linux", "linux"]),
        Cell("carriers/symmetric", "carriers", "linux", "linux", ["symmetric", "full-cone"]),
        Cell("carrier/hairpin", "carrier", "linux", "linux", ["cgn"], path="inside"),
        Cell("carrier/no-hairpin", "carrier", "linux", "linux", ["full-cone"], path="relay"),
        Cell("isolated/no-hairpin", "isolated", "linux", "none", path="relay"),
        Cell("isolated/hairpin", "isolated", "cgn", "none", path="inside"),
        *(Cell("v6/%s/%s" % (a, b), "homes-v6", a, b, path="direct") for a, b in V6),
        Cell("uneven/linux", "homes", "linux", "linux", delay_ms=UNEVEN_MS),
        # 10 ms between the far one's first packet and poison: what the machine is busy with decides which ports it takes.
        Cell("uneven/open-input", "homes", "open-input", "open-input", delay_ms=UNEVEN_MS, needed="fresh-sockets",
             path="direct"),
        Cell("uneven/other-way", "homes", "open-input", "open-input", delay_ms=UNEVEN_OTHER_WAY_MS,
             needed="fresh-sockets", path="direct"),
        Cell("early-packet/linux", "homes", "port-restricted", "linux", story="early_packet"),
        Cell("early-packet/open-input", "homes", "port-restricted", "open-input", story="early_packet",
             needed="fresh-sockets"),
        Cell("silence/short-timeout", "homes", "short-timeout", "short-timeout", story="silence", patient=True),
        Cell("server-dies", "homes", "linux", "linux", story="server_dies"),
        *(Cell("foreign/%s/%s/%s" % (a, b, sides), "homes", a, b, foreign=sides) for a, b, sides in FOREIGN),
        *(Cell("bystanders/%s/%s/%s" % (a, b, side), "homes", a, b, story="bystanders", side=side, patient=True)
          for a, b, side in BYSTANDERS),
        *(Cell("forgets/%s/%s-speaks" % (a, speaker), "homes", a, b, story="nat_forgets", speaker=speaker)
          for a, b in (("linux", "linux"), ("sequential", "address-restricted"), ("symmetric", "full-cone"))
          for speaker in ("ann", "bob")),
        *(Cell("bad-line/%s/%d" % (a, seed), "homes", a, b, story="bad_line", wan=BAD_LINE, seed=seed)
          for a, b in (("linux", "port-restricted"), ("address-restricted", "symmetric")) for seed in (1, 2, 3)),
    ]


def cells(full):
    short = [pair(a, b) for i, a in enumerate(expect.CLASSES) for b in expect.CLASSES[i:]]
    short += [pair(a, b) for a, b in SINGLES] + special_cells()
    if not full:
        return short
    pairs = [pair(a, b) for a in expect.kinds() for b in expect.kinds()]
    again = [cell.again(n) for cell in short if cell.is_hard() for n in range(2, HARD_RUNS + 1)]
    return pairs + special_cells() + again
