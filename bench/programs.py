"""Programs that bench/run.py starts: each on a core of its own, ended when it is no longer needed."""
import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

READY_MAX_S = 20.0
RUN_MAX_S = 170.0  # of one program; nothing here takes that long


class Failure(Exception):
    """Ends the run; says what is wrong."""


class Missing(Exception):
    """A figure cannot be had on this machine; says why."""


def cores():
    """(the servers' core, the loads' core): the same if there is but one."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[0], mine[-1]


def on_core(core):
    return lambda: os.sched_setaffinity(0, {core})


def call(argv, core=None):
    """The JSON object that a program prints."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_MAX_S,
                              preexec_fn=None if core is None else on_core(core))
    except subprocess.TimeoutExpired:
        raise Failure("%s did not end" % " ".join(argv)) from None
    if done.returncode != 0:
        raise Failure("%s: status %d\n%s" % (" ".join(argv), done.returncode, done.stderr.strip()))
    return json.loads(done.stdout)


def end(process):
    process.terminate()
    try:
        process.wait(READY_MAX_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def server(argv, core=None):
    """One that says `listening on udp ADDR:PORT` and `ready`. Gives its first port and its process id."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                               preexec_fn=None if core is None else on_core(core))
    try:
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if lines[-1] == "ready":
                break
        else:
            raise Failure("%s ended before it was ready" % " ".join(argv))
        yield int(lines[0].rsplit(":", 1)[1]), process.pid
    finally:
        end(process)
        process.stdout.close()


# ---- coturn ----

def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers_stun(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.05)
        s.connect(("127.0.0.1", port))
        try:
            s.send(struct.pack("!HHI12s", 1, 0, 0x2112a442, b"are we ready"))
            return len(s.recv(1500)) > 0
        except OSError:
            return False


@contextlib.contextmanager
def coturn(core):
    """One relay thread, no credentials, no quota: as much as it can."""
    program = shutil.which("turnserver", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise Missing("no turnserver here (apt-get install coturn)")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="p2p-bench-") as folder:
        argv = [program, "-n", "--no-auth", "--no-tls", "--no-dtls", "--no-cli", "--listening-ip=127.0.0.1",
                "--listening-port=%d" % port, "--relay-ip=127.0.0.1", "--allow-loopback-peers", "--relay-threads=1",
                "--userdb=%s/db" % folder, "--pidfile=%s/pid" % folder, "--log-file=%s/log" % folder, "--simple-log"]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, preexec_fn=on_core(core))
        try:
            deadline = time.monotonic() + READY_MAX_S
            while not answers_stun(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Missing("turnserver does not start here")
            yield port, process.pid
        finally:
            end(process)
