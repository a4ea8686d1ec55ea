"""Probes one kind of NAT. usage: verify.py BUILD KIND [timeout] [sessions]     (inside private.sh); prints what it found."""
import json
import os
import subprocess
import sys

from lab import Failure, Lab, Program, Wan

HERE = os.path.dirname(os.path.abspath(__file__))
SERVERS = ["203.0.113.1", "203.0.113.2"]


def main():
    build, kind, *wanted = sys.argv[1:]
    status = subprocess.run([HERE + "/internet.sh", "homes", kind, "none"], check=False).returncode
    if status:
        sys.exit(status)
    lab = Lab(build, time_max_s=90)
    probe = [sys.executable, HERE + "/probe.py"]
    try:
        Wan(lab, {"server": 0, "a": 2, "b": 2}, {})
        server = Program(lab, "server", [*probe, "serve", *SERVERS])
        lab.wait(lambda: server.lines, "the probe's server is ready")
        asking = Program(lab, "ann", [*probe, "ask", *SERVERS, *wanted])
        lab.wait(lambda: asking.lines, "the probe has found something", 90)
        print(asking.lines[0], flush=True)
        status = 0
    except Failure as failure:
        lab.say_what_failed()
        print(json.dumps({"error": str(failure)}), flush=True)
        status = 1
    os._exit(status)


if __name__ == "__main__":
    main()
