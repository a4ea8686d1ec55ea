#!/usr/bin/env python3
"""p2p-client's command line from outside: wrong usage, where the keyword comes from and where it must not show,
--server, --name, --relay, --wait, and the status it ends with."""
import os
import re
import signal
import subprocess
import tempfile

import harness
from harness import CLIENT, PipeClient, Server, TestCase, environment, free_udp_ports, fresh_keyword, run, \
    scratch_file, slow
from jsonclient import JsonClient, pair


def closed_port():
    return "127.0.0.1:%d" % free_udp_ports(1)[0]


class WrongUsage(TestCase):
    TABLE = (
        # arguments, what the one line has to name
        (["--no-such-flag"], "no-such-flag"),
        (["-z"], "z"),
        (["stray"], "stray"),
        (["--keyword"], "keyword"),
        (["--keyword", ""], "keyword"),
        (["--keyword", " - -- "], "keyword"),
        (["--keyword", "a\x01b"], "keyword"),
        (["--keyword", b"\xff\xfe"], "keyword"),
        (["--keyword", "k" * 129], "keyword"),
        (["--keyword-file"], "keyword-file"),
        (["--keyword-file", ""], "keyword-file"),
        (["--keyword-file", "/nonexistent/keyword"], "/nonexistent/keyword"),
        (["--keyword-file", "/dev/null"], "/dev/null"),
        (["--keyword-file", "/"], "/"),
        (["--keyword", "foo", "--new"], "new"),
        (["--keyword", "foo", "--keyword-file", "/etc/hostname"], "keyword-file"),
        (["--new=1"], "new"),
        (["--server"], "server"),
        (["--server", ""], "server"),
        (["--server", "127.0.0.1:"], "port"),
        (["--server", ":41414"], ":41414"),
        (["--server", "127.0.0.1:0"], "port '0'"),
        (["--server", "127.0.0.1:65536"], "65536"),
        (["--server", "127.0.0.1:port"], "'port'"),
        (["--server", "[::1"], "[::1"),
        (["--server", "[::1]41414"], "[::1]41414"),
        (["--server", "a b"], "a b"),
        (["--name"], "name"),
        (["--name", "a\nb"], "name"),
        (["--name", "a\x1b[31m"], "name"),
        (["--name", "n" * 65], "name"),
        (["--name", b"\xff"], "name"),
        (["--console=1"], "console"),
        (["--json=1"], "json"),
        (["--console", "--json"], "json"),
        (["--relay"], "relay"),
        (["--relay", ""], "relay"),
        (["--relay", "sometimes"], "sometimes"),
        (["--wait"], "wait"),
        (["--wait", ""], "wait"),
        (["--wait", "-1"], "wait"),
        (["--wait", "soon"], "soon"),
        (["--wait", "1x"], "1x"),
        (["--wait", "99999999999999999999"], "99999999999999999999"),
        (["--version=1"], "version"),
        (["--help=1"], "help"),
    )
    BRINGS_KEYWORD = {"--keyword", "--keyword-file", "--new"}

    def test_one_clear_line_and_status_2(self):
        for arguments, word in self.TABLE:
            with self.subTest(arguments=arguments):
                base = [] if self.BRINGS_KEYWORD & set(arguments) else ["--keyword", "long-enough-to-be-quiet"]
                mode = [] if {"--console", "--json"} & set(arguments) else ["--console"]
                status, out, err = run(self, [CLIENT, *mode, *base, *arguments])
                self.assertEqual(status, 2, err)
                self.assertEqual(out, "")
                self.assertRegex(err, r"^p2p-client: [^\n]+\n$")
                self.assertIn(word, err)

    def test_wrong_in_the_environment(self):
        for env, word in (({"P2P_KEYWORD": ""}, "P2P_KEYWORD"), ({"P2P_KEYWORD": "k" * 200}, "P2P_KEYWORD"),
                          ({"P2P_SERVER": "127.0.0.1:0"}, "P2P_SERVER")):
            with self.subTest(env=env):
                base = [] if "P2P_KEYWORD" in env else ["--keyword", self.keyword]
                status, out, err = run(self, [CLIENT, "--console", *base], environment(**env))
                self.assertEqual((status, out), (2, ""), err)
                self.assertRegex(err, r"^p2p-client: [^\n]+\n$")
                self.assertIn(word, err)

    def test_no_keyword_and_no_terminal(self):
        for mode in ("--console", "--json"):
            status, _, err = run(self, [CLIENT, mode])
            self.assertEqual(status, 2)
            self.assertRegex(err, r"^p2p-client: [^\n]*keyword[^\n]*\n$")

    def test_a_wrong_keyword_is_not_repeated(self):
        status, _, err = run(self, [CLIENT, "--console", "--keyword", "secret\x01part"])
        self.assertEqual(status, 2)
        self.assertNotIn("secret", err)

    def test_version_and_help(self):
        status, out, err = run(self, [CLIENT, "--version"])
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"^p2p-client \d+\.\d+\.\d+\n$")
        status, out, err = run(self, [CLIENT, "--help"])
        self.assertEqual((status, err), (0, ""))
        for flag in ("keyword", "keyword-file", "new", "server", "name", "console", "json", "relay", "wait", "version",
                     "help"):
            self.assertIn("--" + flag, out)


