#!/usr/bin/env python3
"""Many small files in one: fuzz/corpus/NAME.pack.
usage: pack.py pack FILE.pack FOLDER...     the smallest first; equal ones once
       pack.py unpack FILE.pack FOLDER"""
import hashlib
import os
import struct
import sys


def pack(target, folders):
    inputs = set()
    for folder in folders:
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as file:
                inputs.add(file.read())
    with open(target, "wb") as out:
        for data in sorted(inputs, key=lambda data: (len(data), data)):
            out.write(struct.pack("<I", len(data)) + data)
    print(f"{target}: {len(inputs)} inputs, {os.path.getsize(target)} bytes")


def unpack(source, folder):
    os.makedirs(folder, exist_ok=True)
    with open(source, "rb") as file:
        while head := file.read(4):
            data = file.read(struct.unpack("<I", head)[0])
            with open(os.path.join(folder, hashlib.sha1(data).hexdigest()), "wb") as out:
                out.write(data)


def main(arguments):
    if len(arguments) >= 3 and arguments[0] == "pack":
        pack(arguments[1], arguments[2:])
    elif len(arguments) == 3 and arguments[0] == "unpack":
        unpack(*arguments[1:])
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
