"""Black-box tests of p2p-server and p2p-client: processes, deadlines, and a runner.

A test starts the real programs (folder P2P_BUILD, default `build`), each with pipes or a terminal of its own, and
waits for what they say. Nothing here sleeps for a condition: a wait ends with the condition, with the death of the
program, or as a failure at its deadline, which then shows all that the programs have said. P2P_TIME_SCALE stretches
every deadline (sanitizers, valgrind).
"""
import concurrent.futures
import faulthandler
import os
import random
import re
import select
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time
import unittest

TIME_SCALE = float(os.environ.get("P2P_TIME_SCALE", "1"))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("P2P_BUILD", "build"))
SERVER = os.path.join(BUILD, "p2p-server")
CLIENT = os.path.join(BUILD, "p2p-client")

SOON = 10.0  # seconds: far more than anything takes that should happen at once

# What a broken program says about itself, whatever the test was about.
CRASH_TRACES = (b"AddressSanitizer", b"LeakSanitizer", b"runtime error:", b"Assertion `", b"stack smashing")


LIVE = set()  # what would be left behind if this program were ended


def scaled(seconds):
    return seconds * TIME_SCALE


def environment(**changes):
    """The environment of a program under test: nothing of the caller's that it could listen to."""
    kept = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TMPDIR", "LD_LIBRARY_PATH")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env.update(LC_ALL="C.UTF-8", HOME="/nonexistent", TERM="dumb")
    env.update(changes)
    return env


def fresh_keyword():
    """In open form, not weak, and nobody else's."""
    return "".join(random.choices(string.ascii_lowercase, k=20))


RESERVED = []  # TCP sockets: who has the TCP port of this number has the UDP port until this program ends


