"""Other people's traffic: new flows, PER_S a second on average, each from a new port to a new destination.

usage: foreign.py PER_S SEED     for ever; a line after each flow. Nobody answers, but each takes a port of a NAT.
"""
import random
import socket
import sys
import time

NOWHERE = "198.18.0.9"
FIRST_PORT, PORTS = 1024, 60000


def main():
    per_s, dice = float(sys.argv[1]), random.Random(int(sys.argv[2]))
    at, flows = time.monotonic(), 0
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"hello?", (NOWHERE, FIRST_PORT + flows % PORTS))
        flows += 1
        print(flows, flush=True)
        # As people's programs come: independent of each other, so now none for a second, now five at once.
        at += dice.expovariate(per_s)
        time.sleep(max(0.0, at - time.monotonic()))


if __name__ == "__main__":
    main()