class Keyword(TestCase):
    def assert_hidden(self, client):
        for line in ("cmdline", "comm", "status"):
            with open("/proc/%d/%s" % (client.pid, line), "rb") as f:
                self.assertNotIn(self.keyword.encode(), f.read(), line)

    def test_is_wiped_from_the_command_line(self):
        server = Server(self)
        ann, bob = pair(self, server)
        self.assert_hidden(ann)
        for form in (["--keyword=" + self.keyword], ["--keyword", self.keyword]):
            client = JsonClient(self, server, *form, name="x")
            client.expect("peer", name="ann")
            self.assert_hidden(client)
            client.quit()
            client.expect_end(0)

    def test_the_rest_of_the_command_line_stays(self):
        client = JsonClient(self, closed_port(), keyword=self.keyword, name="visible-name")
        client.expect("hello")
        with open("/proc/%d/cmdline" % client.pid, "rb") as f:
            self.assertIn(b"visible-name", f.read())

    def test_from_the_environment(self):
        server = Server(self)
        ann = JsonClient(self, server, name="ann", keyword=self.keyword)
        bob = JsonClient(self, server, name="bob", env=environment(P2P_KEYWORD=self.keyword))
        bob.expect("peer", name="ann")
        ann.expect("peer", name="bob")

    def test_the_flag_beats_the_environment(self):
        server = Server(self)
        ann = JsonClient(self, server, name="ann", keyword=self.keyword)
        JsonClient(self, server, name="bob", keyword=self.keyword, env=environment(P2P_KEYWORD=fresh_keyword()))
        ann.expect("peer", name="bob")

    def test_from_a_file_whatever_its_line_end(self):
        server = Server(self)
        ann = JsonClient(self, server, name="ann", keyword=self.keyword)
        for i, end in enumerate((b"", b"\n", b"\r\n")):
            path = scratch_file(self, self.keyword.encode() + end, "keyword")
            JsonClient(self, server, "--keyword-file", path, name="file%d" % i)
            ann.expect("peer", name="file%d" % i)

    def test_equal_in_normal_form_is_equal(self):
        server = Server(self)
        ann = JsonClient(self, server, name="ann", keyword="Stra\u00dfe %s x" % self.keyword)
        for i, same in enumerate(("strasse-%s-x", "  STRASSE  %s\t-- x- ", "\uff33trasse-%s-\uff58")):
            JsonClient(self, server, name="same%d" % i, keyword=same % self.keyword)
            ann.expect("peer", name="same%d" % i)

    def test_is_not_said_again(self):
        """Not on any output, nor in a file: nothing is kept on disk."""
        server = Server(self)
        home = tempfile.mkdtemp(prefix="p2p-test-")
        self.addCleanup(lambda: os.rmdir(home))  # fails when something was left there
        env = environment(HOME=home, XDG_DATA_HOME=home, XDG_CONFIG_HOME=home, XDG_CACHE_HOME=home)
        ann = JsonClient(self, server, name="ann", keyword=self.keyword, env=env)
        bob = PipeClient(self, server, name="bob", keyword=self.keyword, env=env)
        ann.expect("peer")
        ann.command(command="stats")
        peers = ann.expect("stats")["peers"]
        self.assertEqual([(p["peer"], p["name"]) for p in peers], [(1, "bob")])
        self.assertTrue(peers[0]["reason"])
        for p in (ann, bob, server):
            self.assertNotIn(self.keyword, p.stdout.text() + p.stderr.text())

    def test_a_weak_one_gets_one_line_of_advice(self):
        server = Server(self)
        weak = JsonClient(self, server, keyword="foo")
        weak.expect("warning", code="weak-keyword")
        weak.expect("registered")
        self.assertEqual(len(weak.all("warning")), 1)
        strong = JsonClient(self, server, keyword=self.keyword)
        strong.expect("registered")
        self.assertEqual(strong.all("warning"), [])
        piped = PipeClient(self, server, keyword="foo")
        piped.wait_stderr(r"(?i)keyword")
        piped.signal(signal.SIGTERM)
        piped.expect_exit(0)
        self.assertEqual(len([l for l in piped.stderr.lines() if re.search("(?i)guess|weak", l)]), 1)


