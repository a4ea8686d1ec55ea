#!/usr/bin/env python3
"""What p2p-server logs: the form of the lines, what is never in them, and a stderr that nobody reads."""
import json
import os
import re
import signal
import socket
import unittest

import harness
from harness import Server, TestCase, reserve_port
from jsonclient import pair
from prometheus import reserve_tcp_port, scrape

FIELD = r'([a-z_]+)=([!#-<>-\[\]-~]+|"(?:[ !#-\[\]-~]|\\(?:["\\nt]|u[0-9a-f]{4}))*")'
PIPE = "exec \"$@\" 2>&%d"  # bash: dash knows one digit only


def parse(line):
    """The fields of a line of logfmt, in order. Raises ValueError for what is none."""
    if not re.fullmatch("%s(?: %s)*" % (FIELD, FIELD), line):
        raise ValueError("no logfmt: %r" % line)
    return {name: json.loads(value) if value[0] == '"' else value for name, value in re.findall(FIELD, line)}


class Lines(TestCase):
    def test_every_line_is_logfmt(self):
        server = Server(self, "--log-level", "debug")
        pair(self, server)
        server.signal(signal.SIGTERM)
        server.expect_exit(0)
        lines = [parse(line) for line in server.stderr.lines()]
        self.assertEqual([line["event"] for line in lines], ["start", "stop"])
        for line in lines:
            self.assertEqual(list(line)[:3], ["time", "level", "event"])
            self.assertRegex(line["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertIn(line["level"], ("error", "warning", "info", "debug"))
        self.assertEqual(lines[0]["sockets"], "2")
        self.assertEqual(lines[1]["introduced"], "1")

    def test_levels(self):
        for level, events in (("error", []), ("warning", []), ("info", ["start", "stop"])):
            server = Server(self, "--log-level", level)
            server.signal(signal.SIGTERM)
            server.expect_exit(0)
            self.assertEqual([parse(line)["event"] for line in server.stderr.lines()], events)

    def test_nothing_of_who_uses_it(self):
        room = "4711-%s" % self.keyword
        server = Server(self, "--log-level", "debug")
        for keyword in (self.keyword, room):
            ann, bob = pair(self, server, keyword=keyword)
            ann.say("a secret")
            bob.expect("message", text="a secret")
        server.signal(signal.SIGTERM)
        server.expect_exit(0)
        for word in (self.keyword, "4711", "secret", "ann", "bob", "127.0.0.1"):
            self.assertNotIn(word, server.stderr.text())

    def test_the_journal_gets_priorities(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        pipe = os.fstat(writing)
        for stream, begin in (("%d:%d" % (pipe.st_dev, pipe.st_ino), rb"<6>level=info event=start "),
                              ("%d:%d" % (pipe.st_dev, pipe.st_ino + 1), rb"time=\S+ level=info event=start ")):
            server = Server(self, prefix=["bash", "-c", PIPE % writing, "bash"], pass_fds=[writing],
                            env=harness.environment(JOURNAL_STREAM=stream))
            self.assertRegex(os.read(reading, 4096), begin)
            server.signal(signal.SIGKILL)


class Stuck(TestCase):
    """What becomes of the log is no reason to stop."""

    def assert_serves(self, server):
        ann, bob = pair(self, server)
        ann.say("still here")
        bob.expect("message", text="still here")
        server.signal(signal.SIGTERM)
        server.expect_exit(0)

    def start(self, redirection, **popen):
        port = reserve_tcp_port()
        server = Server(self, "--metrics", str(port), prefix=["bash", "-c", "exec \"$@\" " + redirection, "bash"],
                        **popen)
        server.at = "127.0.0.1:%d" % port
        return server

    def dropped(self, server):
        return scrape(server.at)["p2p_server_log_dropped_lines_total"]

    def test_stderr_is_closed(self):
        server = self.start("2>&-")
        self.assertEqual(self.dropped(server), 2)
        self.assert_serves(server)

    def test_all_three_are_closed(self):
        port = reserve_port()
        server = harness.Process(self, ["bash", "-c", "exec \"$@\" <&- >&- 2>&-", "bash", harness.SERVER, "--listen",
                                        "127.0.0.1:%d" % port, "--alt-port", "0"])
        ann, bob = pair(self, "127.0.0.1:%d" % port)
        for number in range(3):  # and no socket has got the number of one of them
            self.assertEqual(os.readlink("/proc/%d/fd/%d" % (server.pid, number)), "/dev/null")
        ann.say("still here")
        bob.expect("message", text="still here")
        server.signal(signal.SIGTERM)
        server.expect_exit(0)

    def test_stderr_is_a_full_pipe(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        os.set_blocking(writing, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(writing, b"x" * 4096)
        os.set_blocking(writing, True)  # it is the server's matter not to wait
        server = self.start("2>&%d" % writing, pass_fds=[writing])
        self.assertEqual(self.dropped(server), 2)
        self.assertTrue(os.get_blocking(writing), "and not by changing what others have, too")
        self.assert_serves(server)

    def test_stderr_is_a_full_socket(self):
        ours, its = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(its.close)
        its.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                its.send(b"x" * 4096)
        with self.assertRaises(BlockingIOError):
            while True:
                its.send(b"x")
        its.setblocking(True)
        server = self.start("2>&%d" % its.fileno(), pass_fds=[its.fileno()])
        self.assertEqual(self.dropped(server), 2)
        self.assert_serves(server)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_stderr_is_a_full_disk(self):
        server = self.start("2>/dev/full")
        self.assertEqual(self.dropped(server), 2)
        self.assert_serves(server)


if __name__ == "__main__":
    harness.main()
