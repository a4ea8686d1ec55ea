#!/usr/bin/env python3
"""What stands in examples/ does what it says: a program around the library, a bot around --json, one around a pipe."""
import os
import signal

import harness
from harness import BUILD, CLIENT, ROOT, Process, Server, TestCase, environment, free_udp_ports, run
from jsonclient import JsonClient

EXAMPLES = os.path.join(ROOT, "examples")
ECHO = os.path.join(BUILD, "examples", "echo")


class Examples(TestCase):
    def start(self, *argv):
        return Process(self, list(argv), environment(P2P_CLIENT=CLIENT))

    def meet(self, *argv):
        """(the example, somebody who has met it); {server} and {keyword} in argv are filled in."""
        server = Server(self)
        example = self.start(*[a.format(server=server.address, keyword=self.keyword) for a in argv])
        self.remember(example)
        ann = JsonClient(self, server, keyword=self.keyword, name="ann")
        ann.expect("peer")
        return example, ann

    def ends(self, example, ann):
        example.signal(signal.SIGINT)
        ann.expect("peer-left", reason="quit")

    def test_echo(self):
        echo, ann = self.meet(ECHO, "{server}", "{keyword}")
        texts = ["hello", "\u540d\U0001f600 \x1b[31m", "x" * 16384, "", "line\nline"]
        for i, text in enumerate(texts):
            ann.say(text, id=i + 1)
        ann.expect_texts(texts, name="echo")
        for i in range(len(texts)):
            ann.expect("delivered", id=i + 1)
        ann.expect("path", path="lan")  # it opens its sockets and tells of them rightly, or there is no direct one
        self.ends(echo, ann)
        echo.expect_exit(0)

    def test_echo_finds_its_server_by_name(self):
        server = Server(self)
        echo = self.start(ECHO, "localhost:%d" % server.port, self.keyword)
        JsonClient(self, server, keyword=self.keyword).expect("peer", name="echo")
        echo.wait_until(lambda: "echo: peer 1 came" in echo.stderr.text(), "the coming to be told")

    def test_echo_says_why_no_server_is_found(self):
        for server, why in (("no-such-host.invalid", "cannot be resolved"), ("[::1", "is not written as [IPv6]"),
                            ("", "is neither a name nor an address"), ("127.0.0.1:x", "the port 'x' is not a number")):
            echo = self.start(ECHO, server, self.keyword)
            echo.wait_until(lambda: why in echo.stderr.text(), "%r to be refused" % server)
            echo.signal(signal.SIGTERM)
            echo.expect_exit(0)

    def test_echo_meets_its_server_again(self):
        ports = free_udp_ports(2)
        server = Server(self, ports=ports)
        echo = self.start(ECHO, server.address, self.keyword)
        JsonClient(self, server, keyword=self.keyword, name="ann").expect("peer")
        server.signal(signal.SIGTERM)
        server.exit_status()
        server = Server(self, ports=ports)
        bob = JsonClient(self, server, keyword=self.keyword, name="bob")
        bob.expect("peer", name="echo", timeout=60)
        bob.say("still there?")
        bob.expect("message", text="still there?", name="echo")
        echo.signal(signal.SIGINT)
        echo.expect_exit(0)

    def test_echo_with_few_descriptors(self):
        """Less than the engine has numbers for sockets; what cannot be opened is told to it."""
        server = Server(self)
        echo = self.start("sh", "-c", 'ulimit -n 12; exec "$@"', "sh", ECHO, server.address, self.keyword)
        ann = JsonClient(self, server, keyword=self.keyword, name="ann")
        ann.expect("peer")
        ann.say("hello")
        ann.expect_texts(["hello"])
        self.ends(echo, ann)
        echo.expect_exit(0)

    def test_echo_more_than_its_credit(self):
        echo, ann = self.meet(ECHO, "{server}", "{keyword}")
        texts = ["%d " % i + "x" * 8000 for i in range(40)]  # five times the 64 KiB that it may be sent ahead
        for text in texts:
            ann.say(text)
        ann.expect_texts(texts, timeout=30)

    def test_echo_says_how_it_is_used(self):
        for arguments in ([], ["127.0.0.1"], ["127.0.0.1:41414", " "], ["chat.example.org", "foo", "bar"]):
            status, out, err = run(self, [ECHO, *arguments])
            self.assertEqual((status, out), (2, ""))
            self.assertRegex(err, "^usage: echo ")

    def test_bot_in_python(self):
        bot, ann = self.meet(os.path.join(EXAMPLES, "bot.py"), "--server", "{server}", "--keyword", "{keyword}")
        ann.expect("message", text="hello ann; I know !time, !who and !quit", name="bot")
        ann.say("!who")
        ann.expect("message", text="ann")
        ann.say("bot: say this \u00e9\u540d")
        ann.expect("message", text="say this \u00e9\u540d")
        ann.say("!time")
        ann.wait_until(lambda: any(t[2:3] == t[5:6] == ":" for t in ann.texts()), "the time")
        self.ends(bot, ann)
        self.assertIn(bot.exit_status(), (0, 1))  # 1: it has not been told yet that its last word has arrived

    def test_bot_in_python_quits_when_told(self):
        bot, ann = self.meet(os.path.join(EXAMPLES, "bot.py"), "--server", "{server}", "--keyword", "{keyword}")
        ann.say("!quit")
        ann.expect("peer-left", reason="quit")
        bot.expect_exit(0)

    def test_bot_in_shell(self):
        bot, ann = self.meet(os.path.join(EXAMPLES, "bot.sh"), "--server", "{server}", "--keyword", "{keyword}")
        ann.say("nothing of its business")
        ann.say("uptime")
        ann.wait_until(lambda: ann.texts(), "an answer")
        self.assertEqual(len(ann.texts()), 1)
        self.assertRegex(ann.texts()[0], "load average")
        with open("/proc/%d/task/%d/children" % (bot.pid, bot.pid)) as f:
            client = f.read().split()[0]
        bot.signal(signal.SIGTERM)
        ann.expect("peer-left", reason="quit")
        bot.exit_status()
        self.assertFalse(os.path.exists("/proc/" + client), "its client is still there")

    def test_bots_end_with_their_client(self):
        for bot in ("bot.py", "bot.sh"):
            status, out, err = run(self, [os.path.join(EXAMPLES, bot), "--nonsense"], env=environment(P2P_CLIENT=CLIENT))
            self.assertEqual((status, out), (2, ""))
            self.assertEqual(err, "p2p-client: unknown option '--nonsense'; --help lists them\n")

    def test_bots_say_that_there_is_no_client(self):
        for bot, expected in ("bot.py", 1), ("bot.sh", 127):
            status, out, err = run(self, [os.path.join(EXAMPLES, bot)], env=environment(P2P_CLIENT="/no/such/client"))
            self.assertEqual((status, out), (expected, ""))
            self.assertIn("/no/such/client: No such file or directory", err)
            self.assertEqual(err.count("\n"), 1, err)


if __name__ == "__main__":
    harness.main()
