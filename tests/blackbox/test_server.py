#!/usr/bin/env python3
"""p2p-server from outside: what it prints, its flags, its configuration file, how it starts, stops and refuses."""
import os
import random
import re
import signal
import socket
import subprocess
import sys
import unittest

import harness
from harness import SERVER, Process, Server, TestCase, free_udp_ports, run, scaled, scratch_file
from jsonclient import pair

LOOPBACK = ["--listen", "127.0.0.1:0", "--alt-port", "0"]


def udp_socket(test, family=socket.AF_INET, address="127.0.0.1"):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, 0))
    test.addCleanup(s.close)
    return s


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def udp_ports_of(pid):
    """(address as the kernel writes it, port) of the UDP sockets that this process holds."""
    inodes = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        found = re.match(r"socket:\[(\d+)\]", os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        if found:
            inodes.add(found.group(1))
    ports = set()
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with open(table) as f:
            for line in f.readlines()[1:]:
                fields = line.split()
                if fields[9] in inodes:
                    ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


def sanitized():
    with open(SERVER, "rb") as f:
        return b"__asan_init" in f.read()


def without_seccomp():
    """A command's beginning under which the kernel has no seccomp(2): a filter, through prctl(2), refuses it."""
    # if (nr == 317) return ENOSYS; else allow
    script = """
import ctypes, os, struct, sys
code = b"".join(struct.pack("HBBI", *i) for i in ((0x20, 0, 0, 0), (0x15, 0, 1, 317), (6, 0, 0, 0x50026), (6, 0, 0, 0x7fff0000)))
text = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 4, ctypes.addressof(text)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, program) != 0: sys.exit("no filter: %d" % ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""
    return [sys.executable, "-c", script]


def owner_of_proc(pid):
    """Who may look into it: root, where the process has forbidden tracing."""
    return os.stat("/proc/%d/fd" % pid).st_uid


class Starting(TestCase):
    def test_one_line_per_socket_then_ready(self):
        server = Server(self)
        lines = server.stdout.lines()
        self.assertEqual(lines[-1], "ready")
        for line in lines[:-1]:
            self.assertRegex(line, r"^listening on udp 127\.0\.0\.1:[1-9]\d*$")
        self.assertEqual(len(lines), 3, "one socket and its alternate")
        self.assertEqual(len(set(lines)), 3)

    @unittest.skipUnless(os.getuid() == 0, "only root can look into the server")
    def test_what_is_printed_is_what_is_open(self):
        server = Server(self, "--listen", "127.0.0.1:0")
        printed = {int(a.rsplit(":", 1)[1]) for a in server.addresses}
        self.assertNotIn(0, printed)
        self.assertEqual(printed, udp_ports_of(server.pid))

    def test_given_ports_are_taken(self):
        ports = free_udp_ports(2)
        server = Server(self, ports=ports)
        self.assertEqual(server.addresses, ["127.0.0.1:%d" % p for p in ports])

    def test_several_addresses(self):
        server = Server(self, "--listen", "127.0.0.2:0")
        self.assertEqual({a.rsplit(":", 1)[0] for a in server.addresses}, {"127.0.0.1", "127.0.0.2"})
        ann, bob = pair(self, server.addresses[0])
        ann.say("over the first")
        bob.expect("message", text="over the first")

    @unittest.skipUnless(has_ipv6(), "no IPv6 on this machine")
    def test_ipv6_is_written_in_brackets(self):
        server = Process(self, [SERVER, "--listen", "[::1]:0", "--alt-port", "0"], stdin=subprocess.DEVNULL)
        server.wait_until(lambda: "ready" in server.stdout.lines(), "ready")
        listening = server.stdout.lines()[:-1]
        for line in listening:
            self.assertRegex(line, r"^listening on udp \[::1\]:[1-9]\d*$")
        ann, bob = pair(self, listening[0].split()[-1])
        ann.say("over v6")
        bob.expect("message", text="over v6")
        self.assertRegex(ann.expect("registered")["observed"], r"^\[::1\]:\d+$")

    def test_defaults_are_every_address_and_the_well_known_ports(self):
        server = Process(self, [SERVER], stdin=subprocess.DEVNULL)
        server.wait_until(lambda: "ready" in server.stdout.lines() or not server.running(), "ready or an error")
        if "ready" not in server.stdout.lines():
            self.assertRegex(server.stderr.text(), r"4141[45]")
            self.skipTest("port 41414 or 41415 is taken on this machine")
        wanted = ["0.0.0.0:41414", "0.0.0.0:41415"] + (["[::]:41414", "[::]:41415"] if has_ipv6() else [])
        self.assertCountEqual([line.split()[-1] for line in server.stdout.lines()[:-1]], wanted)

    def test_check_says_nothing_is_wrong_and_opens_nothing(self):
        taken = udp_socket(self).getsockname()[1]
        status, _, err = run(self, [SERVER, "--check", "--listen", "127.0.0.1:%d" % taken])
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(run(self, [SERVER, "--check", "--listen", "nonsense"])[0], 2)

    def test_version_and_help(self):
        status, out, err = run(self, [SERVER, "--version"])
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"^p2p-server \d+\.\d+\.\d+\n$")
        status, out, err = run(self, [SERVER, "--help"])
        self.assertEqual((status, err), (0, ""))
        for flag in ("listen", "alt-port", "metrics", "config", "user", "log-level", "check", "version", "help"):
            self.assertIn("--" + flag, out)

    def test_every_log_level_that_help_names_works(self):
        _, out, _ = run(self, [SERVER, "--help"])
        line = next(l for l in out.split("\n") if "--log-level" in l)
        levels = [w for w in re.findall(r"\b(error|warning|warn|notice|info|debug|trace)\b", line.split("level", 1)[1])]
        self.assertTrue(levels, line)
        for level in levels:
            Server(self, "--log-level", level)

    @unittest.skipUnless(os.getuid() == 0, "only root can become somebody else")
    def test_user_gives_up_root(self):
        server = Server(self, "--user", "nobody")
        with open("/proc/%d/status" % server.pid) as f:
            status = f.read()
        self.assertNotRegex(status, r"(?m)^[UG]id:.*\t0(\t|$)")
        self.assertRegex(status, r"(?m)^CapEff:\t0+$")
        self.assertRegex(status, r"(?m)^Groups:\t(65534 ?)?$")
        ann, bob = pair(self, server)
        ann.say("served by nobody")
        bob.expect("message", text="served by nobody")


class LeastPower(TestCase):
    def status_of(self, *flags):
        server = Server(self, *flags)
        with open("/proc/%d/status" % server.pid) as f:
            return server, dict(re.findall(r"(?m)^(\w+):\t(.*)$", f.read()))

    def test_a_filter_and_no_new_privileges(self):
        server, status = self.status_of()
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Seccomp"], "0" if sanitized() else "2")
        self.assertNotIn("event=seccomp-off", server.stderr.text())
        self.assertEqual(owner_of_proc(server.pid), os.getuid() if sanitized() else 0, "nobody else looks into it")

    def test_no_seccomp_is_said_and_leaves_the_rest(self):
        server, status = self.status_of("--no-seccomp")
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "0"))
        server.wait_stderr("level=warning event=seccomp-off")

    @unittest.skipIf(os.uname().machine != "x86_64", "its system calls are known to this test by their number")
    def test_a_kernel_that_refuses_the_filter_is_a_clear_error(self):
        if sanitized():
            self.skipTest("built with a sanitizer: there is no filter")
        refused = Process(self, [*without_seccomp(), SERVER, *LOOPBACK], stdin=subprocess.DEVNULL)
        self.assertEqual(refused.exit_status(), 1)
        self.assertEqual(refused.stdout.text(), "")
        self.assertRegex(refused.stderr.text(), r"^p2p-server: [^\n]*seccomp[^\n]*--no-seccomp\n$")
        Server(self, "--no-seccomp", prefix=without_seccomp())


class Stopping(TestCase):
    def test_sigterm_and_sigint_end_it_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = Server(self)
            server.signal(number)
            server.expect_exit(0)

    def test_clients_are_told_at_once_and_find_the_next_server(self):
        ports = free_udp_ports(2)
        server = Server(self, ports=ports)
        ann, bob = pair(self, server)
        ann.expect("registered")
        marks = [(client, client.mark()) for client in (ann, bob)]
        server.signal(signal.SIGTERM)
        for client, mark in marks:  # nothing but a Leave that arrived gives this reason
            client.expect("server-lost", after=mark, reason="the server is shutting down")
        server.expect_exit(0)
        Server(self, ports=ports)
        for client, mark in marks:
            client.expect("registered", after=mark)
        ann.say("still here", id=1)
        bob.expect("message", text="still here")
        self.assertEqual(ann.all("peer-left"), [])

    def test_everybody_is_told_however_many(self):
        server = Server(self)
        people = [Registered(self, server.port, room) for room in range(1, 201)]  # four batches
        server.signal(signal.SIGTERM)
        server.expect_exit(0)
        for p in people:
            self.assertEqual(p.socket.recv(2048)[:6], b"\x0dP2P1\x7a", "a Leave")


class Config(TestCase):
    def serve(self, content, *flags):
        path = scratch_file(self, content.encode(), "p2p-server.conf")
        server = Process(self, [SERVER, "--config", path, *flags], stdin=subprocess.DEVNULL)
        server.wait_until(lambda: "ready" in server.stdout.lines(), "ready")
        return server

    def test_has_the_flags_names(self):
        ports = free_udp_ports(2)
        server = self.serve("# a comment\n\nlisten 127.0.0.1:%d\nalt-port %d\nlog-level error\n" % tuple(ports))
        self.assertEqual(server.stdout.lines(), ["listening on udp 127.0.0.1:%d" % p for p in ports] + ["ready"])

    def test_with_equal_signs(self):
        ports = free_udp_ports(2)
        server = self.serve("listen = 127.0.0.1:%d\nalt-port=%d\n" % tuple(ports))
        self.assertEqual(server.stdout.lines(), ["listening on udp 127.0.0.1:%d" % p for p in ports] + ["ready"])

    def test_mistakes_are_named_with_file_and_line(self):
        table = (
            ("listen 127.0.0.1:0\nno-such-thing 1\n", 2, "no-such-thing"),
            ("listen nonsense\n", 1, "nonsense"),
            ("# first\n# second\nalt-port 70000\n", 3, "70000"),
            ("log-level shout\n", 1, "shout"),
            ("listen\n", 1, "listen"),
        )
        for content, line, word in table:
            with self.subTest(content=content):
                path = scratch_file(self, content.encode(), "wrong.conf")
                for extra in ([], ["--check"]):
                    status, out, err = run(self, [SERVER, "--config", path, *extra])
                    self.assertEqual((status, out), (2, ""), err)
                    self.assertEqual(err.count("\n"), 1, err)
                    self.assertRegex(err, r"wrong\.conf(:| line )%d\b" % line)
                    self.assertIn(word, err)


    def test_check_reads_to_the_end(self):
        content = b"listen nonsense\nuser = no-such-user-here\nlog-level = error\nalt-port 1\0\n"
        path = scratch_file(self, content, "wrong.conf")
        status, out, err = run(self, [SERVER, "--config", path, "--check"])
        self.assertEqual((status, out), (2, ""))
        lines = err.split("\n")[:-1]
        for line, (number, word) in zip(lines, ((1, "nonsense"), (2, "no-such-user-here"), (4, "NUL"))):
            self.assertRegex(line, r"^p2p-server: \S*wrong\.conf line %d\b.*%s" % (number, word))
        self.assertEqual(len(lines), 3)


class WrongUsage(TestCase):
    TABLE = (
        # arguments, what the one line has to name
        (["--no-such-flag"], "no-such-flag"),
        (["-z"], "z"),
        (["stray"], "stray"),
        (["--listen"], "listen"),
        (["--listen", ""], "listen"),
        (["--listen", "nonsense"], "nonsense"),
        (["--listen", "127.0.0.1:99999"], "99999"),
        (["--listen", "127.0.0.1:-1"], "127.0.0.1:-1"),
        (["--listen", "127.0.0.1:1x"], "127.0.0.1:1x"),
        (["--listen", "1.2.3.4.5:1"], "1.2.3.4.5:1"),
        (["--listen", "[::1:1"], "[::1:1"),
        (["--listen", "[::g]:1"], "[::g]:1"),
        (["--alt-port"], "alt-port"),
        (["--alt-port", ""], "alt-port"),
        (["--alt-port", "x"], "alt-port"),
        (["--alt-port", "-1"], "alt-port"),
        (["--alt-port", "65536"], "65536"),
        (["--alt-port", "99999999999999999999"], "99999999999999999999"),
        (["--metrics"], "metrics"),
        (["--metrics", "nonsense"], "nonsense"),
        (["--metrics", "127.0.0.1:99999"], "99999"),
        (["--config"], "config"),
        (["--config", "/nonexistent/p2p.conf"], "/nonexistent/p2p.conf"),
        (["--config", "/"], "/"),
        (["--user"], "user"),
        (["--user", ""], "user"),
        (["--user", "no-such-user-here"], "no-such-user-here"),
        (["--log-level"], "log-level"),
        (["--log-level", ""], "log-level"),
        (["--log-level", "shout"], "shout"),
        (["--check=1"], "check"),
        (["--version=1"], "version"),
        (["--help=1"], "help"),
        (["--listen", "127.0.0.1:0"] * 40, "listen"),
    )

    def test_one_clear_line_and_status_2(self):
        for arguments, word in self.TABLE:
            with self.subTest(arguments=arguments[:4]):
                # What stands in the environment of a good start is given as well, unless it is what is tested.
                base = [] if "--listen" in arguments else LOOPBACK[:2]
                base += [] if "--alt-port" in arguments else LOOPBACK[2:]
                status, out, err = run(self, [SERVER, *base, *arguments])
                self.assertEqual(status, 2, err)
                self.assertEqual(out, "")
                self.assertRegex(err, r"^p2p-server: [^\n]+\n$")
                self.assertIn(word, err)


class CannotBind(TestCase):
    def assert_refused(self, argv, address, reason):
        status, out, err = run(self, argv)
        self.assertEqual(status, 1, err)
        self.assertNotIn("ready", out)
        self.assertIn(address, err)
        self.assertRegex(err, reason)

    def test_a_port_that_is_taken(self):
        taken = "127.0.0.1:%d" % udp_socket(self).getsockname()[1]
        self.assert_refused([SERVER, "--listen", taken, "--alt-port", "0"], taken, "(?i)in use; .*give another")

    def test_an_alternate_port_that_is_taken(self):
        port = udp_socket(self).getsockname()[1]
        self.assert_refused([SERVER, "--listen", "127.0.0.1:0", "--alt-port", str(port)], "127.0.0.1:%d" % port,
                            "(?i)in use")

    def test_a_second_server_on_the_same_port(self):
        first = Server(self)
        self.assert_refused([SERVER, "--listen", first.address, "--alt-port", "0"], first.address, "(?i)in use")
        ann, bob = pair(self, first)
        ann.say("the first one still serves")
        bob.expect("message", text="the first one still serves")

    def test_an_address_of_somebody_else(self):
        self.assert_refused([SERVER, "--listen", "203.0.113.77:0", "--alt-port", "0"], "203.0.113.77",
                            "(?i)cannot assign|not available")


# ---- strangers ----

def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, wire_type, content):
    if wire_type == 2:
        content = varint(len(content)) + content
    return varint(number << 3 | wire_type) + content


def frame(body_number, body):
    return field(1, 5, b"P2P1") + field(body_number, 2, body)


def register(token, size=1200):
    """A Register of the open form with no prefix and no shares, padded to `size`."""
    body = field(1, 1, token) + field(4, 0, varint(2))
    bare = len(frame(2, body + field(10, 2, bytes(size - 100)))) - (size - 100)
    return frame(2, body + field(10, 2, bytes(size - bare)))


def fields(message):
    """{number: bytes or int} of a message without repeated fields."""
    found, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = number()
        if tag & 7 == 0:
            found[tag >> 3] = number()
            continue
        size = {1: 8, 5: 4}.get(tag & 7) or number()
        found[tag >> 3] = message[at:at + size]
        at += size
    return found


class Registered:
    """Somebody in a room who has echoed the cookie, and says no more."""

    def __init__(self, test, port, room):
        self.socket = udp_socket(test)
        self.socket.settimeout(scaled(harness.SOON))
        self.socket.connect(("127.0.0.1", port))
        where = field(4, 0, varint(1)) + field(5, 0, varint(room))
        token = field(1, 1, room.to_bytes(8, "little"))
        bare = len(frame(2, token + where + field(10, 2, bytes(1000)))) - 1000
        self.socket.send(frame(2, token + where + field(10, 2, bytes(1200 - bare))))
        answer = fields(fields(self.socket.recv(2048))[3])
        self.socket.send(frame(2, token + field(2, 2, answer[3]) + field(3, 2, answer[4]) + where))
        fields(self.socket.recv(2048))[3]


class Strangers(TestCase):
    def answers(self, s, timeout):
        """The datagrams that come within so many seconds of silence."""
        s.settimeout(scaled(timeout))
        got = []
        try:
            while True:
                got.append(s.recv(2048))
        except socket.timeout:
            return got

    def test_a_padded_register_is_answered_within_what_it_paid(self):
        server = Server(self)
        s = udp_socket(self)
        request = register(b"\x01\x02\x03\x04\x05\x06\x07\x08")
        self.assertEqual(len(request), 1200)
        s.sendto(request, ("127.0.0.1", server.port))
        answers = self.answers(s, 1.5)
        self.assertTrue(answers, "no answer")
        self.assertTrue(answers[0].startswith(b"\x0dP2P1\x1a"), "not a Registered")
        self.assertIn(b"\x09\x01\x02\x03\x04\x05\x06\x07\x08", answers[0])
        self.assertLessEqual(sum(len(a) + 28 for a in answers), 1228)
        self.assertNotIn(socket.inet_aton("127.0.0.1"), answers[0], "the observed address is masked")

    def test_what_is_not_worth_an_answer_gets_none(self):
        server = Server(self)
        s = udp_socket(self)
        dice = random.Random(41414)
        good = register(bytes(range(1, 9)))
        for port in [int(a.rsplit(":", 1)[1]) for a in server.addresses]:
            s.sendto(b"", ("127.0.0.1", port))
            s.sendto(register(bytes(range(1, 9)), 1199), ("127.0.0.1", port))
            s.sendto(good + b"\0", ("127.0.0.1", port))
            s.sendto(b"\x0dP2P2" + good[5:], ("127.0.0.1", port))
            for _ in range(200):
                s.sendto(dice.randbytes(dice.randrange(1, 1201)), ("127.0.0.1", port))
                broken = bytearray(good)
                for _ in range(3):
                    broken[dice.randrange(5, 30)] = dice.randrange(256)
                # A short one is never answered, whatever it says.
                s.sendto(bytes(broken[:dice.randrange(5, 1199)]), ("127.0.0.1", port))
        self.assertEqual(self.answers(s, 0.5), [])
        s.sendto(good, ("127.0.0.1", server.port))
        self.assertTrue(self.answers(s, 0.5), "and it still answers what is right")


if __name__ == "__main__":
    harness.main()
