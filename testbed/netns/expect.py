"""What two kinds of NAT allow (docs/protocol.md, "Hard NATs"), so what the programs must reach."""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))


def described(kind):
    """The head of the kind's file: {"mapping": ..., "filtering": ...}; what it does not say is "no"."""
    with open(os.path.join(HERE, "kinds", kind + ".sh")) as file:
        words = re.findall(r"^# (mapping|filtering|ports|hairpin|poisoned|timeout|sessions) (\S+)$", file.read(), re.M)
    return dict(words)


def kinds():
    """In the order of the matrix, easy ones first."""
    return ["none", "full-cone", "cgn", "address-restricted", "firewall", "port-restricted", "shifting", "linux",
            "open-input", "short-timeout", "few-sessions", "sequential", "keeps-first", "symmetric",
            "few-sessions-random"]


# One kind of each class: all of them against each other are the short matrix.
CLASSES = ["address-restricted", "port-restricted", "linux", "sequential", "symmetric"]

# From lax to strict; of two NATs in a row the stricter one is what others see.
STRICTNESS = ["none", "endpoint-independent", "address-dependent", "address-and-port-dependent"]


def behind(chain):
    """What a probe must find behind these NATs, the one at home first."""
    described_all = [described(kind) for kind in chain]

    def strictest(word):
        return max((d[word] for d in described_all), key=STRICTNESS.index)

    # The last NAT that gives ports decides which.
    ports = next((d["ports"] for d in reversed(described_all) if d.get("ports", "preserved") != "preserved"), "preserved")
    return {"mapping": strictest("mapping"), "filtering": strictest("filtering"), "ports": ports}


def engine_says(chain, server_addresses=2):
    """... and what the clients' `nat` events must say: who keeps the first port preserves that of a fresh socket; and
    who knows one address of the server does not see what depends on it."""
    nat = behind(chain)
    if server_addresses == 1:
        hidden = ("endpoint-independent", "address-dependent")
        nat.update({word: "port-independent" for word in ("mapping", "filtering") if nat[word] in hidden})
    return {**nat, "ports": "preserved" if nat["ports"] == "sequential-after-first" else nat["ports"]}


def is_easy_pair(chain_a, chain_b):
    """Both have one port for all destinations."""
    return all(group(engine_says(chain)) in ("easy", "strict") for chain in (chain_a, chain_b))


def group(nat):
    """easy: it lets in, or can be told of; strict: one port, but only for who was written to; sequential; random."""
    if nat["mapping"] in ("none", "endpoint-independent"):
        return "strict" if nat["filtering"] == "address-and-port-dependent" else "easy"
    return nat["ports"]


def need(chain_a, chain_b):
    """None: direct by candidates and what packets show; "prediction" of a counter's next ports; "birthday": 256 sockets
    against random ports; or "impossible"."""
    groups = {group(engine_says(chain_a)), group(engine_says(chain_b))}
    if "easy" in groups or groups == {"strict"}:
        return None
    if "random" not in groups:
        return "prediction"
    return "birthday" if "strict" in groups else "impossible"


def is_quick(chain_a, chain_b):
    """A counter on one side only: one window is enough."""
    groups = {group(engine_says(chain_a)), group(engine_says(chain_b))}
    return groups == {"strict", "sequential"}


UNDECIDED = "is looked for"  # what a reason contains as long as it is none


def reason_fault(reason, own_chain):
    """Why this is no reason to be relayed."""
    if UNDECIDED in reason:
        return "undecided"
    mapping = engine_says(own_chain)["mapping"]
    return None if mapping in reason else "it does not say %s" % mapping


def path(needed, chains=()):
    """direct, relay, or any where the engine may give up to spare a small router."""
    if needed == "impossible":
        return "relay"
    small = any("sessions" in described(kind) for chain in chains for kind in chain)
    return "any" if small and needed == "birthday" else "direct"