class ServerFlag(TestCase):
    def test_by_name(self):
        server = Server(self)
        client = JsonClient(self, "localhost:%d" % server.port, keyword=self.keyword)
        client.expect("registered")

    def test_from_the_environment_and_the_flag_beats_it(self):
        server = Server(self)
        by_env = harness.Process(self, [CLIENT, "--console", "--keyword", self.keyword, "--name", "env"],
                                 environment(P2P_SERVER=server.address))
        ann = JsonClient(self, server, keyword=self.keyword, env=environment(P2P_SERVER=closed_port()))
        ann.expect("peer", name="env")
        self.assertTrue(by_env.running())

    @slow(15)
    def test_unreachable_is_said_and_tried_on(self):
        ports = free_udp_ports(2)
        address = "127.0.0.1:%d" % ports[0]
        client = JsonClient(self, address, keyword=self.keyword)
        piped = PipeClient(self, address, keyword=self.keyword, name="piped")
        error = client.expect("error", timeout=20, code="server-unreachable")
        self.assertRegex(error["text"], "is it running")
        self.assertIn(address, error["text"])
        piped.wait_stderr(re.escape(address), timeout=20)
        self.assertEqual(client.all("registered"), [])
        Server(self, ports=ports)
        client.expect("registered", timeout=20)
        client.expect("peer", timeout=20, name="piped")
        self.assertEqual(piped.stdout.text(), "")

    @slow(5)
    def test_unresolvable_is_said_and_wait_bounds_it(self):
        # .invalid never resolves (RFC 6761); a resolver that cannot be asked is as good.
        client = JsonClient(self, "p2p-server.invalid", "--wait", "5", keyword=self.keyword)
        piped = PipeClient(self, "p2p-server.invalid:5", "--wait", "5", keyword=self.keyword)
        error = client.expect("error", code="server-unreachable")
        self.assertIn("p2p-server.invalid", error["text"])
        piped.wait_stderr(r"p2p-server\.invalid")
        self.assertTrue(client.running())
        client.expect_end(1)
        piped.expect_exit(1)

    @slow(3)
    def test_wait_bounds_an_unreachable_server(self):
        client = PipeClient(self, closed_port(), "--wait", "2", keyword=self.keyword)
        client.expect_exit(1)
        self.assertGreaterEqual(client.lifetime(), 2)
        self.assertIn("nobody came, and the server never answered", client.stderr.text())


class Name(TestCase):
    def test_the_longest_and_the_most_foreign(self):
        server = Server(self)
        ann = JsonClient(self, server, keyword=self.keyword)
        for name in ("n" * 64, "\u00e9" * 32, "\U0001f600 a: b", "\u540d\u524d"):
            JsonClient(self, server, keyword=self.keyword, name=name)
            ann.expect("peer", name=name)

    def test_none_is_peer_and_number(self):
        server = Server(self)
        ann = JsonClient(self, server, keyword=self.keyword)
        JsonClient(self, server, keyword=self.keyword)
        ann.expect("peer", peer=1, name="peer 1")


