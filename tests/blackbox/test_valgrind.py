#!/usr/bin/env python3
"""The real binaries under valgrind: a session without an error and without a leak."""
import os
import shutil
import signal
import tempfile
import unittest

import harness
from harness import CLIENT, PipeClient, Server, TestCase, slow
from jsonclient import JsonClient
from prometheus import MetricsServer

harness.TIME_SCALE = max(harness.TIME_SCALE, 6)


def why_not():
    if not shutil.which("valgrind"):
        return "valgrind is not installed"
    if os.access(CLIENT, os.R_OK):
        with open(CLIENT, "rb") as f:
            if b"__asan_init" in f.read():
                return "the programs are built with AddressSanitizer, which looks for the same"
    return None


@unittest.skipIf(why_not(), why_not())
class Valgrind(TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp(prefix="p2p-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def prefix(self, name):
        return ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
                "--errors-for-leak-kinds=definite,indirect,possible", "--track-fds=no", "--num-callers=20",
                "--error-exitcode=99", "--log-file=" + os.path.join(self.folder, name)]

    def assert_clean(self):
        for name in os.listdir(self.folder):
            with open(os.path.join(self.folder, name)) as f:
                report = f.read()
            self.assertEqual(report, "", name + ":\n" + report)

    @slow(20)
    def test_a_session(self):
        server = MetricsServer(self, "--no-seccomp", prefix=self.prefix("server"))  # valgrind makes calls of its own
        ann = JsonClient(self, server, keyword=self.keyword, name="ann", prefix=self.prefix("ann"))
        bob = PipeClient(self, server, keyword=self.keyword, name="bob", prefix=self.prefix("bob"))
        ann.expect("peer", name="bob")
        for i in range(10):
            ann.say("hello %d \u00e9" % i, id=i + 1)
            bob.wait_line("ann: hello %d \u00e9" % i)
            bob.send("hello back %d" % i)
            ann.expect("message", text="hello back %d" % i)
        ann.say("x" * 16384, id=100)
        ann.expect("delivered", id=100)
        self.assertEqual(server.metrics()["p2p_server_introductions_total"], 1)
        self.assertEqual(server.request("POST", "/x", body=b"x")[0].status, 404)
        for command in ("peers", "stats", "verify"):
            ann.command(command=command)
            ann.expect(command)
        ann.write(b"not json\n{\"send\":1}\n")
        ann.expect("error", code="bad-command")
        ann.command(command="name", name="anna")
        bob.end_input()
        bob.expect_exit(0)
        ann.expect("peer-left")
        ann.quit()
        ann.expect_end(0)
        server.signal(signal.SIGTERM)
        server.expect_exit(0)
        self.assert_clean()

    @slow(15)
    def test_a_relayed_session_of_a_new_room(self):
        server = Server(self, "--no-seccomp", prefix=self.prefix("server"))  # valgrind makes calls of its own
        ann = JsonClient(self, server, "--new", "--relay", "only", name="ann", prefix=self.prefix("ann"))
        keyword = ann.expect("keyword")["keyword"]
        wrong = JsonClient(self, server, keyword=keyword[:-1], prefix=self.prefix("wrong"))
        wrong.expect("registered")
        bob = JsonClient(self, server, keyword=keyword, name="bob", prefix=self.prefix("bob"))
        ann.expect("peer", name="bob")
        bob.say("relayed", id=1)
        bob.expect("delivered", id=1)
        server.signal(signal.SIGTERM)
        ann.expect("server-lost")
        server.expect_exit(0)
        for client in (ann, bob, wrong):
            client.signal(signal.SIGTERM)
            client.expect_end(0)
        self.assert_clean()

    def test_usage_errors_and_help(self):
        for i, (status, arguments) in enumerate(((0, ["--help"]), (0, ["--version"]), (2, ["--no-such-flag"]),
                                                 (2, ["--keyword", ""]), (2, ["--server", "x:y", "--keyword", "foo"]))):
            self.assertEqual(harness.run(self, [*self.prefix("run%d" % i), CLIENT, *arguments])[0], status, arguments)
        self.assert_clean()


if __name__ == "__main__":
    harness.main()