def reserve_port():
    """A port that no other test has taken or is about to take, and nobody else at the moment. Below those that the system
    gives out: clients ask it for many."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first_given = int(file.read().split()[0])
    while True:
        port = random.randrange(10000, first_given)
        lock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            lock.bind(("127.0.0.1", port))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        RESERVED.append(lock)
        return port


def free_udp_ports(count):
    """For a server that has to come back to the same ones."""
    return [reserve_port() for _ in range(count)]


def scratch_file(test, content, name="file"):
    folder = tempfile.mkdtemp(prefix="p2p-test-")
    test.addCleanup(shutil.rmtree, folder)
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(content)
    return path


class Stream:
    """One output of a program, read by a thread as it comes; pause() lets the pipe fill up."""

    def __init__(self, fd, changed):
        self.fd = fd
        self.changed = changed
        self.data = bytearray()
        self.at_end = False
        self.flowing = threading.Event()
        self.flowing.set()
        self.closing = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.closing:
            if not self.flowing.wait(0.2) or not select.select([self.fd], [], [], 0.2)[0]:
                continue
            try:
                chunk = os.read(self.fd, 65536)
            except OSError:  # EIO: the other end of a terminal is gone
                chunk = b""
            with self.changed:
                self.data += chunk
                self.at_end = not chunk
                self.changed.notify_all()
            if not chunk:
                return

    def pause(self):
        self.flowing.clear()

    def resume(self):
        self.flowing.set()

    def close(self):
        self.closing = True
        self.flowing.set()
        self.thread.join()

    def text(self):
        return self.data.decode("utf-8", "replace")

    def lines(self):
        """The complete lines so far."""
        return self.text().split("\n")[:-1]


class Process:
    """A program under test. It ends with the test, and its death by a signal that we did not send is a failure."""

    def __init__(self, test, argv, env=None, stdin=subprocess.PIPE, **popen):
        self.test = test
        self.argv = argv
        self.changed = threading.Condition()
        self.signals_sent = set()
        self.started_at = time.monotonic()
        self.popen = subprocess.Popen(argv, env=env or environment(), stdin=stdin,
                                      **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                                         "start_new_session": True, **popen})
        LIVE.add(self.popen)
        test.addCleanup(self._finish)
        self.pid = self.popen.pid
        self.streams = self._open_streams()

    def _open_streams(self):
        self.stdout = Stream(self.popen.stdout.fileno(), self.changed)
        self.stderr = Stream(self.popen.stderr.fileno(), self.changed)
        return [self.stdout, self.stderr]

    def running(self):
        return self.popen.poll() is None

    def said(self):
        parts = ["$ " + " ".join(self.argv)]
        for name in ("stdout", "stderr"):
            stream = getattr(self, name, None)
            if stream in self.streams:
                parts.append("  %s: %s" % (name, stream.text()[-6000:].replace("\n", "\n    | ")))
        parts.append("  status: %s" % self.popen.poll())
        return "\n".join(parts)

    def fail(self, what):
        others = [o for o in getattr(self.test, "processes", []) if o is not self]
        self.test.fail("%s\n%s" % (what, "\n".join(o.said() for o in [self] + others)))

    def wait_until(self, predicate, what, timeout=SOON):
        """Returns the first true value of predicate(). Fails at the deadline, or when the program has ended
        without having made it true."""
        deadline = time.monotonic() + scaled(timeout)
        with self.changed:
            while True:
                over = not self.running() and all(s.at_end for s in self.streams)
                value = predicate()
                if value:
                    return value
                if over:
                    break
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self.changed.wait(min(left, 0.1))
        self.fail("%s ended without: %s" % (self, what) if over else "not within %g s: %s" % (scaled(timeout), what))

    def wait_stderr(self, pattern, timeout=SOON):
        return self.wait_until(lambda: re.search(pattern, self.stderr.text()), "stderr: " + pattern, timeout)

    def exit_status(self, timeout=SOON):
        """The status with which the program ends by itself; all of its output has been read."""
        deadline = time.monotonic() + scaled(timeout)
        try:
            status = self.popen.wait(scaled(timeout))
        except subprocess.TimeoutExpired:
            self.fail("still running after %g s" % scaled(timeout))
        for stream in self.streams:
            stream.thread.join(max(1.0, deadline - time.monotonic()))
        return status

    def expect_exit(self, status, timeout=SOON):
        actual = self.exit_status(timeout)
        if actual != status:
            self.fail("status %s instead of %s" % (actual, status))

    def signal(self, number):
        self.signals_sent.add(number)
        self.popen.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.popen.wait()

    def resident_kb(self):
        with open("/proc/%d/status" % self.pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def lifetime(self):
        return time.monotonic() - self.started_at

    def _close_input(self):
        if self.popen.stdin and not self.popen.stdin.closed:
            try:
                self.popen.stdin.close()
            except BrokenPipeError:
                pass

    def _finish(self):
        if self.running():
            self.kill()
        LIVE.discard(self.popen)
        self._close_input()
        for stream in self.streams:
            stream.close()
        for pipe in (self.popen.stdout, self.popen.stderr):
            if pipe:
                pipe.close()
        status = self.popen.returncode
        if status < 0 and -status not in self.signals_sent:
            self.fail("killed by signal %d" % -status)
        for stream in self.streams:
            if any(trace in stream.data for trace in CRASH_TRACES):
                self.fail("a crash report")

    def __str__(self):
        return os.path.basename(self.argv[0])


def run(test, argv, env=None, stdin=subprocess.DEVNULL, timeout=SOON):
    """For a program that ends by itself: (status, stdout, stderr) as text."""
    p = Process(test, argv, env, stdin)
    status = p.exit_status(timeout)
    return status, p.stdout.text(), p.stderr.text()


class Server(Process):
    """Ready to serve when made. Ports are the system's choice unless `args` say otherwise."""

    def __init__(self, test, *args, ports=(0, 0), wait=True, prefix=(), **popen):
        super().__init__(test, [*prefix, SERVER, "--listen", "127.0.0.1:%d" % ports[0], "--alt-port", str(ports[1]),
                                *args], stdin=subprocess.DEVNULL, **popen)
        test.remember(self)
        self.address = None
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout=SOON):
        self.wait_until(lambda: "ready" in self.stdout.lines(), "ready", timeout)
        self.addresses = re.findall(r"^listening on udp (\S+)$", self.stdout.text(), re.M)
        if not self.addresses:
            self.fail("no socket is listening")
        self.address = self.addresses[0]
        self.port = int(self.address.rsplit(":", 1)[1])


