#!/usr/bin/env python3
"""The worked example of docs/protocol.md, computed without any of the program's code or libraries.

Prints `name = hex` lines; tests/vectors/worked-example.txt is its output, against which
tests/test_seal.c checks the program. Everything is public here, so nothing is constant-time.
    worked_example.py            print
    worked_example.py --check    compare with worked-example.txt; exit 1 if they differ
"""
import hashlib
import json
import pathlib
import re
import struct
import sys
import unicodedata

HERE = pathlib.Path(__file__).resolve().parent

# ---- ristretto255, RFC 9496 over the field 2^255 - 19 ----
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def negative(x):
    return x % P % 2 == 1


def absolute(x):
    return -x % P if negative(x) else x % P


def sqrt_ratio(u, v):
    """(u/v is square, its root, or that of SQRT_M1*u/v), section 4.2."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    if check in (-u % P, -u * SQRT_M1 % P):
        r = r * SQRT_M1 % P
    return check in (u % P, -u % P), absolute(r)


INVSQRT_A_MINUS_D = sqrt_ratio(1, (-1 - D) % P)[1]
SQRT_AD_MINUS_ONE = -sqrt_ratio(-D - 1, 1)[1] % P  # the odd root, as the RFC has it


def add(p, q):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = p, q
    a, b = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2)
    c, d = 2 * D * t1 * t2, 2 * z1 * z2
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def decode(data):
    s = int.from_bytes(data, "little")
    if s >= P or negative(s):
        raise ValueError("not canonical")
    u1, u2 = (1 - s * s) % P, (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    square, inv = sqrt_ratio(1, v * u2 * u2)
    den_x = inv * u2 % P
    x, y = absolute(2 * s * den_x), u1 * inv * den_x * v % P
    if not square or negative(x * y) or y == 0:
        raise ValueError("not a point")
    return x, y, 1, x * y % P


def encode(point):
    x, y, z, t = point
    u1, u2 = (z + y) * (z - y) % P, x * y % P
    inv = sqrt_ratio(1, u1 * u2 * u2)[1]
    den1, den2 = inv * u1 % P, inv * u2 % P
    z_inv = den1 * den2 * t % P
    if negative(t * z_inv):
        x, y, den = y * SQRT_M1 % P, x * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D
    else:
        den = den2
    if negative(x * z_inv):
        y = -y
    return absolute(den * (z - y)).to_bytes(32, "little")


def elligator(data):
    t = int.from_bytes(data, "little") % 2**255 % P
    r = SQRT_M1 * t * t % P
    u = (r + 1) * (1 - D * D) % P
    v = (-1 - r * D) * (r + D) % P
    square, s = sqrt_ratio(u, v)
    c = P - 1
    if not square:
        s, c = -absolute(s * t) % P, r
    n = (c * (r - 1) * (D - 1) ** 2 - v) % P
    w0, w1, w2, w3 = 2 * s * v, n * SQRT_AD_MINUS_ONE, 1 - s * s, 1 + s * s
    return w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P


def from_hash(data):
    return add(elligator(data[:32]), elligator(data[32:]))


# ---- ChaCha20-Poly1305, RFC 8439 ----
def chacha_block(key, counter, nonce):
    start = list(struct.unpack("<4I", b"expand 32-byte k")) + list(struct.unpack("<8I", key))
    start += [counter] + list(struct.unpack("<3I", nonce))
    x = start[:]
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            for i, j, k, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[i] = (x[i] + x[j]) % 2**32
                x[k] = ((x[k] ^ x[i]) << turn | (x[k] ^ x[i]) >> 32 - turn) % 2**32
    return struct.pack("<16I", *((a + b) % 2**32 for a, b in zip(x, start)))


def aead_seal(key, nonce, plain, associated):
    stream = b"".join(chacha_block(key, 1 + i, nonce) for i in range(len(plain) // 64 + 1))
    cipher = bytes(a ^ b for a, b in zip(plain, stream))
    pad = lambda data: data + bytes(-len(data) % 16)
    text = pad(associated) + pad(cipher) + struct.pack("<2Q", len(associated), len(cipher))
    once = chacha_block(key, 0, nonce)
    r = int.from_bytes(once[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    tag = 0
    for i in range(0, len(text), 16):
        tag = (tag + int.from_bytes(text[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return cipher + ((tag + int.from_bytes(once[16:32], "little")) % 2**128).to_bytes(16, "little")


# ---- section 1: the keyword ----
def normal_form(text):
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return re.sub(r"[\s-]+", "-", text).strip("-").encode()


def channel_identifier(normal):
    room = re.match(rb"([1-9][0-9]{0,5})-.", normal)
    return b"p2p1 room " + room.group(1) if room else b"p2p1 open"


# ---- section 2: CPace ----
def lv_cat(*parts):
    result = b""
    for part in parts:
        size = len(part)
        while size >= 128:
            result += bytes([size % 128 + 128])
            size //= 128
        result += bytes([size]) + part
    return result


def generator_string(prs, ci, sid=b""):
    dsi = b"CPaceRistretto255"
    return lv_cat(dsi, prs, bytes(max(0, 128 - 1 - len(lv_cat(prs)) - len(lv_cat(dsi)))), ci, sid)


def sha512(data):
    return hashlib.sha512(data).digest()


def finish(k, a, b, sid=b""):
    transcript = b"oc" + max(a, b) + min(a, b)
    return sha512(lv_cat(b"CPaceRistretto255_ISK", sid, k) + transcript), sha512(b"CPaceSidOutput" + transcript)


# ---- section 3: keys ----
def blake2b(bits, message, key=b""):
    return hashlib.blake2b(message, digest_size=bits // 8, key=key).digest()


def kdf(key, number, context, size):
    return hashlib.blake2b(b"", digest_size=size, key=key, salt=struct.pack("<QQ", number, 0),
                           person=context + bytes(8)).digest()


def seal(key, session, epoch, counter, plain):
    head = struct.pack("<IQ", epoch, counter)
    return aead_seal(key, head, plain, session + head)


def sealed_datagram(session, epoch, counter, ciphertext):
    """Frame{protocol, sealed{session, epoch, counter, ciphertext}}; a field of 0 is left out."""
    body = b"\x09" + session
    body += b"\x10" + bytes([epoch]) if epoch else b""
    body += b"\x19" + struct.pack("<Q", counter) if counter else b""
    body += b"\x22" + lv_cat(ciphertext)
    return b"\x0dP2P1\x3a" + lv_cat(body)


def fixed(label, size):
    return hashlib.blake2b(b"p2p1 worked example " + label.encode(), digest_size=size).digest()


def check_against_draft():
    data = json.loads((HERE / "cpace-ristretto255.json").read_text())
    run = {name: bytes.fromhex(value) for name, value in data["run"].items()}
    string = generator_string(run["PRS"], run["CI"], run["sid"])
    g = from_hash(sha512(string))
    scalar = int.from_bytes(run["ya"], "little")
    k = encode(multiply(scalar, decode(run["Yb"])))
    isk, sid_output = finish(k, lv_cat(run["Ya"], run["ADa"]), lv_cat(run["Yb"], run["ADb"]), run["sid"])
    assert encode(g) == run["g"]
    assert encode(multiply(scalar, g)) == run["Ya"]
    assert k == run["K"]
    assert isk == run["ISK_SY"] and sid_output == run["sid_output_oc"]


def example(name, typed, words):
    """One run; yields (name, bytes or text for a comment)."""
    def line(what, value):
        return f"{name}.{what}", value

    normal = normal_form(typed)
    ci = channel_identifier(normal)
    string = generator_string(normal, ci)
    g = from_hash(sha512(string))
    yield line("typed", typed.encode())
    yield line("normal", normal)
    yield line("ci", ci)
    if ci == b"p2p1 open":
        yield line("prefix_hash", blake2b(256, b"p2p1 prefix" + normal))
    yield line("generator_string", string)
    yield line("g", encode(g))

    person = {}
    for who in "ab":
        scalar = int.from_bytes(fixed(f"{name} scalar {who}", 64), "little") % ORDER
        nonce = fixed(f"{name} nonce {who}", 32)
        point, commitment = encode(multiply(scalar, g)), blake2b(256, b"commit" + nonce)
        person[who] = dict(scalar=scalar, nonce=nonce, point=point, part=lv_cat(point, commitment))
        yield line(f"scalar_{who}", scalar.to_bytes(32, "little"))
        yield line(f"point_{who}", point)
        yield line(f"nonce_{who}", nonce)
        yield line(f"commitment_{who}", commitment)
    a, b = person["a"], person["b"]
    k = encode(multiply(a["scalar"], decode(b["point"])))
    assert k == encode(multiply(b["scalar"], decode(a["point"])))
    isk, run_id = finish(k, a["part"], b["part"])
    side = [a, b] if a["part"] > b["part"] else [b, a]
    yield line("k", k)
    yield line("isk", isk)
    yield line("run_id", run_id)
    yield line("side_of_a", bytes([side.index(a)]))

    root = blake2b(256, b"p2p1 root", isk)
    key = [kdf(root, 1 + i, b"p2p1seal", 32) for i in (0, 1)]
    session = [kdf(root, 3 + i, b"p2p1seal", 16)[:8] for i in (0, 1)]
    words_key, same_key = kdf(root, 6, b"p2p1seal", 32), kdf(root, 7, b"p2p1seal", 32)
    yield line("root", root)
    for i in (0, 1):
        yield line(f"key_{i}", key[i])
        yield line(f"session_{i}", session[i])
    yield line("relay_token", kdf(root, 5, b"p2p1seal", 16))
    yield line("words_key", words_key)
    w = blake2b(128, side[0]["nonce"] + side[1]["nonce"], words_key)
    index = [int.from_bytes(w, "big") >> 128 - 11 * (i + 1) & 2047 for i in range(4)]
    yield line("word_indices", struct.pack(">4H", *index))
    yield None, "that is: " + " ".join(words[i] for i in index)
    yield line("same_key", same_key)
    next_id = fixed(f"{name} next run", 64)
    yield line("next_run_id", next_id)
    yield line("same_tags", blake2b(256, next_id, same_key))

    yield None, "the first packet of side 0: an Envelope with its nonce, epoch 0, counter 0"
    plain = b"\x24\x6a\x22\x0a\x20" + side[0]["nonce"]
    cipher = seal(key[0], session[0], 0, 0, plain)
    yield line("packet_0.plain", plain)
    yield line("packet_0.ciphertext", cipher)
    yield line("packet_0.datagram", sealed_datagram(session[0], 0, 0, cipher))
    yield None, "a later packet of side 1: a Message, epoch 1, counter 1000; offset 0, id 1, \"hello\""
    plain = b"\x0b\x4a\x09\x12\x07\x01\x05hello"
    key_next = kdf(key[1], 1, b"p2p1step", 32)
    cipher = seal(key_next, session[1], 1, 1000, plain)
    yield line("key_1_epoch_1", key_next)
    yield line("packet_1.plain", plain)
    yield line("packet_1.ciphertext", cipher)
    yield line("packet_1.datagram", sealed_datagram(session[1], 1, 1000, cipher))


def main():
    check_against_draft()
    words = re.findall(r'"([a-z]+)",', (HERE / "../../src/wire/words.c").read_text())
    assert len(words) == 2048
    out = ["# Written by worked_example.py; numbers as they stand in the byte strings of docs/protocol.md."]
    for name, typed in (("room", " 42 Crab\u3000LUNAR--toast\n"), ("open", "\uff26oo")):
        for what, value in example(name, typed, words):
            out.append(f"# {value}" if what is None else f"{what} = {value.hex()}")
    secret = fixed("secret", 16)
    out += [f"secret = {secret.hex()}", f"proof = {blake2b(128, b'p2p1 proof', secret)[:8].hex()}"]
    text = "\n".join(out) + "\n"
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if text == (HERE / "worked-example.txt").read_text() else "worked-example.txt differs")
    print(text, end="")


main()
