#!/usr/bin/env python3
"""A second client, written from docs/protocol.md and proto/p2p.proto alone.

It shares no line with the real one: the wire format is coded by hand, the recovery is its own, and
only libsodium's primitives come from outside. It prints one JSON object a line for what it saw, and
takes JSON objects from stdin: {"send": TEXT}, {"command": "quit"}, {"command": "name", "name": N},
{"command": "stats"}, {"command": "rebind"} (go on from another port), {"command": "deaf",
"datagrams": N} (lose the next N that come). The end of stdin means nothing unless --quit-at-eof.
What has to do with NATs is in second_nat.py.
"""
import argparse
import ctypes
import ctypes.util
import fcntl
import hashlib
import json
import os
import random
import re
import select
import signal
import socket
import struct
import sys
import time
import unicodedata

import second_nat

MAGIC = 0x31503250
HERE = os.path.dirname(os.path.abspath(__file__))


# ---------------------------------------------------------------------------------- primitives

def load_sodium():
    names = [ctypes.util.find_library("sodium"), "libsodium.so.23", "libsodium.so.26", "libsodium.so"]
    for name in names:
        if not name:
            continue
        try:
            lib = ctypes.CDLL(name)
        except OSError:
            continue
        lib.sodium_init()
        return lib
    raise SystemExit("libsodium is missing")


SODIUM = load_sodium()


def from_hash(h):
    out = ctypes.create_string_buffer(32)
    if SODIUM.crypto_core_ristretto255_from_hash(out, h) != 0:
        raise ValueError("from_hash")
    return out.raw


def random_scalar():
    out = ctypes.create_string_buffer(32)
    SODIUM.crypto_core_ristretto255_scalar_random(out)
    return out.raw


def scalarmult(n, p):
    """None if the point does not decode or the result is the identity."""
    out = ctypes.create_string_buffer(32)
    if SODIUM.crypto_scalarmult_ristretto255(out, n, p) != 0:
        return None
    return out.raw


def aead_seal(key, nonce, ad, plain):
    out = ctypes.create_string_buffer(len(plain) + 16)
    size = ctypes.c_ulonglong()
    SODIUM.crypto_aead_chacha20poly1305_ietf_encrypt(
        out, ctypes.byref(size), plain, ctypes.c_ulonglong(len(plain)), ad,
        ctypes.c_ulonglong(len(ad)), None, nonce, key)
    return out.raw[:size.value]


def aead_open(key, nonce, ad, cipher):
    if len(cipher) < 16:
        return None
    out = ctypes.create_string_buffer(max(1, len(cipher) - 16))
    size = ctypes.c_ulonglong()
    if SODIUM.crypto_aead_chacha20poly1305_ietf_decrypt(
            out, ctypes.byref(size), None, cipher, ctypes.c_ulonglong(len(cipher)), ad,
            ctypes.c_ulonglong(len(ad)), nonce, key) != 0:
        return None
    return out.raw[:size.value]


def blake(n, message, key=b""):
    return hashlib.blake2b(message, digest_size=n, key=key).digest()


def kdf(key, number, context, n):
    return hashlib.blake2b(b"", digest_size=n, key=key, salt=struct.pack("<Q", number) + bytes(8),
                           person=context + bytes(8)).digest()


def le64(b):
    return struct.unpack("<Q", b[:8])[0]


