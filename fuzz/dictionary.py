#!/usr/bin/env python3
"""A fuzzer's dictionary from a .proto: each field's tag by its name, and the protocol word. usage: dictionary.py FILE"""
import re
import sys

WIRE_TYPE = {"uint32": 0, "uint64": 0, "fixed64": 1, "fixed32": 5, "bytes": 2}


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def escape(data):
    return "".join(f"\\x{byte:02x}" for byte in data)


def main(path):
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"//.*", "", file.read())
    enums = set(re.findall(r"\benum (\w+)", text))
    tags = {}
    for message, body in re.findall(r"\bmessage (\w+) \{(.*?)\n\}", text, re.S):
        for repeated, kind, name, number in re.findall(r"(repeated )?\b(\w+) (\w+) = (\d+);", body):
            packed = repeated and kind in WIRE_TYPE and kind != "bytes"
            wire = 2 if packed else 0 if kind in enums else WIRE_TYPE.get(kind, 2)
            tags.setdefault(varint(int(number) << 3 | wire), f"{message}_{name}")
    for tag, name in sorted(tags.items()):
        print(f'{name}="{escape(tag)}"')
    print(f'word="{escape(bytes([0x0D]) + b"P2P1")}"')
    for name, number in {"max32": 2**32 - 1, "over32": 2**32, "max64": 2**64 - 1, "ids": 2**53 - 1, "enum": 2**31}.items():
        print(f'{name}="{escape(varint(number))}"')


main(sys.argv[1])
