"""What two kinds of NAT allow (DESIGN: "Getting through"), and how much of that the engine can do today."""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))

# What the engine can do beyond candidates, checks and learnt addresses. Put a technique here when the engine has it,
# and the cells that need it are expected to be direct.
#   "prediction"     of a sequential NAT's next ports
#   "birthday"       256 sockets against random ports
#   "fresh-sockets"  out of a poisoned port
ENGINE_HAS = frozenset()


def described(kind):
    """The head of the kind's file: {"mapping": ..., "filtering": ...}; what it does not say is "no"."""
    with open(os.path.join(HERE, "kinds", kind + ".sh")) as file:
        words = re.findall(r"^# (mapping|filtering|ports|hairpin|poisoned|timeout|sessions) (\S+)$", file.read(), re.M)
    return dict(words)


def kinds():
    """In the order of the matrix, easy ones first."""
    return ["none", "firewall", "full-cone", "cgn", "address-restricted", "port-restricted", "linux", "open-input",
            "short-timeout", "few-sessions", "sequential", "symmetric"]


def group(kind):
    """easy: it lets in, or can be told of; strict: one port, but only for who was written to; sequential; random."""
    d = described(kind)
    if d["mapping"] in ("none", "endpoint-independent"):
        return "strict" if d["filtering"] == "address-and-port-dependent" else "easy"
    return d["ports"]


def need(kind_a, kind_b):
    """None: direct by candidates and what packets show; a technique; or "impossible"."""
    groups = {group(kind_a), group(kind_b)}
    if "easy" in groups or groups == {"strict"}:
        return None
    if "random" not in groups:
        return "prediction"
    return "birthday" if "strict" in groups else "impossible"


def expected(needed):
    return "direct" if needed is None or needed in ENGINE_HAS else "relay"