def leb128(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def lv_cat(*parts):
    return b"".join(leb128(len(p)) + p for p in parts)


# ------------------------------------------------------------------------------------- keyword

def normal_form(text):
    s = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    s = re.sub(r"[\s\-]+", "-", s).strip("-")
    if not 1 <= len(s.encode()) <= 128 or any(unicodedata.category(c) == "Cc" for c in s):
        raise SystemExit("bad keyword")
    return s


class Keyword:
    def __init__(self, text):
        self.text = normal_form(text)
        self.prs = self.text.encode()
        m = re.match(r"^([1-9][0-9]{0,5})-.+", self.text)
        self.room = int(m.group(1)) if m else 0
        self.ci = b"p2p1 room %d" % self.room if self.room else b"p2p1 open"

    def prefix(self, bits):
        return blake(32, b"p2p1 prefix" + self.prs)[0] >> (8 - bits) if bits else 0

    def generator(self):
        dsi = b"CPaceRistretto255"
        pad = max(0, 127 - len(lv_cat(self.prs)) - len(lv_cat(dsi)))
        return from_hash(hashlib.sha512(lv_cat(dsi, self.prs, bytes(pad), self.ci, b"")).digest())


def word_list():
    path = os.path.join(HERE, "..", "..", "src", "wire", "words.c")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    text = text[text.index("words_list["):]
    words = re.findall(r'"([^"]+)"', text[:text.index("};")])
    assert len(words) == 2048, len(words)
    return words


# --------------------------------------------------------------------------------- wire format

# name -> number -> (field, kind, low, high). Kinds: u varint, x fixed32, X fixed64, b bytes with
# allowed sizes low..high, m message (low is its name), + in front for repeated, p packed varints.
U32 = 2 ** 32 - 1
U64 = 2 ** 64 - 1
ENUM = 2 ** 31 - 1
SCHEMA = {
    "Address": {1: ("ip", "b", 0, 16), 2: ("port", "u", 0, 65535)},
    "Share": {1: ("point", "b", 32, 32), 2: ("commitment", "b", 32, 32)},
    "Register": {1: ("token", "X", 1, U64), 2: ("secret", "b", 0, 16), 3: ("cookie", "b", 0, 32),
                 4: ("form", "u", 1, 3), 5: ("room", "u", 0, 999999), 6: ("prefix_bits", "u", 0, 8),
                 7: ("prefix", "u", 0, 255), 8: ("shares", "+m", "Share", 8),
                 9: ("links", "+m", "RelayToken", 15), 10: ("padding", "b", 0, 1200)},
    "RelayToken": {1: ("token", "b", 16, 16), 2: ("side", "u", 0, 1), 3: ("may_tell", "u", 0, 1)},
    "Registered": {1: ("token", "X", 1, U64), 2: ("handle", "X", 1, U64), 3: ("secret", "b", 16, 16),
                   4: ("cookie", "b", 1, 32), 5: ("observed", "m", "Address", 0),
                   6: ("alternate", "m", "Address", 0), 7: ("room", "u", 0, 999999),
                   8: ("lease_s", "u", 1, 3600), 9: ("bits_wanted", "u", 0, U32)},
    "Retry": {1: ("token", "X", 1, U64), 2: ("cookie", "b", 1, 32)},
    "Refused": {1: ("token", "X", 0, U64), 2: ("proof", "X", 0, U64), 3: ("code", "u", 0, ENUM),
                4: ("retry_after_s", "u", 0, 3600)},
    "PeerInfo": {1: ("handle", "X", 1, U64), 2: ("own_point", "b", 32, 32),
                 3: ("share", "m", "Share", 0)},
    "Signal": {1: ("secret", "b", 0, 16), 2: ("proof", "X", 0, U64), 3: ("handle", "X", 1, U64),
               4: ("point", "b", 32, 32), 5: ("datagram", "b", 1, 724)},
    "Link": {1: ("secret", "b", 16, 16), 2: ("token", "m", "RelayToken", 0)},
    "Linked": {1: ("proof", "X", 1, U64), 2: ("token", "b", 16, 16), 3: ("link", "x", 1, U32),
               4: ("observed", "m", "Address", 0)},
    "Relay": {1: ("secret", "b", 0, 16), 2: ("proof", "X", 0, U64), 3: ("link", "x", 1, U32),
              4: ("datagram", "b", 1, 1160)},
    "Leave": {1: ("secret", "b", 0, 16), 2: ("proof", "X", 0, U64), 3: ("reason", "u", 0, ENUM)},
    "Sealed": {1: ("session", "X", 0, U64), 2: ("epoch", "u", 0, U32), 3: ("counter", "X", 0, U64),
               4: ("ciphertext", "b", 17, 1116)},
    "Envelope": {1: ("nonce", "b", 32, 32), 2: ("same", "pX", 15, 0), 3: ("pending", "pX", 40, 0)},
    "Candidate": {1: ("address", "m", "Address", 0), 2: ("kind", "u", 0, ENUM)},
    "Offer": {1: ("generation", "u", 1, U32), 2: ("name", "b", 0, 64),
              3: ("candidates", "+m", "Candidate", 8), 4: ("mapping", "u", 0, ENUM),
              5: ("filtering", "u", 0, ENUM), 6: ("ports", "u", 0, ENUM),
              7: ("server_rtt_us", "u", 0, 10000000), 8: ("no_relay", "u", 0, 1)},
    "Punch": {1: ("challenge", "X", 0, U64), 2: ("answer", "X", 0, U64)},
    "Message": {1: ("offset", "u", 0, U64), 2: ("data", "b", 1, 1090)},
    "Ack": {1: ("largest", "u", 0, U64), 2: ("delay_us", "u", 0, 10000000), 3: ("ranges", "p", 63, 0)},
    "Receipt": {1: ("count", "u", 0, U64)},
    "Credit": {1: ("limit", "u", 0, U64)},
    "Probe": {1: ("token", "X", 1, U64), 2: ("from", "u", 0, 2), 3: ("padding", "b", 0, 1200)},
    "Probed": {1: ("token", "X", 1, U64), 2: ("observed", "m", "Address", 0)},
    "Aim": {1: ("attempt", "u", 1, U32), 2: ("address", "m", "Address", 0), 3: ("stride", "u", 0, 65535),
            4: ("count", "u", 0, 64), 5: ("stop", "u", 0, 1)},
    "Frame": {1: ("protocol", "x", 0, U32)},
}
BODIES = {2: "register", 3: "registered", 4: "peer_info", 5: "signal", 6: "relay", 7: "sealed",
          8: "punch", 9: "message", 10: "ack", 11: "receipt", 12: "credit", 13: "envelope",
          14: "offer", 15: "leave", 16: "link", 17: "linked", 18: "retry", 19: "refused",
          20: "probe", 21: "probed", 22: "aim"}
for _n, _b in BODIES.items():
    _t = "".join(w.capitalize() for w in _b.split("_"))
    SCHEMA["Frame"][_n] = (_b, "m", _t, 0)


class Bad(Exception):
    pass


def encode(kind, values):
    out = bytearray()
    for number, (name, how, a, _) in SCHEMA[kind].items():
        value = values.get(name)
        if value is None or (value in (0, b"") and how[0] != "m") or value == []:
            continue
        if how == "u":
            out += leb128(number << 3) + leb128(value)
        elif how == "x":
            out += leb128(number << 3 | 5) + struct.pack("<I", value)
        elif how == "X":
            out += leb128(number << 3 | 1) + struct.pack("<Q", value)
        else:
            if how == "b":
                parts = [value]
            elif how == "m":
                parts = [encode(a, value)]
            elif how == "+m":
                parts = [encode(a, v) for v in value]
            elif how == "p":
                parts = [b"".join(leb128(v) for v in value)]
            else:
                parts = [b"".join(struct.pack("<Q", v) for v in value)]
            for part in parts:
                out += leb128(number << 3 | 2) + leb128(len(part)) + part
    return bytes(out)


def varint(data, at, limit=U64):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Bad("varint")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if byte == 0 and shift > 7:
        raise Bad("varint not minimal")
    if value > limit:
        raise Bad("varint too large")
    return value, at


def decode(kind, data, unknown=None):
    unknown = [0] if unknown is None else unknown
    out = {}
    at = 0
    schema = SCHEMA[kind]
    while at < len(data):
        key, at = varint(data, at, U32)
        number, wire = key >> 3, key & 7
        if number == 0 or wire in (3, 4, 6, 7):
            raise Bad("key")
        value = None
        if wire == 0:
            value, at = varint(data, at)
        else:
            if wire == 2:
                size, at = varint(data, at)
            else:
                size = 8 if wire == 1 else 4
            if at + size > len(data):
                raise Bad("short")
            value = data[at:at + size]
            at += size
        if number not in schema:
            unknown[0] += 1
            if unknown[0] > 16:
                raise Bad("too many unknown")
            continue
        name, how, low, high = schema[number]
        want = {"u": 0, "x": 5, "X": 1}.get(how, 2)
        if wire != want:
            raise Bad("wire type of " + name)
        if name in out and how != "+m":
            raise Bad("twice: " + name)
        if how in ("x", "X"):
            value = struct.unpack("<I" if how == "x" else "<Q", value)[0]
        if how in ("u", "x", "X"):
            if not low <= value <= high:
                raise Bad("bound of " + name)
        elif how == "b":
            value = bytes(value)
            if not low <= len(value) <= high:
                raise Bad("size of " + name)
        elif how == "m":
            value = decode(low, value, unknown)
        elif how == "+m":
            value = out.get(name, []) + [decode(low, value, unknown)]
            if len(value) > high:
                raise Bad("too many " + name)
        elif how == "p":
            packed, i = [], 0
            while i < len(value):
                one, i = varint(value, i)
                packed.append(one)
            if len(packed) > low:
                raise Bad("too many " + name)
            value = packed
        else:
            if len(value) % 8 or len(value) // 8 > low:
                raise Bad("size of " + name)
            value = list(struct.unpack("<%dQ" % (len(value) // 8), value))
        out[name] = value
    # What must be there although proto3 would let it be left out.
    for name, how, low, _ in schema.values():
        if name not in out:
            if how in ("u", "x", "X") and low > 0 or how == "b" and low > 0:
                raise Bad("missing " + name)
            if how in ("u", "x", "X"):
                out[name] = 0
            elif how == "b":
                out[name] = b""
            elif how != "m":
                out[name] = []
    return out


# What a later version might add: a number that nobody knows yet, in every frame.
LATER = b""


def frame(body, values, protocol=True):
    return encode("Frame", {"protocol": MAGIC if protocol else 0, body: values}) + LATER


def parse_frame(data):
    """A datagram's one body; None if it has a body that is not known."""
    if len(data) > 1200 or data[:5] != b"\x0d" + struct.pack("<I", MAGIC):
        raise Bad("not ours")
    return body_of(decode("Frame", data))


def body_of(fields):
    bodies = [n for n in BODIES.values() if n in fields]
    if len(bodies) > 1:
        raise Bad("two bodies")
    return (bodies[0], fields[bodies[0]]) if bodies else None


def parse_plain(data):
    rows, at = [], 0
    while at < len(data):
        size, at = varint(data, at)
        if at + size > len(data):
            raise Bad("row")
        if size:
            fields = decode("Frame", data[at:at + size])
            if fields["protocol"]:
                raise Bad("protocol inside")
            body = body_of(fields)
            if body:
                rows.append(body)
        at += size
    return rows


def mask(address, token):
    """XOR both ways; from and to (ip bytes, port)."""
    ip = bytes(c ^ token[i % 8] for i, c in enumerate(address["ip"]))
    return {"ip": ip, "port": address["port"] ^ (token[0] << 8 | token[1])}


def to_tuple(address):
    if len(address["ip"]) != 4 or not 1 <= address["port"] <= 65535:
        return None
    return socket.inet_ntoa(address["ip"]), address["port"]


def show(addr):
    return "%s:%d" % addr


class Ranges:
    """A set of whole numbers as sorted half-open ranges."""

    def __init__(self):
        self.r = []

    def add(self, a, b):
        if a >= b:
            return
        out = []
        for x, y in self.r:
            if y < a or x > b:
                out.append((x, y))
            else:
                a, b = min(a, x), max(b, y)
        out.append((a, b))
        out.sort()
        self.r = out

    def missing(self, a, b):
        """The parts of a..b that are not in the set."""
        out = []
        for x, y in self.r:
            if y <= a:
                continue
            if x >= b:
                break
            if x > a:
                out.append((a, x))
            a = max(a, y)
        if a < b:
            out.append((a, b))
        return out

    def has(self, n):
        return any(x <= n < y for x, y in self.r)


# -------------------------------------------------------------------------------------- session

class Share:
    def __init__(self, generator):
        self.scalar = random_scalar()
        self.nonce = os.urandom(32)
        self.point = scalarmult(self.scalar, generator)
        self.commitment = blake(32, b"commit" + self.nonce)

    def wire(self):
        return {"point": self.point, "commitment": self.commitment}


class Path:
    def __init__(self, addr, now, sock=None):
        self.addr = addr
        self.sock = sock    # None: the main one
        self.works = False
        self.low_ttl = False
        self.asked = {}
        self.probes = 0
        self.next_probe = now
        self.answered = None
        self.unanswered = 0
        self.next_ask = None
        self.rtt = None

    def lan(self):
        a = [int(x) for x in self.addr[0].split(".")]
        return (a[0] in (10, 127) or a[0] == 172 and 16 <= a[1] < 32 or a[0] == 192 and a[1] == 168
                or a[0] == 169 and a[1] == 254)


class Sent:
    __slots__ = ("at", "size", "items", "eliciting", "way")

    def __init__(self, at, size, items, eliciting, way):
        self.at, self.size, self.items, self.eliciting, self.way = at, size, items, eliciting, way


DIRECT, RELAY, SIGNAL = "direct", "relay", "signal"


def path_of(way):
    """Signal and Relay are one path: the one through the server."""
    return way if way[0] == DIRECT else (RELAY,)


ROOM_FULL = 2
ELICITING = ("envelope", "offer", "message", "receipt", "credit", "aim")


class Session:
    number = 0

    def __init__(self, client, share, info, now):
        self.c = client
        self.share = share
        self.handle = info["handle"]
        self.peer_share = info["share"]
        self.begun = now
        k = scalarmult(share.scalar, self.peer_share["point"])
        if k is None:
            raise Bad("point")
        mine = lv_cat(share.point, share.commitment)
        other = lv_cat(self.peer_share["point"], self.peer_share["commitment"])
        transcript = b"oc" + max(mine, other) + min(mine, other)
        isk = hashlib.sha512(lv_cat(b"CPaceRistretto255_ISK", b"", k) + transcript).digest()
        self.run_id = hashlib.sha512(b"CPaceSidOutput" + transcript).digest()
        self.side = 0 if mine > other else 1
        root = blake(32, b"p2p1 root", key=isk)
        self.send_key = kdf(root, 1 + self.side, b"p2p1seal", 32)
        self.recv_key = kdf(root, 2 - self.side, b"p2p1seal", 32)
        self.my_session = le64(kdf(root, 3 + self.side, b"p2p1seal", 16))
        self.peer_session = le64(kdf(root, 4 - self.side, b"p2p1seal", 16))
        self.token = kdf(root, 5, b"p2p1seal", 16)
        self.words_key = kdf(root, 6, b"p2p1seal", 32)
        self.same_key = kdf(root, 7, b"p2p1seal", 32)
        self.nonce = share.nonce
        # By which our Signals go, and in which order runs began.
        self.via, self.via_theirs = share.point, None   # the other's, if it is not that of this run
        client.runs += 1
        self.order = client.runs
        self.peer_envelope = None
        self.shown, self.skip = set(), set()    # (id, text) of what was shown here, or in one whose place this takes
        share.scalar = None
        # state
        self.number = 0
        self.confirmed = False
        self.confirmed_at = None
        self.ended = None
        self.guessed = False
        self.announced = False
        self.peer_nonce = None
        self.peer_name = ""
        self.peer_generation = 0
        self.peer_rtt = 0.0
        self.peer_nat = (0, 0, 0)
        self.peer_observed = None   # its candidate of that kind
        self.told = None            # Linked.observed
        self.no_relay = False
        # A room that is full: this run becomes no session, and both ends are to know it.
        self.refuses = client.is_full()
        self.refusal_known = False
        self.last_heard = now
        # epochs
        self.send_epoch = self.recv_epoch = 0
        self.epoch_sent = 0
        self.epoch_first = None
        self.epoch_first_pn = 0
        self.epoch_acked = False
        self.old_key = None
        self.old_until = 0
        # receiving
        self.seen = Ranges()
        self.largest = -1
        self.largest_at = now
        self.ack_new = False
        self.ack_count = 0
        self.ack_due = None
        self.ack_floor = 0
        # sending
        self.counter = 0
        self.sent = {}
        self.env_acked = False
        self.offer_need = True
        self.out = bytearray()
        self.out_next = 0
        self.out_acked = Ranges()
        self.out_lost = Ranges()
        self.out_ids = []
        self.delivered = 0
        self.peer_credit = 65536
        self.receipt_need = self.credit_need = False
        # stream in
        self.inn = bytearray()
        self.in_have = Ranges()
        self.in_base = 0
        self.in_count = 0
        self.known = 0      # of them, from the first on, shown before in another
        self.my_credit = 65536
        # recovery
        self.reset_recovery()
        self.in_flight = 0
        self.largest_acked = -1
        self.acked_way = None
        self.loss_time = None
        self.pto_count = 0
        self.pto_base = now
        self.probes_due = 0
        self.recovery_start = -1.0
        # ways
        self.paths = {}
        self.cur = None
        self.link = 0
        self.link_at = None
        self.link_gap = 1.0
        self.signal_frames = 0
        self.signal_bytes = 0
        self.listed = []
        self.search_until = 0
        self.search_end = 0
        self.tries = second_nat.Tries(self)
        self.aim = None
        self.aim_need = False
        self.again_at = None
        self.again_gap = 5.0
        self.relay_ask = None
        self.relay_challenge = {}
        self.last_way = None
        self.count = {DIRECT: 0, RELAY: 0, SIGNAL: 0, "lost": 0, "in": 0, "epoch_in": 0}

    # ----- keys

    def same_tag(self, run_id, k):
        return le64(blake(32, run_id, key=self.same_key)[8 * k:8 * k + 8])

    def same_tags(self):
        return [s.same_tag(self.run_id, s.side) for s in self.c.sessions
                if s.confirmed and s.order < self.order and not s.ended][:15]

    def pending_tags(self):
        goes_on = [s.same_tag(self.run_id, s.side + 2) for s in self.c.sessions
                   if not s.confirmed and s.order < self.order and not s.ended]
        return (goes_on + [s.same_tag(self.run_id, s.side) for s, _ in self.c.spoken])[:40]

    def begun_before(self, envelope, run):
        """Had the other side begun this one before `run`, of which the Envelope is?"""
        side = 1 - self.side
        return self.same_tag(run.run_id, side) in envelope["same"] or \
            self.same_tag(run.run_id, side + 2) in envelope["pending"]

    def loses_to(self, other, envelope):
        """Of this run, with its Envelope, and another with the same process: which goes? None: it is not the same."""
        other_first = other.begun_before(envelope, self)
        self_first = other.confirmed and self.begun_before(other.peer_envelope, other)
        if not other_first and not self_first:
            return None
        if other_first == (other.order < self.order):
            return other_first
        return self.run_id > other.run_id

    def take_place_of_others(self, envelope, now):
        """The same two processes in more than one run: False if this run is the one to go."""
        for other in [s for s in self.c.sessions if s is not self and not s.ended]:
            loses = self.loses_to(other, envelope)
            if loses:
                other.handle, other.via, other.begun = self.handle, self.via, self.begun
                other.via_theirs = self.peer_share["point"]
                other.signal_frames, other.signal_bytes = self.signal_frames, self.signal_bytes
                self.c.event("same", peer=other.number)
                return False
            buried = other.confirmed and not other.env_acked and \
                other.same_tag(self.run_id, 1 - other.side) in envelope["pending"]
            if loses is False or buried:
                self.skip |= other.shown | other.skip
                other.end("timeout" if other.confirmed else "same")
        for other, until in self.c.heard:
            if now < until and other.same_tag(self.run_id, 1 - other.side) in envelope["pending"]:
                self.skip |= other.shown | other.skip
        return True

    def words(self):
        nonces = [self.nonce, self.peer_nonce]
        if self.side:
            nonces.reverse()
        w = int.from_bytes(blake(16, nonces[0] + nonces[1], key=self.words_key), "big") >> (128 - 44)
        return [self.c.words[w >> shift & 2047] for shift in (33, 22, 11, 0)]

    def seal(self, plain, now):
        if (self.epoch_acked and self.epoch_first is not None
                and (self.epoch_sent >= self.c.epoch_packets or now - self.epoch_first > 600)):
            self.send_key = kdf(self.send_key, 1, b"p2p1step", 32)
            self.send_epoch += 1
            self.epoch_sent = 0
            self.epoch_first = None
            self.epoch_acked = False
        if self.epoch_first is None:
            self.epoch_first = now
            self.epoch_first_pn = self.counter
        self.epoch_sent += 1
        counter = self.counter
        self.counter += 1
        nonce = struct.pack("<IQ", self.send_epoch, counter)
        ad = struct.pack("<QIQ", self.my_session, self.send_epoch, counter)
        return counter, frame("sealed", {"session": self.my_session, "epoch": self.send_epoch,
                                         "counter": counter,
                                         "ciphertext": aead_seal(self.send_key, nonce, ad, plain)})

    def open(self, sealed, now):
        epoch, counter = sealed["epoch"], sealed["counter"]
        stepped = False
        if epoch == self.recv_epoch:
            key = self.recv_key
        elif epoch == self.recv_epoch + 1:
            key = kdf(self.recv_key, 1, b"p2p1step", 32)
            stepped = True
        elif epoch == self.recv_epoch - 1 and now < self.old_until:
            key = self.old_key
        else:
            return None
        if self.seen.has(counter) or counter <= self.largest - 2048:
            return None
        nonce = struct.pack("<IQ", epoch, counter)
        ad = struct.pack("<QIQ", sealed["session"], epoch, counter)
        plain = aead_open(key, nonce, ad, sealed["ciphertext"])
        if plain is None:
            return None
        if stepped:
            self.old_key, self.recv_key = self.recv_key, key
            self.recv_epoch = epoch
            self.old_until = now + max(3 * self.pto(), 3.0)
            self.count["epoch_in"] = epoch
        return plain

    # ----- recovery (RFC 9002)

    def reset_recovery(self):
        self.srtt = 0.333
        self.rttvar = 0.1665
        self.min_rtt = None
        self.latest = 0.333
        self.cwnd = 12000
        self.ssthresh = None
        self.recovery_start = -1.0

    def pto(self):
        return self.srtt + max(4 * self.rttvar, 0.001) + 0.025

    def on_ack(self, ack, now):
        numbers = ack["ranges"]
        if len(numbers) % 2 == 0:
            raise Bad("ranges")
        ranges = []
        top = ack["largest"]
        low = top - numbers[0]
        ranges.append((low, top))
        for i in range(1, len(numbers), 2):
            top = low - numbers[i] - 2
            low = top - numbers[i + 1]
            ranges.append((low, top))
        if min(r[0] for r in ranges) < 0:
            raise Bad("ranges below 0")
        if ack["largest"] >= self.counter:
            return
        newly = [pn for pn in self.sent if any(a <= pn <= b for a, b in ranges)]
        if not newly:
            return
        newly.sort()
        biggest = newly[-1]
        p = self.sent[biggest]
        if biggest >= self.largest_acked:
            self.largest_acked, self.acked_way = biggest, p.way
        if (biggest == ack["largest"] and p.way == self.last_way
                and any(self.sent[pn].eliciting for pn in newly)):
            sample = now - p.at
            delay = min(ack["delay_us"] / 1e6, 1.0)
            sample = max(sample - delay, 1e-6)
            self.latest = sample
            if self.min_rtt is None:
                self.min_rtt = sample
                self.srtt, self.rttvar = sample, sample / 2
            else:
                self.min_rtt = min(self.min_rtt, sample)
                self.rttvar = 0.75 * self.rttvar + 0.25 * abs(self.srtt - sample)
                self.srtt = 0.875 * self.srtt + 0.125 * sample
        for pn in newly:
            p = self.sent.pop(pn)
            if pn >= self.epoch_first_pn and self.epoch_first is not None:
                self.epoch_acked = True
            self.in_flight -= p.size if p.eliciting and p.way == self.last_way else 0
            if p.eliciting and p.way == self.last_way and p.at > self.recovery_start:
                if self.ssthresh is None or self.cwnd < self.ssthresh:
                    self.cwnd += p.size
                else:
                    self.cwnd += 1200 * p.size // self.cwnd
            for item in p.items:
                self.item_acked(item)
        self.detect_lost(now)
        self.pto_count = 0
        self.pto_base = now
        self.probes_due = 0

    def detect_lost(self, now):
        self.loss_time = None
        delay = max(1.125 * max(self.srtt, self.latest), 0.001)
        worst = None
        for pn in sorted(self.sent):
            if pn > self.largest_acked:
                break
            p = self.sent[pn]
            same = p.way == self.last_way
            if p.at <= now - delay or same and self.largest_acked - pn >= 3 and p.way == self.acked_way:
                del self.sent[pn]
                if p.eliciting:
                    self.count["lost"] += 1
                    if same:
                        self.in_flight -= p.size
                        worst = max(worst or 0, p.at)
                for item in p.items:
                    self.item_lost(item)
            else:
                due = p.at + delay
                self.loss_time = due if self.loss_time is None else min(due, self.loss_time)
        if worst is not None and worst > self.recovery_start:
            self.recovery_start = now
            self.ssthresh = max(2400, self.cwnd // 2)
            self.cwnd = self.ssthresh

    def item_acked(self, item):
        kind = item[0]
        if kind == "envelope":
            self.env_acked = True
        elif kind == "message":
            self.out_acked.add(item[1], item[2])

    def item_lost(self, item):
        kind = item[0]
        if kind == "message":
            for a, b in self.out_acked.missing(item[1], item[2]):
                self.out_lost.add(a, b)
        elif kind == "offer" and item[1] == self.c.generation:
            self.offer_need = True
        elif kind == "aim" and item[1] is self.aim:
            self.aim_need = True
        elif kind == "receipt":
            self.receipt_need = True
        elif kind == "credit":
            self.credit_need = True

    def eliciting_in_flight(self):
        return any(p.eliciting for p in self.sent.values())

    # ----- choosing a way

    def way(self):
        if self.cur:
            return (DIRECT, self.cur.addr, self.cur.sock)
        if self.link and not self.no_relay:
            return (RELAY,)
        return (SIGNAL,)

    def signal_left(self, now):
        if now - self.begun > 30 or self.signal_frames >= 14:
            return 0
        return 7168 - self.signal_bytes

    # ----- sending

    def build(self, limit, now, fresh, only=None):
        """A plaintext and its items. only: these items and the Envelope, nothing else."""
        plain = bytearray()
        items = []

        def put(body, values):
            f = frame(body, values, protocol=False)
            f = leb128(len(f)) + f
            if len(plain) + len(f) > limit:
                return False
            plain.extend(f)
            return True

        if not self.env_acked:
            put("envelope", {"nonce": self.nonce, "same": self.same_tags(), "pending": self.pending_tags()})
            items.append(("envelope",))
            if self.refuses:
                put("leave", {"reason": ROOM_FULL})
            elif put("offer", self.c.offer(self)):
                items.append(("offer", self.c.generation))
        if only is not None:
            for body, values in only:
                put(body, values)
            return self.pad(plain, limit), items
        if self.ack_new and self.largest >= 0:
            put("ack", self.ack_values(now))
            items.append(("ack",))
        if self.offer_need and self.env_acked and not self.refuses and put("offer", self.c.offer(self)):
            items.append(("offer", self.c.generation))
        if self.aim_need and put("aim", self.aim):
            items.append(("aim", self.aim))
        if self.receipt_need and put("receipt", {"count": self.in_count}):
            items.append(("receipt",))
        if self.credit_need and put("credit", {"limit": self.my_credit}):
            items.append(("credit",))
        while fresh and self.may_carry():
            room = min(limit - len(plain) - 20 - len(LATER), 1090)
            if room < 16:
                break
            if self.out_lost.r:
                a, b = self.out_lost.r[0]
                b = min(b, a + room)
                self.out_lost.r[0] = (b, self.out_lost.r[0][1])
                if b == self.out_lost.r[0][1]:
                    del self.out_lost.r[0]
            else:
                a = self.out_next
                b = min(a + room, len(self.out), self.peer_credit)
                if a >= b:
                    break
                self.out_next = b
            if not self.out_acked.missing(a, b):
                continue
            assert put("message", {"offset": a, "data": bytes(self.out[a:b])})
            items.append(("message", a, b))
        return self.pad(plain, limit), items

    def pad(self, plain, limit):
        """For --later: an unknown body and padding behind what there is."""
        if LATER and plain:
            more = leb128(4) + leb128(33 << 3 | 2) + leb128(1) + b"?"
            if len(plain) + len(more) <= limit:
                plain = plain + more
            plain = plain + bytes(min(7, limit - len(plain)))
        return bytes(plain)

    def ack_values(self, now):
        ranges = sorted(self.seen.r, reverse=True)[:32]
        numbers = [ranges[0][1] - ranges[0][0] - 1]
        for above, r in zip(ranges, ranges[1:]):
            numbers += [above[0] - r[1] - 1, r[1] - r[0] - 1]
        delay = int((now - self.largest_at) * 1e6)
        return {"largest": self.largest, "delay_us": min(delay, 10000000), "ranges": numbers}

    def transmit(self, plain, items, way, now, ttl=None):
        """Seals and sends; False if the way has no room for it."""
        if way[0] == SIGNAL:
            if not self.c.secret or self.signal_left(now) < len(plain) + 60:
                return False
        counter, data = self.seal(plain, now)
        eliciting = any(i[0] in ELICITING for i in items)
        if items:
            self.sent[counter] = Sent(now, len(data), items, eliciting, path_of(way))
            if eliciting:
                self.in_flight += len(data) if path_of(way) == self.last_way else 0
                self.pto_base = now
        self.count[way[0]] += 1
        if way[0] == DIRECT:
            self.c.send_to(data, way[1], way[2], ttl)
        elif way[0] == RELAY:
            self.c.send_server(frame("relay", {"secret": self.c.secret, "link": self.link,
                                               "datagram": data}))
        else:
            self.signal_frames += 1
            self.signal_bytes += len(data)
            self.c.send_server(frame("signal", {"secret": self.c.secret, "handle": self.handle,
                                                "point": self.via, "datagram": data}))
        return True

    def may_carry(self):
        """Whether Messages may go the way that there is."""
        return not self.refuses and not (self.no_relay and not self.cur)

    def wants(self):
        if self.refuses:
            return False
        return (self.offer_need or self.aim_need or self.receipt_need or self.credit_need or self.may_carry() and
                (bool(self.out_lost.r) or self.out_next < min(len(self.out), self.peer_credit)))

    def flush(self, now):
        if not self.c.secret or self.ended:
            return
        way = self.way()
        path = path_of(way)
        if path != self.last_way:
            only_port = (self.last_way and path[0] == DIRECT and self.last_way[0] == DIRECT
                         and path[1][0] == self.last_way[1][0])
            if self.last_way and not only_port:
                self.reset_recovery()
            self.last_way = path
            self.in_flight = sum(p.size for p in self.sent.values() if p.eliciting and p.way == path)
        limit = 676 if way[0] == SIGNAL else 1100
        while True:
            probing = self.probes_due > 0
            window = self.in_flight < self.cwnd or probing
            first = self.counter == 0
            ack_now = self.ack_due is not None and self.ack_due <= now
            if ack_now and way[0] != DIRECT and now < self.search_until and self.ack_due + 0.6 > now:
                ack_now = False
            want = self.wants() and window
            if want and way[0] != DIRECT and now < self.search_until and not (
                    self.offer_need or self.aim_need or self.out_lost.r or self.out_next < len(self.out)):
                want = False
            if way[0] == SIGNAL and self.signal_left(now) < 736:
                want = ack_now = False
                probing = False
            if not (first or want or ack_now or probing):
                return
            plain, items = self.build(limit, now, window)
            if probing and not any(i[0] in ELICITING for i in items):
                plain, items = self.build_probe(limit, now)
                if not any(i[0] in ELICITING for i in items):
                    self.probes_due = 0
                    if not items:
                        return
            if not items or not self.transmit(plain, items, way, now):
                self.put_back(items)
                self.probes_due = 0
                return
            for i in items:
                if i[0] == "offer":
                    self.offer_need = False
                elif i[0] == "aim":
                    self.aim_need = False
                elif i[0] == "receipt":
                    self.receipt_need = False
                elif i[0] == "credit":
                    self.credit_need = False
                elif i[0] == "ack":
                    self.ack_new = False
                    self.ack_count = 0
                    self.ack_due = None
            if probing:
                self.probes_due -= 1
                if way[0] == DIRECT and self.link and not self.no_relay:
                    self.transmit(plain, items, (RELAY,), now)

    def put_back(self, items):
        for i in items:
            if i[0] == "message":
                self.out_lost.add(i[1], i[2])

    def build_probe(self, limit, now):
        """The content of the oldest packets once more."""
        for pn in sorted(self.sent)[:2]:
            for item in self.sent[pn].items:
                self.item_lost(item)
        return self.build(limit, now, True)

    def send_punch(self, way, challenge, answer, now, ttl=None):
        plain, items = self.build(676 if way[0] == SIGNAL else 1100, now, False,
                                  only=[("punch", {"challenge": challenge, "answer": answer})])
        self.transmit(plain, items, way, now, ttl)

    # ----- receiving

    def on_sealed(self, sealed, way, now):
        """True if it opened."""
        plain = self.open(sealed, now)
        if plain is None:
            return False
        rows = parse_plain(plain)
        for body, v in rows:
            if body == "message":
                end = v["offset"] + len(v["data"])
                if end > self.my_credit:
                    raise Bad("beyond credit")
                trial = Ranges()
                trial.r = list(self.in_have.r)
                trial.add(v["offset"], end)
                if len(trial.r) > 65:
                    raise Bad("gaps")
        if not self.confirmed:
            envelopes = [v for body, v in rows if body == "envelope"]
            if not envelopes and self.refusal_known:
                self.refused(rows, sealed["counter"], False, now)
            if not envelopes:
                return True
            if blake(32, b"commit" + envelopes[0]["nonce"]) != self.peer_share["commitment"]:
                self.end("bad nonce")
                return True
            self.peer_nonce = envelopes[0]["nonce"]
            full = any(body == "leave" and v["reason"] == ROOM_FULL for body, v in rows)
            if full or self.refuses or self.c.is_full():
                self.refused(rows, sealed["counter"], full, now)
                return True
            self.peer_envelope = envelopes[0]
            if not self.take_place_of_others(envelopes[0], now):
                self.c.stock_confirmed(now)
                self.end("same")
                return True
            self.confirm(now)
        self.count["in"] += 1
        counter = sealed["counter"]
        gap = counter > self.largest + 1 or counter < self.largest
        if counter > self.largest:
            self.largest = counter
            self.largest_at = now
        self.seen.add(counter, counter + 1)
        if len(self.seen.r) > 64:
            del self.seen.r[:len(self.seen.r) - 64]
        self.last_heard = now
        if way[0] == DIRECT:
            self.heard_from(way, now)
        eliciting = False
        for body, v in rows:
            eliciting = eliciting or body in ELICITING
            self.on_body(body, v, way, now)
            if self.ended:
                return True
        if eliciting:
            self.ack_new = True
            self.ack_count += 1
            at_once = self.ack_count >= 2 or gap
            delay = 0.025
            if all(body in ("envelope", "offer") for body, _ in rows):
                delay = max(delay, 0.9 - self.c.rtt - self.peer_rtt)
            self.ack_due = now if at_once else min(self.ack_due or now + delay, now + delay)
        if self.in_have.r:
            self.read_stream(now)
        return True

    def refused(self, rows, counter, by_other, now):
        """A packet of a run that one of the two has no room for."""
        if not self.refusal_known:
            self.c.stock_confirmed(now)
            self.c.again(self, now)
            self.c.event("refused-run", by="other" if by_other else "us")
        self.refuses = self.refusal_known = True
        self.seen.add(counter, counter + 1)
        if counter > self.largest:
            self.largest, self.largest_at = counter, now
        for body, v in rows:
            if body == "ack":
                self.on_ack(v, now)
        if any(body in ELICITING for body, _ in rows):
            self.ack_new = True
            self.ack_due = now

    def confirm(self, now):
        self.confirmed = True
        self.confirmed_at = now
        self.c.confirmed(self, now)
        self.link_at = now + 3.0

    def on_body(self, body, v, way, now):
        if body == "offer":
            self.on_offer(v, now)
        elif body == "punch":
            if v["challenge"] and not (self.c.relay_only and way[0] == DIRECT):
                self.send_punch(way, 0, v["challenge"], now)
            if v["answer"]:
                self.on_answer(v["answer"], way, now)
        elif body == "ack":
            self.on_ack(v, now)
        elif body == "receipt":
            while self.delivered < min(v["count"], len(self.out_ids)):
                self.c.event("delivered", id=self.out_ids[self.delivered], peer=self.number)
                self.delivered += 1
        elif body == "credit":
            self.peer_credit = max(self.peer_credit, v["limit"])
        elif body == "message":
            a, data = v["offset"], v["data"]
            end = a + len(data)
            if end > self.in_base:
                if a < self.in_base:
                    data = data[self.in_base - a:]
                    a = self.in_base
                at = a - self.in_base
                if len(self.inn) < at + len(data):
                    self.inn.extend(bytes(at + len(data) - len(self.inn)))
                self.inn[at:at + len(data)] = data
                self.in_have.add(a, end)
        elif body == "aim":
            self.tries.on_aim(v, now)
        elif body == "leave":
            if v["reason"] == ROOM_FULL:
                self.c.again(self, now)
            self.end("quit")

    def read_stream(self, now):
        self.in_have.add(0, self.in_base)
        end = self.in_have.r[0][1] - self.in_base
        if self.in_have.r[0][0] != 0:
            return
        at = 0
        buf = self.inn
        took = False
        while True:
            try:
                i = at
                number, i = varint(buf[:end], i)
                size, i = varint(buf[:end], i)
            except Bad as bad:
                if str(bad) == "varint not minimal":
                    self.end("protocol error")
                    return
                break
            if not 1 <= number < 2 ** 53 or size > 16384:
                self.end("protocol error")
                return
            if i + size > end:
                break
            try:
                text = bytes(buf[i:i + size]).decode()
            except UnicodeDecodeError:
                self.end("protocol error")
                return
            if "\0" in text:
                self.end("protocol error")
                return
            at = i + size
            took = True
            self.in_count += 1
            if not ((number, text) in self.skip and self.in_count == self.known + 1):
                self.c.event("message", peer=self.number, name=self.peer_name, id=number, text=text)
            else:
                self.known += 1
            if now < self.begun + 60 and len(self.shown) < 256:
                self.shown.add((number, text))
        if took:
            del self.inn[:at]
            self.in_base += at
            self.receipt_need = True
            if self.in_base + 65536 - self.my_credit >= 16384:
                self.my_credit = self.in_base + 65536
                self.credit_need = True

    def on_offer(self, v, now):
        if v["generation"] <= self.peer_generation:
            return
        try:
            name = v["name"].decode()
        except UnicodeDecodeError:
            raise Bad("name")
        first = self.peer_generation == 0
        self.peer_generation = v["generation"]
        self.peer_rtt = v["server_rtt_us"] / 1e6
        self.peer_nat = tuple(v[k] if v[k] <= top else 0 for k, top in (("mapping", 5), ("filtering", 5), ("ports", 3)))
        self.no_relay = self.no_relay or bool(v["no_relay"])
        old, self.peer_name = self.peer_name, name
        if not self.announced:
            self.announced = True
            self.c.event("peer", peer=self.number, name=name)
            self.c.event("verify", peer=self.number, words=self.words())
        elif name != old:
            self.c.event("name", peer=self.number, name=name)
        if self.c.relay_only:
            return
        if first:
            wait = min(0.6, 1.25 * (self.c.rtt + self.peer_rtt) + 0.05)
            self.search_until = now + wait if v["candidates"] else 0
            self.search_end = now + wait
            self.again_at = now + 5.0
        if second_nat.knowledge(*self.peer_nat[::2]) != second_nat.EXACT and not self.cur:
            self.c.nat.urgent = True
        seen = [to_tuple(x["address"]) for x in v["candidates"] if "address" in x and x["kind"] == 2]
        self.peer_observed = next((addr for addr in seen if addr), None)
        self.listed = []
        for candidate in v["candidates"]:
            if "address" in candidate:
                self.candidate(candidate["address"], now)

    def candidate(self, address, now):
        addr = to_tuple(address)
        if not addr or not self.c.acceptable(addr, self):
            return
        self.listed.append(addr)
        if (addr, None) not in self.paths:
            path = self.paths[addr, None] = Path(addr, now)
            # Who is farther from the server starts earlier than the other, and must not be a stranger there.
            ahead = (self.c.rtt - self.peer_rtt) / 2
            if ahead > 0.005 and not self.c.near(addr):
                path.low_ttl = True
                self.probe(path, now, second_nat.PUNCH_TTL)
                path.next_probe = now + min(0.2, ahead)

    def heard_from(self, way, now):
        if self.c.relay_only:
            return
        if way[1:] not in self.paths and len(self.paths) < 16:
            self.paths[way[1:]] = Path(way[1], now, way[2])

    def on_answer(self, answer, way, now):
        if way[0] != DIRECT:
            self.relay_challenge.pop(answer, None)
            return
        path = self.paths.get(way[1:])
        of_try = self.tries.answered(answer, way[2], way[1])
        if not path or not of_try and answer not in path.asked:
            return
        path.rtt = now - path.asked.get(answer, now - self.c.rtt - self.peer_rtt)
        path.asked.clear()
        path.answered = now
        path.unanswered = 0
        path.works = True
        path.next_ask = now + 15 * random.uniform(1, 1.2)
        best = self.cur
        if best is None or path.lan() and not best.lan() or (
                path.lan() == best.lan() and path is not best
                and path.rtt < best.rtt * 0.8 and path.rtt < best.rtt - 0.005):
            self.use(path, now)

    def use(self, path, now):
        self.cur = path
        self.search_until = 0
        if path:
            self.again_at = None
            self.c.nat.path_at = now
            self.c.event("path", peer=self.number, path="lan" if path.lan() else "direct",
                         address=show(path.addr), fresh_socket=path.sock is not None)
            self.tries.direct(now)
        else:
            self.again_at = now + 0.5
            self.again_gap = 5.0
            self.c.event("path", peer=self.number, path="relay" if self.link else "none")

    # ----- time

    def probe(self, path, now, ttl=None):
        challenge = random.getrandbits(63) + 1
        path.asked[challenge] = now
        self.send_punch((DIRECT, path.addr, path.sock), challenge, 0, now, ttl)

    def tick(self, now):
        """Does what is due."""
        if self.refusal_known and self.env_acked and not self.ack_new:
            self.end("refused")
            return
        if not self.confirmed and now - self.begun > 30:
            if not self.guessed and not self.refusal_known:
                self.c.again(self, now)
            self.end("silence")
            return
        if self.confirmed and self.announced and now - max(self.last_heard, self.c.server_back) > 60 \
                and self.c.server_alive(now):
            self.end("timeout")
            return
        base = max(0.2, 1.25 * (self.c.rtt + self.peer_rtt))
        if self.confirmed and not self.c.relay_only:
            for path in list(self.paths.values()):
                if not path.works and path.probes < 8 and path.next_probe <= now:
                    path.probes += 1
                    path.next_probe = now + min(2.0, base * (1 + (path.probes - 1) / 2))
                    self.probe(path, now)
                elif path is self.cur and path.next_ask <= now:
                    path.unanswered += 1
                    gap = (2 * (path.rtt or 0.1) + 0.05) * 2 ** (path.unanswered - 1)
                    path.next_ask = now + min(4.0, gap)
                    self.probe(path, now)
            if self.cur and (now - self.cur.answered > 30 or self.cur.unanswered > 3
                             and self.eliciting_in_flight() and self.pto_count > 2):
                self.cur.works = False
                self.use(None, now)
            if not self.cur and self.again_at is not None and self.again_at <= now:
                for path in self.paths.values():
                    self.probe(path, now)
                self.again_at = now + self.again_gap
                self.again_gap = min(60.0, self.again_gap * 2)
            self.tries.tick(now)
        if self.confirmed:
            behind = self.wants() and not self.cur and now >= self.search_until and \
                self.signal_left(now) < 736
            behind = behind or self.tries.wants_link()
            if not self.link and self.c.secret and (self.link_at <= now or behind and self.link_gap == 1.0):
                self.link_at = now + min(15.0, self.link_gap)
                self.link_gap = min(16.0, self.link_gap * 2)
                self.c.send_server(frame("link", {"secret": self.c.secret,
                                                  "token": self.token_wire()}))
            if self.link and not self.cur and not self.no_relay:
                if self.relay_ask is None:
                    self.relay_ask = now + 15 * random.uniform(1, 1.2)
                elif self.relay_ask <= now:
                    self.relay_ask = now + 15 * random.uniform(1, 1.2)
                    challenge = random.getrandbits(63) + 1
                    self.relay_challenge = {challenge: now}
                    self.send_punch((RELAY,), challenge, 0, now)
        if self.loss_time is not None and self.loss_time <= now:
            self.detect_lost(now)
        if self.eliciting_in_flight() and self.loss_time is None:
            if now - self.pto_base >= min(8.0, self.pto() * 2 ** self.pto_count):
                self.pto_count += 1
                self.pto_base = now
                self.probes_due = 2 if self.confirmed else 1
        self.flush(now)

    def due(self, now):
        when = [now + 1.0]
        if self.eliciting_in_flight():
            when.append(self.pto_base + min(8.0, self.pto() * 2 ** self.pto_count))
        if self.loss_time is not None:
            when.append(self.loss_time)
        if self.ack_due is not None:
            when.append(max(self.ack_due, min(self.search_until, self.ack_due + 0.6))
                        if not self.cur else self.ack_due)
        elif self.search_until > now:
            when.append(self.search_until)
        if self.confirmed:
            for path in self.paths.values():
                if not path.works and path.probes < 8:
                    when.append(path.next_probe)
                elif path is self.cur:
                    when.append(path.next_ask)
            if not self.link:
                when.append(self.link_at)
            when.append(self.tries.due(now))
        return max(min(when), now + 0.001)

    def token_wire(self):
        return {"token": self.token, "side": self.side, "may_tell": 0 if self.c.relay_only else 1}

    def on_linked(self, linked, now):
        first = not self.link
        self.link = linked["link"]
        if first and not self.cur:
            self.c.event("path", peer=self.number, path="relay")
        if "observed" in linked and not self.c.relay_only:
            self.told = to_tuple(mask(linked["observed"], self.token[:8]))

    def say(self, number, text):
        data = text.encode()
        self.out += leb128(number) + leb128(len(data)) + data
        self.out_ids.append(number)

    def all_delivered(self):
        return self.delivered == len(self.out_ids)

    def owes(self):
        return self.receipt_need or any(i[0] == "receipt" for p in self.sent.values() for i in p.items)

    def leave(self, now):
        if not self.confirmed or self.ended:
            return
        plain, _ = self.build(600, now, False, only=[("leave", {"reason": 1})])
        self.transmit(plain, [], self.way(), now)
        self.transmit(plain, [], (RELAY,) if self.link else self.way(), now)

    def end(self, reason):
        if self.ended:
            return
        self.ended = reason
        if self.tries.now:
            self.tries.end(time.monotonic(), "over")
        if self.announced:
            self.c.event("peer-left", peer=self.number, reason=reason)
        elif reason not in ("same", "silence", "refused"):
            self.c.event("run-ended", reason=reason)


# --------------------------------------------------------------------------------------- client

class Client:
    def __init__(self, args):
        self.args = args
        self.keyword = Keyword(args.keyword)
        self.words = word_list()
        self.generator = self.keyword.generator()
        self.relay_only = args.relay_only
        self.epoch_packets = args.epoch_packets
        self.name = args.name
        self.generation = 1
        host, port = args.server.rsplit(":", 1)
        self.server = (host, int(port))
        self.sock = None
        self.fresh = set()
        self.questions = {}
        self.trying = None      # whose try goes on
        self.router_full = False
        self.bind()
        self.chance = random.Random(args.seed)
        self.dropped = [0, 0]
        self.deaf = 0
        self.sessions = []
        self.peers = 0
        self.stock = {}
        for _ in range(1 if args.side is not None else 8):
            self.new_share()
        self.budget = 128 - 8
        self.secret = b""
        self.proof = 0
        self.cookie = b""
        self.handle = 0
        self.shown = {}         # tokens of runs that are over
        self.runs = 0
        # Runs that are over for us, and sessions that were none for the other: until when.
        self.spoken, self.heard = [], []
        self.observed = None
        self.state = "new"
        self.bits = 0
        self.tokens = {}
        self.request_begun = None
        self.request_at = 0.0
        self.awaiting = False
        self.refresh_at = None
        self.retried = set()
        self.rtt = 0.0
        self.server_back = 0.0
        self.server_heard = 0.0
        self.server_lost = False
        self.replace_at = []
        self.lost_registration_at = -10.0
        self.early = []
        self.pending = []
        self.first_peer = None
        self.next_id = 1
        self.stopping = None
        self.stop = False
        self.stats = {"in": 0, "bad": 0, "strange": 0, "wrong": 0}
        self.inbuf = b""
        self.stdin_open = True
        self.nat = second_nat.Nat(self)

    # ----- out

    def event(self, kind, **more):
        sys.stdout.write(json.dumps(dict(event=kind, **more)) + "\n")
        sys.stdout.flush()

    def bind(self):
        if self.sock:
            self.sock.close()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1" if self.server[0].startswith("127.") else "0.0.0.0", 0))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.setblocking(False)
        self.here = self.sock.getsockname()

    def fresh_socket(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((self.here[0], 0))
        sock.setblocking(False)
        self.fresh.add(sock)
        return sock

    def close_socket(self, sock):
        self.fresh.discard(sock)
        sock.close()

    def interfaces(self):
        """(address, mask) of each, as numbers."""
        out = []
        for _, name in socket.if_nameindex():
            try:
                told = [fcntl.ioctl(self.sock, what, struct.pack("256s", name.encode()))
                        for what in (0x8915, 0x891b)]  # SIOCGIFADDR, SIOCGIFNETMASK
                out.append(tuple(struct.unpack(">I", t[20:24])[0] for t in told))
            except OSError:
                pass
        return out

    def addresses(self):
        return [socket.inet_ntoa(struct.pack(">I", address)) for address, _ in self.interfaces()]

    def near(self, addr):
        """In a network of ours."""
        ip = struct.unpack(">I", socket.inet_aton(addr[0]))[0]
        return any(ip & bits == address & bits for address, bits in self.interfaces())

    @staticmethod
    def plain_address(address):
        return to_tuple(address)

    def send_probe(self, sock, to, token, answer_from):
        values = {"token": token, "from": answer_from}
        missing = 64 - len(frame("probe", values))
        self.send_to(frame("probe", dict(values, padding=bytes(max(1, missing)))), to, sock)

    def on_probed(self, v, addr):
        q = self.questions.pop(v["token"], None)
        alternate = self.nat.alternate or self.server
        expected = {second_nat.FROM_SAME: q.to if q else None, second_nat.FROM_OTHER_ADDRESS: alternate,
                    second_nat.FROM_OTHER_PORT: (self.server[0], alternate[1])}
        if not q or addr != expected[q.answer_from] or "observed" not in v:
            self.stats["strange"] += 1
            return
        q.observed = q.observed or to_tuple(mask(v["observed"], struct.pack("<Q", v["token"])))

    def send_to(self, data, addr, sock=None, ttl=None):
        if self.args.drop and self.chance.random() < self.args.drop:
            self.dropped[0] += 1
            return
        sock = sock or self.sock
        try:
            if ttl:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            sock.sendto(data, addr)
        except OSError:
            pass
        finally:
            if ttl:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)

    def send_server(self, data):
        self.send_to(data, self.server)

    def new_share(self):
        """With --side one that is almost surely the larger or the smaller one."""
        s = Share(self.generator)
        while self.args.side == 0 and s.point < b"\xfe\xf0" or self.args.side == 1 and s.point > b"\x00\x10":
            s = Share(self.generator)
        self.stock[s.point] = s

    def stock_confirmed(self, now):
        self.replace_at.append(now)

    # ----- the server

    def register(self, now, again=False):
        token = random.getrandbits(63) + 1
        links = [] if self.args.no_links else [s.token_wire() for s in self.sessions if s.confirmed]
        links += [{"token": t, "side": shown["side"], "may_tell": 0} for t, shown in self.shown.items()]
        shares = [] if links and not self.secret else [s.wire() for s in self.stock.values()][:8]
        values = {"token": token, "secret": self.secret, "cookie": self.cookie,
                  "form": 1 if self.keyword.room else 2, "room": self.keyword.room,
                  "prefix_bits": 0 if self.keyword.room else self.bits,
                  "prefix": 0 if self.keyword.room else self.keyword.prefix(self.bits),
                  "shares": shares, "links": links[:15]}
        data = frame("register", values)
        if not self.secret:
            for n in range(1, 1200):
                data = frame("register", dict(values, padding=bytes(n)))
                if len(data) == 1200:
                    break
            assert len(data) == 1200, len(data)
        self.tokens[token] = (now, self.secret)
        while len(self.tokens) > 8:
            del self.tokens[next(iter(self.tokens))]
        if not again:
            self.request_begun = now
            self.gap = 0.5
        if now - self.request_begun > 15:
            self.gap = min(18.0, self.gap * 2)
            self.request_at = now + self.gap * random.uniform(0.8, 1.0)
        else:
            self.request_at = now + 0.5 * random.uniform(0.8, 1.2)
        self.awaiting = True
        self.send_server(data)

    def from_server(self, body, v, now):
        if body == "registered":
            self.on_registered(v, now)
        elif body == "retry":
            if v["token"] in self.tokens and v["token"] not in self.retried:
                self.retried.add(v["token"])
                self.cookie = v["cookie"]
                self.register(now)
        elif body == "refused":
            self.on_refused(v, now)
        elif body == "peer_info":
            self.on_peer_info(v, now)
        elif not self.secret or v.get("proof") != self.proof:
            self.stats["strange"] += 1
        elif body == "signal":
            self.on_signal(v, now)
        elif body == "relay":
            self.on_relay(v, now)
        elif body == "linked":
            for s in self.sessions:
                if s.token == v["token"] and s.confirmed:
                    s.on_linked(v, now)
            if self.shown.pop(v["token"], None):
                self.event("again")
                self.refresh_at = min(self.refresh_at or now + 1, now + 1)
        elif body == "leave":
            self.event("server-lost", reason="leave")
            self.forget()
            self.awaiting = True
            self.request_begun = now
            self.gap = 0.5
            self.request_at = now + random.uniform(0.5, 2)
        else:
            self.stats["strange"] += 1

    def heard_server(self, now):
        if self.server_lost:
            self.server_lost = False
            self.server_back = now
        self.server_heard = now

    def server_alive(self, now):
        return not (self.awaiting and now - self.request_begun > 5)

    def forget(self):
        self.secret = self.cookie = b""
        self.state = "new"
        self.shown = {}
        for s in self.sessions:
            s.link = 0
            s.link_gap = 1.0

    def on_registered(self, v, now):
        if v["token"] not in self.tokens:
            self.stats["strange"] += 1
            return
        asked, with_secret = self.tokens[v["token"]]
        self.heard_server(now)
        self.rtt = now - asked
        self.cookie = v["cookie"]
        if "observed" in v:
            addr = to_tuple(mask(v["observed"], struct.pack("<Q", v["token"])))
            if addr and addr != self.observed:
                self.observed = addr
                self.offer_changed()
        if "alternate" in v and v["alternate"]["port"]:
            ip = v["alternate"]["ip"]
            if len(ip) in (0, 4):
                self.nat.alternate = (socket.inet_ntoa(ip) if ip else self.server[0], v["alternate"]["port"])
        if v["secret"] != self.secret:
            self.secret = v["secret"]
            self.proof = le64(blake(16, b"p2p1 proof", key=self.secret)) or 1
            self.state = "echo"
            self.handle = v["handle"]
            for s in self.sessions:
                s.link = 0
            self.grow(v)
            self.register(now)
            early, self.early = self.early, []
            for info in early:
                self.on_peer_info(info, now)
            return
        if with_secret != self.secret:
            return
        more = self.grow(v)
        if self.state == "echo":
            self.state = "ok"
            self.nat.registered_at = now
            self.event("registered", observed=show(self.observed) if self.observed else None,
                       room=v["room"], bits=self.bits, bits_wanted=v["bits_wanted"],
                       lease=v["lease_s"])
        elif more:
            self.event("bits", bits=self.bits)
        self.awaiting = False
        self.refresh_at = min(self.refresh_at if self.refresh_at and self.refresh_at > now else now + 99,
                              now + 15 * random.uniform(1, 1.2))
        if more:
            self.register(now)

    def grow(self, v):
        if not self.keyword.room and v["bits_wanted"] > self.bits and self.bits < 8:
            self.bits = min(8, v["bits_wanted"])
            return True
        return False

    def on_refused(self, v, now):
        code = v["code"]
        if v["proof"]:
            if v["proof"] != self.proof or not self.secret:
                self.stats["strange"] += 1
                return
        elif v["token"] not in self.tokens:
            self.stats["strange"] += 1
            return
        self.event("refused", code=code, by="proof" if v["proof"] else "token")
        if code == 1 and v["proof"]:
            for s in self.sessions:
                s.link = 0
                s.link_gap = 1.0
            if now - self.lost_registration_at >= 1:
                self.lost_registration_at = now
                self.register(now)
        elif code == 1:
            if self.tokens[v["token"]][1] == self.secret and self.secret:
                self.forget()
                self.register(now)
        else:
            self.awaiting = True
            self.request_begun = now
            self.gap = 0.5
            self.request_at = now + (v["retry_after_s"] or 10)

    def on_peer_info(self, v, now):
        if "share" not in v or v["own_point"] not in self.stock:
            return
        if not self.secret:
            if len(self.early) < 4:
                self.early.append(v)
            return
        share = self.stock[v["own_point"]]
        for mine in list(self.stock.values()) + [s.share for s in self.sessions]:
            if v["share"]["point"] == mine.point or v["share"]["commitment"] == mine.commitment:
                self.event("reflection")
                return
        del self.stock[v["own_point"]]
        try:
            s = Session(self, share, v, now)
        except Bad:
            self.stock_slow(now)
            return
        self.sessions.append(s)
        for number, text in self.pending:
            s.say(number, text)
        s.flush(now)

    def is_full(self):
        return sum(s.confirmed and not s.ended for s in self.sessions) >= 15

    def again(self, run, now):
        """A run that is over may have been with a friend: its token is shown to the server for a while."""
        self.shown[run.token] = {"side": run.side, "until": now + 120, "next": now, "gap": 1.0}

    def show_again(self, token, now):
        shown = self.shown[token]
        if now >= shown["until"]:
            del self.shown[token]
        elif now >= shown["next"] and self.state == "ok":
            shown["next"] = now + shown["gap"]
            shown["gap"] *= 2
            self.send_server(frame("link", {"secret": self.secret, "token": {"token": token, "side": shown["side"]}}))

    def stock_slow(self, now):
        self.replace_at.append(max([now] + self.replace_at) + 1.0)

    def on_signal(self, v, now):
        s = next((s for s in self.sessions if v["point"] in (s.peer_share["point"], s.via_theirs)), None)
        body = parse_frame(v["datagram"])
        if not body or body[0] != "sealed":
            raise Bad("no sealed inside")
        if not s:
            self.stats["strange"] += 1
            return
        opened = body[1]["session"] == s.peer_session and s.on_sealed(body[1], (SIGNAL,), now)
        if not opened and not s.confirmed and not s.guessed and v["point"] != s.via_theirs and (
                body[1]["session"] != s.peer_session):
            s.guessed = True
            self.stats["wrong"] += 1
            self.event("stranger", peers_point=v["point"].hex()[:8])

    def on_relay(self, v, now):
        body = parse_frame(v["datagram"])
        if not body or body[0] != "sealed":
            raise Bad("no sealed inside")
        for s in self.sessions:
            if s.peer_session == body[1]["session"]:
                s.on_sealed(body[1], (RELAY,), now)
                return
        self.stats["strange"] += 1

    # ----- peers

    def confirmed(self, s, now):
        self.peers += 1
        s.number = self.peers
        self.stock_confirmed(now)
        self.refresh_at = min(self.refresh_at or now + 1, now + 1)
        if self.first_peer is None:
            self.first_peer = now

    def acceptable(self, addr, s):
        ip = [int(x) for x in addr[0].split(".")]
        if ip[0] == 0 or ip[0] >= 224 or addr == self.server or addr == self.here \
                or addr == self.observed:
            return False
        if ip[0] == 127:
            return self.server[0].startswith("127.")
        # Bound to loopback nothing else can be reached.
        if self.here[0].startswith("127."):
            return False
        private = ip[0] == 10 or ip[0] == 172 and 16 <= ip[1] < 32 or ip[:2] in ([192, 168], [169, 254])
        same = self.observed and s.peer_observed and self.observed[0] == s.peer_observed[0]
        return not private or bool(same) or self.near(addr)

    def offer(self, s):
        candidates = []
        if not self.relay_only:
            own = [self.here[0]] if self.here[0] != "0.0.0.0" else \
                [a for a in self.addresses() if not a.startswith("127.")]
            for address in own[:6]:
                candidates.append({"address": {"ip": socket.inet_aton(address), "port": self.here[1]}, "kind": 1})
            if self.observed:
                candidates.append({"address": {"ip": socket.inet_aton(self.observed[0]),
                                               "port": self.observed[1]}, "kind": 2})
        return {"generation": self.generation, "name": self.name.encode()[:64],
                "candidates": candidates, "server_rtt_us": max(1, min(int(self.rtt * 1e6), 10000000)),
                "mapping": self.nat.mapping, "filtering": self.nat.filtering, "ports": self.nat.ports}

    def say(self, text, number=None):
        if number is None:
            number = self.next_id
            self.next_id += 1
        confirmed = [s for s in self.sessions if s.confirmed]
        for s in self.sessions:
            if s.confirmed or not confirmed:
                s.say(number, text)
        if not confirmed or time.monotonic() - (self.first_peer or 0) < 2:
            self.pending.append((number, text))

    def offer_changed(self, only_without_path=False):
        self.generation += 1
        for s in self.sessions:
            if not (only_without_path and s.cur):
                s.offer_need = True

    def command(self, line):
        try:
            o = json.loads(line)
        except ValueError:
            self.event("error", code="bad-command")
            return
        if "send" in o:
            self.say(o["send"], o.get("id"))
        elif o.get("command") == "quit":
            self.stopping = self.stopping or time.monotonic()
        elif o.get("command") == "name":
            self.name = o["name"]
            self.offer_changed()
        elif o.get("command") == "stats":
            self.show_stats()
        elif o.get("command") == "deaf":
            self.deaf = o["datagrams"]
            self.event("deaf", datagrams=self.deaf)
        elif o.get("command") == "rebind":
            self.bind()
            self.event("rebound", address=show(self.here))
            self.register(time.monotonic())

    def show_stats(self):
        self.event("stats", dropped=self.dropped, **self.stats,
                   peers=[dict(peer=s.number, link=bool(s.link), epoch=s.send_epoch,
                               path=s.way()[0], srtt_ms=round(s.srtt * 1000, 3), **s.count) for s in self.sessions if s.confirmed])

    # ----- the loop

    def datagram(self, data, addr, now, sock=None):
        self.stats["in"] += 1
        try:
            body = parse_frame(data)
            if not body:
                raise Bad("no body")
            if body[0] == "sealed":
                for s in self.sessions:
                    if s.peer_session == body[1]["session"]:
                        s.on_sealed(body[1], (DIRECT, addr, sock), now)
                        break
            elif body[0] == "probed":
                self.on_probed(body[1], addr)
            elif addr == self.server and sock is None:
                limit = {"registered": 144, "peer_info": 160, "signal": 800}.get(body[0], 1200)
                if len(data) > limit:
                    self.event("too-long", body=body[0], size=len(data))
                self.from_server(body[0], body[1], now)
        except Bad as bad:
            self.stats["bad"] += 1
            self.event("bad", why=str(bad))

    def housekeeping(self, now):
        if self.awaiting and now >= self.request_at:
            if now - self.request_begun > 10 and not self.server_lost:
                self.server_lost = True
                self.event("server-lost", reason="silence")
            self.register(now, again=True)
        elif not self.awaiting and self.refresh_at is not None and now >= self.refresh_at:
            self.refresh_at = None
            self.register(now)
        for at in [t for t in self.replace_at if t <= now]:
            self.replace_at.remove(at)
            if self.budget > 0 and len(self.stock) < 8:
                self.budget -= 1
                self.new_share()
                self.refresh_at = min(self.refresh_at or now + 1, now + 1)
        for q in set(self.questions.values()):
            q.tick(now)
        for token in [t for t, q in self.questions.items() if q.done]:
            del self.questions[token]
        self.nat.tick(now)
        for s in self.sessions:
            s.tick(now)
        self.spoken = [(s, until) for s, until in self.spoken if now < until][-8:]
        self.heard = [(s, until) for s, until in self.heard if now < until][-8:]
        for s in [s for s in self.sessions if s.ended]:
            self.sessions.remove(s)
            if not s.confirmed and s.out_next > 0:
                self.spoken.append((s, now + 600))
            if s.confirmed and s.shown and not s.env_acked:
                self.heard.append((s, now + 600))
            if not s.confirmed and s.ended not in ("same", "refused"):
                self.stock_slow(now)
        for token in list(self.shown):
            self.show_again(token, now)
        if self.first_peer is not None and now - self.first_peer > 2:
            self.pending = []
        if self.stopping is not None:
            self.try_stop(now)

    def try_stop(self, now):
        live = [s for s in self.sessions if s.confirmed]
        waits = [s for s in live if not s.all_delivered()]
        if waits and now - self.stopping < self.args.wait:
            return
        owing = [s for s in live if s.owes()]
        if owing and now - self.stopping < max(3 * s.pto() for s in owing):
            return
        for s in live:
            s.leave(now)
        if self.secret:
            self.send_server(frame("leave", {"secret": self.secret, "reason": 1}))
        self.show_stats()
        self.event("end", status=1 if waits else 0)
        self.stop = True

    def receive(self, sock):
        for _ in range(64):
            try:
                data, addr = sock.recvfrom(2048)
            except BlockingIOError:
                break
            except OSError:
                if sock.fileno() < 0:
                    break  # a fresh one, closed since
                continue
            if self.deaf:
                self.deaf -= 1
                continue
            if self.args.drop and self.chance.random() < self.args.drop:
                self.dropped[1] += 1
                continue
            self.datagram(data, addr, time.monotonic(), None if sock is self.sock else sock)

    def run(self):
        now = time.monotonic()
        self.event("hello", form="room" if self.keyword.room else "open", keyword=self.keyword.text)
        for text in self.args.send:
            self.say(text)
        self.register(now)
        while not self.stop:
            now = time.monotonic()
            due = [now + 0.25]
            if self.awaiting:
                due.append(self.request_at)
            elif self.refresh_at:
                due.append(self.refresh_at)
            due += [s.due(now) for s in self.sessions]
            due += [q.next for q in self.questions.values()] + [self.nat.due(now)]
            readers = [self.sock, *self.fresh] + ([0] if self.stdin_open else [])
            ready, _, _ = select.select(readers, [], [], max(0.0, min(due) - now))
            now = time.monotonic()
            if 0 in ready:
                got = os.read(0, 1 << 16)
                if not got:
                    self.stdin_open = False
                    if self.args.quit_at_eof:
                        self.stopping = now
                self.inbuf += got
                while b"\n" in self.inbuf:
                    line, self.inbuf = self.inbuf.split(b"\n", 1)
                    self.command(line.decode())
            for sock in ready:
                if sock:
                    self.receive(sock)
            self.housekeeping(time.monotonic())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--server", required=True)
    p.add_argument("--keyword", required=True)
    p.add_argument("--name", default="")
    p.add_argument("--send", action="append", default=[])
    p.add_argument("--relay-only", action="store_true")
    p.add_argument("--drop", type=float, default=0.0, help="share of own datagrams dropped, both ways")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--epoch-packets", type=int, default=2 ** 20)
    p.add_argument("--no-links", action="store_true", help="list no links in Register")
    p.add_argument("--quit-at-eof", action="store_true")
    p.add_argument("--wait", type=float, default=30.0, help="how long quit waits for what is not delivered")
    p.add_argument("--side", type=int, choices=(0, 1), help="be this side of every run, but for one in some thousand")
    p.add_argument("--later", action="store_true", help="speak like a later version: unknown fields, "
                   "unknown bodies, padding")
    args = p.parse_args()
    if args.later:
        global LATER
        LATER = leb128(50 << 3) + leb128(7)
    client = Client(args)

    def asked(*_):
        client.stopping = client.stopping or time.monotonic()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    client.run()


if __name__ == "__main__":
    main()