class PipeClient(Process):
    """p2p-client with pipes for stdin and stdout: lines of text in, `NAME: TEXT` out."""

    def __init__(self, test, server, *args, keyword=None, name=None, env=None, prefix=(), **popen):
        address = server if isinstance(server, str) else server.address
        argv = [*prefix, CLIENT, "--server", address, *self.mode(), *args]
        if keyword is not None:
            argv += ["--keyword", keyword]
        if name is not None:
            argv += ["--name", name]
        self.name = name
        super().__init__(test, argv, env, **popen)
        test.remember(self)

    def mode(self):
        return ["--console"]

    def write(self, data, timeout=SOON):
        """Blocks while the program does not read, at most so long."""
        fd = self.popen.stdin.fileno()
        os.set_blocking(fd, False)
        left = memoryview(data)
        deadline = time.monotonic() + scaled(timeout)
        while left:
            if not select.select([], [fd], [], max(0, deadline - time.monotonic()))[1]:
                self.fail("does not read its stdin")
            try:
                left = left[os.write(fd, left):]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                self.fail("closed its stdin")

    def send(self, text):
        self.write(text.encode() + b"\n")

    def end_input(self):
        self._close_input()

    def wait_line(self, line, timeout=SOON):
        return self.wait_until(lambda: line in self.stdout.lines(), "the line %r" % line, timeout)


class TestCase(unittest.TestCase):
    """Remembers its programs, so that a failure can show what all of them said."""

    longMessage = True

    def setUp(self):
        self.processes = []
        self.keyword = fresh_keyword()

    def remember(self, process):
        self.processes.append(process)


# ---- the runner ----

WORKERS = 6  # tests at a time: they wait far more than they compute


def _flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _flatten(item)
        else:
            yield item


def _ended(number, _):
    """Somebody ends us, perhaps because we hang: say where, and take our programs with us."""
    faulthandler.dump_traceback()
    for _ in range(3):  # the other threads may be starting one just now
        for process in list(LIVE):
            try:
                process.kill()
            except (OSError, subprocess.SubprocessError):
                continue  # gone already
        time.sleep(0.1)
    os._exit(128 + number)


def _run_one(test):
    began = time.monotonic()
    result = unittest.TestResult()
    test.run(result)
    return test, result, time.monotonic() - began


def main():
    """Runs the tests of the calling script, or those whose names contain an argument. -v: name and time of each."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGABRT):
        signal.signal(number, _ended)
    verbose = "-v" in sys.argv
    wanted = [a for a in sys.argv[1:] if a != "-v"]
    for program in (SERVER, CLIENT):
        if not os.access(program, os.X_OK):
            print("%s is missing: run make first (P2P_BUILD names the folder)" % program)
            print("0 passed, 1 failed")
            sys.exit(1)
    tests = [t for t in _flatten(unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]))
             if not wanted or any(w in t.id() for w in wanted)]
    # The slow ones first, so that they do not stand at the end alone.
    tests.sort(key=lambda t: -getattr(getattr(t, t._testMethodName), "expected_seconds", 0))
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for test, result, seconds in pool.map(_run_one, tests):
            name = test.id().replace("__main__.", "")
            problems = result.failures + result.errors
            for _, trace in problems:
                print("FAIL %s\n%s" % (name, trace))
            for _, reason in result.skipped:
                print("skipped %s: %s" % (name, reason))
            if verbose and not problems:
                print("%-60s %5.1f s" % (name, seconds))
            failed += bool(problems)
            skipped += bool(result.skipped and not problems)
            passed += not problems and not result.skipped
    print("%d passed, %d failed" % (passed, failed) + (", %d skipped" % skipped if skipped else ""))
    sys.stdout.flush()
    sys.exit(1 if failed or not passed + skipped else 0)


def slow(seconds):
    """Marks a test that has to wait for a timer of the programs."""
    def mark(method):
        method.expected_seconds = seconds
        return method
    return mark