class Relay(TestCase):
    def test_auto_becomes_direct(self):
        ann, bob = pair(self, Server(self))
        for client in (ann, bob):
            client.expect("path", path="lan")

    def test_only_stays_on_the_relay(self):
        server = Server(self)
        ann, bob = pair(self, server, "--relay", "only")
        for sender, receiver in ((ann, bob), (bob, ann)):
            for i in range(20):
                sender.say("%s %d" % (sender.name, i), id=100 + i)
                receiver.expect("message", text="%s %d" % (sender.name, i))
                sender.expect("delivered", id=100 + i)
        for client in (ann, bob):
            client.expect("path", path="relay")
            self.assertEqual({e["path"] for e in client.all("path")}, {"relay"})

    def test_only_on_one_side_is_enough(self):
        server = Server(self)
        ann = JsonClient(self, server, "--relay", "only", keyword=self.keyword, name="ann")
        bob = JsonClient(self, server, keyword=self.keyword, name="bob")
        ann.expect("peer")
        for i in range(20):
            bob.say("bob %d" % i, id=100 + i)
            bob.expect("delivered", id=100 + i)
        self.assertEqual({e["path"] for e in bob.all("path") + ann.all("path")}, {"relay"})

    def test_never_waits_for_the_direct_path(self):
        ann, bob = pair(self, Server(self), "--relay", "never")
        ann.say("direct only", id=1)
        bob.expect("message", text="direct only")
        ann.expect("delivered", id=1)
        for client in (ann, bob):
            client.expect("path", path="lan")
            self.assertEqual(client.all("path", path="relay"), [])

    def test_never_against_only_cannot_be(self):
        server = Server(self)
        ann = JsonClient(self, server, "--relay", "only", keyword=self.keyword, name="ann")
        bob = JsonClient(self, server, "--relay", "never", keyword=self.keyword, name="bob")
        bob.expect("peer", name="ann")
        bob.say("cannot pass", id=1)
        bob.expect("sent", id=1)
        # What is said afterwards by others passes, this does not.
        carol = JsonClient(self, server, keyword=self.keyword, name="carol")
        carol.expect("peer", name="ann")
        carol.say("passes", id=1)
        ann.expect("message", text="passes")
        bob.quit()
        bob.expect("failed", id=1)
        bob.expect_end(1)
        ann.expect_texts(["passes"])


class Wait(TestCase):
    @slow(3)
    def test_nobody_ever_came(self):
        server = Server(self)
        piped = PipeClient(self, server, "--wait", "2", keyword=self.keyword)
        client = JsonClient(self, server, "--wait", "2", keyword=fresh_keyword())
        piped.expect_exit(1)
        client.expect_end(1)
        for c in (piped, client):
            self.assertGreaterEqual(c.lifetime(), 2)
        self.assertIn("nobody came; are the keyword and the server the same", piped.stderr.text())

    @slow(5)
    def test_seconds_in_a_row_count_anew_after_a_peer(self):
        server = Server(self)
        waiting = JsonClient(self, server, "--wait", "3", keyword=self.keyword)
        waiting.expect("registered")
        for _ in range(2):
            guest = JsonClient(self, server, keyword=self.keyword)
            waiting.expect("peer")
            guest.expect("peer")
            guest.quit()
            guest.expect_end(0)
        waiting.expect("peer-left", peer=2, reason="quit")
        waiting.expect_end(0, timeout=3 + harness.SOON)  # somebody was there

    @slow(4)
    def test_does_not_run_while_somebody_is_there(self):
        ann, bob = pair(self, Server(self), "--wait", "2")
        # A third client whose own wait is longer tells the time.
        clock = PipeClient(self, closed_port(), "--wait", "3", keyword=self.keyword)
        clock.expect_exit(1)
        ann.say("still here")
        bob.expect("message", text="still here")

    @slow(4)
    def test_zero_is_for_ever(self):
        server = Server(self)
        eternal = JsonClient(self, server, "--wait", "0", keyword=self.keyword)
        clock = PipeClient(self, closed_port(), "--wait", "3", keyword=self.keyword)
        clock.expect_exit(1)
        self.assertTrue(eternal.running())
        eternal.quit()
        eternal.expect_end(0)


