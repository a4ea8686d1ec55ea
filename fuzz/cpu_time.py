#!/usr/bin/env python3
"""Runs a command and writes the CPU seconds that it and all its descendants took. usage: cpu_time.py FILE COMMAND...

Those whose parent did not wait for them count, too: AFL++ leaves its fork server, under which everything runs."""
import ctypes
import os
import resource
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36


def main():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("cpu_time.py: prctl: " + os.strerror(ctypes.get_errno()))
    status = subprocess.call(sys.argv[2:])
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(sys.argv[1], "w") as file:
        print(int(used.ru_utime + used.ru_stime), file=file)
    sys.exit(status if status >= 0 else 128 - status)


main()
