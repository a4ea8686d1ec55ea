#!/usr/bin/env python3
"""p2p-server under a service manager: the sockets it is passed, what it tells, its watchdog. We play systemd."""
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import ROOT, SERVER, Process, TestCase, environment, reserve_port, scaled
from jsonclient import JsonClient, pair
from test_server import register

# Becomes the server with the descriptors named first as 3, 4, ..., and its own pid where it belongs.
ACTIVATE = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(n), fcntl.F_DUPFD_CLOEXEC, 100) for n in sys.argv[1].split(",") if n]  # out of the way
for to, n in enumerate(fds, 3): os.dup2(n, to)
for name in sys.argv[2].split(","): os.environ[name] = str(os.getpid())
os.execv(sys.argv[3], sys.argv[3:])
"""


def udp(test, address, port=0, family=socket.AF_INET, v6only=1):
    s = socket.socket(family, socket.SOCK_DGRAM)
    test.addCleanup(s.close)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    s.bind((address, port))
    return s


def udp_on_one_port(test, *addresses):
    """Sockets with the same port, which somebody else may have at any of the addresses."""
    while True:
        first = udp(test, addresses[0])
        try:
            return [first] + [udp(test, a, first.getsockname()[1]) for a in addresses[1:]]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


class Manager:
    """The socket at which systemd listens for what its services tell."""

    def __init__(self, test, abstract=False):
        folder = tempfile.mkdtemp(prefix="p2p-test-")
        self.path = folder + "/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = "@" + self.path[1:] if abstract else self.path
        self.socket.bind("\0" + self.path[1:] if abstract else self.path)
        test.addCleanup(lambda: (self.socket.close(), os.path.exists(self.path) and os.unlink(self.path),
                                 os.rmdir(folder)))

    def next(self, timeout=harness.SOON):
        self.socket.settimeout(scaled(timeout))
        return self.socket.recv(4096).decode()


class Service(Process):
    def __init__(self, test, *args, sockets=(), pid_in=("LISTEN_PID",), **env):
        fds = [s.fileno() for s in sockets]
        super().__init__(test, [sys.executable, "-c", ACTIVATE, ",".join(map(str, fds)), ",".join(pid_in), SERVER, *args],
                         environment(LISTEN_FDS=str(len(fds)), **env), subprocess.DEVNULL, pass_fds=fds)
        test.remember(self)

    def addresses(self):
        self.wait_until(lambda: "ready" in self.stdout.lines(), "ready")
        return re.findall(r"^listening on udp (\S+)$", self.stdout.text(), re.M)


def written(s):
    address = s.getsockname()
    return ("[%s]:%d" if s.family == socket.AF_INET6 else "%s:%d") % address[:2]


class Passed(TestCase):
    def test_two_sockets_are_main_and_alternate(self):
        main, alternate = udp(self, "127.0.0.1"), udp(self, "127.0.0.1")
        service = Service(self, sockets=[main, alternate])
        self.assertEqual(service.addresses(), [written(main), written(alternate)])
        ann, bob = pair(self, written(main))
        ann.say("over a passed socket")
        bob.expect("message", text="over a passed socket")
        self.assertNotEqual(ann.expect("nat")["mapping"], "unknown", "the alternate answers, too")

    def test_newcomers_are_heard_at_the_alternate_too(self):
        main, alternate = udp(self, "127.0.0.1"), udp(self, "127.0.0.1")
        Service(self, sockets=[main, alternate]).addresses()
        JsonClient(self, written(alternate), keyword=self.keyword).expect("registered")

    def test_in_any_order_and_without_an_alternate(self):
        first, second = udp(self, "127.0.0.1"), udp(self, "127.0.0.2")
        others = udp_on_one_port(self, "127.0.0.1", "127.0.0.2")
        service = Service(self, sockets=[first, others[0], second, others[1]])
        self.assertEqual(service.addresses(), [written(s) for s in (first, second, *others)])
        alone = udp(self, "127.0.0.1")
        self.assertEqual(Service(self, sockets=[alone]).addresses(), [written(alone)])
        JsonClient(self, written(alone), keyword=self.keyword).expect("registered")

    def test_what_came_before_it_was_there_is_answered(self):
        main, stranger = udp(self, "127.0.0.1"), udp(self, "127.0.0.1")
        stranger.sendto(register(b"\x01\x02\x03\x04\x05\x06\x07\x08"), main.getsockname())
        Service(self, sockets=[main])
        stranger.settimeout(scaled(harness.SOON))
        self.assertEqual(stranger.recv(2048)[:6], b"\x0dP2P1\x1a", "a Registered")

    def test_those_of_another_process_are_left_alone(self):
        main = udp(self, "127.0.0.1")
        service = Service(self, "--listen", "127.0.0.1:0", "--alt-port", "0", sockets=[main], pid_in=["OTHER"],
                          LISTEN_PID="1")
        self.assertNotIn(written(main), service.addresses())

    def test_wrong_ones_are_named(self):
        port = reserve_port()
        tcp = socket.create_server(("127.0.0.1", 0))
        unbound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        file = open(os.devnull, encoding="ascii")
        for s in (tcp, unbound, unix, file):
            self.addCleanup(s.close)
        one = [udp(self, "127.0.0.1") for _ in range(3)]
        two, other = udp(self, "127.0.0.2"), udp(self, "127.0.0.2", port)
        table = [
            ([tcp], "socket 1 .*UDP"),
            ([unix], "socket 1 .*UDP"),
            ([one[0], file], "socket 2 .*UDP"),
            ([unbound], "socket 1 .*not bound"),
            (one, "socket 3 .*third"),
            ([one[0], one[1], two], "some have none"),
            ([one[0], one[1], two, other], "socket 4 .*another alternate port"),
            ([udp(self, "127.0.0.%d" % i) for i in range(1, 18)], "socket 17 .*too many"),
        ]
        try:
            table.append(([udp(self, "::", family=socket.AF_INET6, v6only=0)], "socket 1 .*BindIPv6Only=ipv6-only"))
        except OSError:
            pass  # a machine without IPv6
        for sockets, reason in table:
            with self.subTest(reason=reason):
                self.assert_refused(Service(self, sockets=sockets), reason)

    def test_together_with_addresses_of_our_own_it_is_an_error(self):
        main = udp(self, "127.0.0.1")
        for args in (["--listen", "127.0.0.1:0"], ["--alt-port", "0"]):
            self.assert_refused(Service(self, *args, sockets=[main]), "--listen")

    def assert_refused(self, service, reason):
        service.expect_exit(1)
        self.assertNotIn("ready", service.stdout.text())
        self.assertRegex(service.stderr.text(), r"^p2p-server: [^\n]+\n$")
        self.assertRegex(service.stderr.text(), reason)


class Told(TestCase):
    LOOPBACK = ["--listen", "127.0.0.1:0", "--alt-port", "0"]

    def test_ready_and_stopping(self):
        for abstract in (False, True):
            manager = Manager(self, abstract)
            service = Service(self, *self.LOOPBACK, NOTIFY_SOCKET=manager.name)
            self.assertEqual(manager.next(), "READY=1")
            service.addresses()
            service.signal(signal.SIGTERM)
            self.assertEqual(manager.next(), "STOPPING=1")
            service.expect_exit(0)

    def test_not_ready_when_it_cannot_start(self):
        manager = Manager(self)
        taken = udp(self, "127.0.0.1")
        service = Service(self, "--listen", written(taken), "--alt-port", "0", NOTIFY_SOCKET=manager.name)
        service.expect_exit(1)
        manager.socket.setblocking(False)
        with self.assertRaises(BlockingIOError):
            manager.socket.recv(4096)

    def test_the_watchdog_is_fed(self):
        manager = Manager(self)
        Service(self, *self.LOOPBACK, pid_in=["WATCHDOG_PID"], NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="200000")
        self.assertEqual([manager.next() for _ in range(4)], ["READY=1"] + 3 * ["WATCHDOG=1"])

    def test_the_watchdog_of_another_process_is_not(self):
        manager = Manager(self)
        service = Service(self, *self.LOOPBACK, pid_in=["OTHER"], NOTIFY_SOCKET=manager.name, WATCHDOG_PID="1",
                          WATCHDOG_USEC="2")
        self.assertEqual(manager.next(), "READY=1")
        service.addresses()
        service.signal(signal.SIGTERM)
        self.assertEqual(manager.next(), "STOPPING=1")

    def test_a_manager_that_is_not_there_is_an_error(self):
        for name in ("/nonexistent/notify", "relative", "/" + 200 * "x"):
            service = Service(self, *self.LOOPBACK, NOTIFY_SOCKET=name)
            service.expect_exit(1)
            self.assertRegex(service.stderr.text(), r"^p2p-server: [^\n]*NOTIFY_SOCKET[^\n]+\n$")

    def test_a_manager_that_does_not_read_holds_nothing_up(self):
        manager = Manager(self)
        service = Service(self, *self.LOOPBACK, NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="1000", pid_in=["OTHER"])
        address = service.addresses()[0]
        ann, bob = pair(self, address)  # meanwhile the manager's queue has filled up: it holds ten messages
        ann.say("nobody waits")
        bob.expect("message", text="nobody waits")
        service.signal(signal.SIGTERM)
        service.expect_exit(0)


class Units(TestCase):
    def test_systemd_understands_them(self):
        found = subprocess.run(["sh", "-c", "command -v systemd-analyze"], capture_output=True, check=False)
        if found.returncode != 0:
            self.skipTest("systemd-analyze is not installed")
        units = [os.path.join(ROOT, "deploy", "p2p-server." + kind) for kind in ("service", "socket")]
        done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False,
                              timeout=scaled(60))
        said = [line for line in done.stderr.split("\n") if "p2p-server" in line and "is not executable" not in line]
        self.assertEqual(said, [])


if __name__ == "__main__":
    harness.main()