class New(TestCase):
    def test_tells_the_other_sides_command(self):
        server = Server(self)
        ann = JsonClient(self, server, "--new", name="ann")
        told = ann.expect("keyword")
        self.assertRegex(told["keyword"], r"^[1-9]\d{0,2}-[a-z]+-[a-z]+-[a-z]+$")
        self.assertEqual(ann.events[0]["form"], "room")
        self.assertIn("p2p-client", told["command"])
        self.assertIn(told["keyword"], told["command"])
        self.assertIn(server.address, told["command"])
        ann.expect("registered")
        self.assertEqual(ann.all("warning"), [])

        # The command is taken by its word, as a person would paste it.
        folder = os.path.dirname(CLIENT)
        shell = subprocess.Popen(["/bin/sh", "-c", "exec " + told["command"] + " --json --name pasted"],
                                 env=environment(PATH=folder + ":" + os.environ["PATH"]), stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(shell.wait)
        self.addCleanup(shell.stdin.close)
        self.addCleanup(shell.kill)
        ann.expect("peer", name="pasted")

    def test_prints_it_on_stderr_in_a_pipe(self):
        server = Server(self)
        ann = PipeClient(self, server, "--new", name="ann")
        keyword = ann.wait_stderr(r"p2p-client .*\b(\d+-[a-z]+-[a-z]+-[a-z]+)\b").group(1)
        bob = JsonClient(self, server, keyword=keyword, name="bob")
        bob.expect("peer", name="ann")
        self.assertEqual(ann.stdout.text(), "")

    def test_two_rooms_are_two(self):
        server = Server(self)
        rooms = [JsonClient(self, server, "--new").expect("keyword")["keyword"].split("-", 1) for _ in range(3)]
        self.assertEqual(len({number for number, _ in rooms}), 3)
        self.assertEqual(len({words for _, words in rooms}), 3)


class Strangers(TestCase):
    """Who has another keyword sees nobody and is shown nothing about them."""

    def assert_apart(self, keyword, other):
        server = Server(self)
        stranger = JsonClient(self, server, keyword=other, name="stranger")
        stranger.expect("registered")
        ann, bob = pair(self, server, keyword=keyword)
        ann.say("not for strangers", id=5)
        bob.expect("message", text="not for strangers")
        ann.expect("delivered", id=5)
        # The stranger's own friend comes: whatever the stranger would be shown, it has been shown by then.
        friend = JsonClient(self, server, keyword=other, name="friend")
        stranger.expect("peer", peer=1, name="friend")
        friend.expect("peer", name="stranger")
        friend.say("hello stranger")
        stranger.expect("message", peer=1, text="hello stranger")
        for client in (stranger, friend):
            self.assertEqual(len(client.all("peer")), 1)
            self.assertEqual(len(client.all("path", peer=2)), 0)
        said = stranger.stdout.text() + stranger.stderr.text() + friend.stdout.text() + friend.stderr.text()
        for word in ("ann", "bob", "not for strangers"):
            self.assertNotIn(word, said)
        for client in (ann, bob):
            self.assertEqual(len(client.all("peer")), 1)

    def test_in_open_form(self):
        self.assert_apart("foo", "bar")

    def test_in_room_form(self):
        self.assert_apart("42-crab-lunar-toast", "42-crab-lunar-bread")

    def test_in_another_room(self):
        self.assert_apart("42-crab-lunar-toast", "43-crab-lunar-toast")

    def test_with_a_keyword_from_new(self):
        server = Server(self)
        ann = JsonClient(self, server, "--new", name="ann")
        keyword = ann.expect("keyword")["keyword"]
        stranger = JsonClient(self, server, keyword=keyword[:-1], name="stranger")
        stranger.expect("registered")
        bob = JsonClient(self, server, keyword=keyword, name="bob")
        ann.expect("peer", peer=1, name="bob")
        bob.say("hello ann")
        ann.expect("message", peer=1, text="hello ann")
        bob.quit()
        ann.expect("peer-left", peer=1)
        self.assertEqual(stranger.all("peer") + stranger.all("message") + stranger.all("path"), [])

    def test_wrong_keyword_is_said_after_three(self):
        """The third envelope in a room that does not open raises the alarm; the door stays open."""
        server = Server(self)
        ann = JsonClient(self, server, keyword="77-abacus-lunar-toast", name="ann")
        ann.expect("registered")
        for i in range(3):
            self.assertEqual(ann.all("warning", code="wrong-keyword"), [])
            guess = JsonClient(self, server, keyword="77-abacus-lunar-guess%d" % i)
            guess.expect("registered")
        ann.expect("warning", code="wrong-keyword", timeout=20)
        friend = JsonClient(self, server, keyword="77-abacus-lunar-toast", name="friend")
        friend.expect("peer", name="ann", timeout=20)
        ann.expect("peer", peer=1, name="friend")


if __name__ == "__main__":
    harness.main()
