#!/usr/bin/env python3
"""p2p-client in a pipe: lines in, `NAME: TEXT` out, what it says elsewhere, and when and how it ends."""
import re
import signal

import harness
from harness import PipeClient, Server, TestCase, free_udp_ports, slow
from jsonclient import JsonClient

UNDELIVERED = r"(?i)not delivered|undelivered"


class Lines(TestCase):
    def deliver(self, data, *args, **more):
        """The input `data`, at once, to one that waits with --json: (sender, receiver), both done with it."""
        server = Server(self)
        receiver = JsonClient(self, server, keyword=self.keyword, name="receiver")
        receiver.expect("registered")
        sender = PipeClient(self, server, *args, keyword=self.keyword, name="sender", **more)
        sender.write(data)
        sender.end_input()
        receiver.expect("peer-left", timeout=20, reason="quit")
        return sender, receiver

    def test_two_lines_to_one_who_waits(self):
        server = Server(self)
        receiver = PipeClient(self, server, keyword="foo", name="receiver")
        sender = PipeClient(self, server, keyword="foo", name="sender")
        sender.write(b"a\nb\n")
        sender.end_input()
        sender.expect_exit(0, timeout=20)
        receiver.wait_until(lambda: len(receiver.stdout.lines()) >= 2, "two lines")
        self.assertEqual(receiver.stdout.text(), "sender: a\nsender: b\n")
        self.assertEqual(sender.stdout.text(), "")
        receiver.signal(signal.SIGTERM)
        receiver.expect_exit(0)

    def test_last_line_without_its_end(self):
        sender, receiver = self.deliver(b"one\ntwo")
        receiver.expect_texts(["one", "two"])
        sender.expect_exit(0)

    def test_every_valid_line_is_carried_exactly(self):
        lines = ["x%sy" % chr(b) for b in range(1, 128) if b != 10]
        lines += ["\x1b[31mred\x1b]0;title\x07", "\u202eright to left\u2066", "\u0085\u009b2J", "\ufeff", "\r",
                  "\ufffe\uffff\U0010ffff", "e\u0301", " leading and trailing ", "\t", "\u2028\u2029"]
        sender, receiver = self.deliver("".join(l + "\n" for l in lines).encode())
        receiver.expect_texts(lines)
        sender.expect_exit(0)

    def test_invalid_lines_are_named_by_number_and_the_rest_is_sent(self):
        bad = [b"x%cy" % b for b in range(128, 256)]
        bad += [b"a\0b", b"\0", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
                b"\xf8\x88\x80\x80\x80", b"\xc3", b"ok \xe2\x82", b"\x80"]
        data = b"".join(b"%s\ngood %d\n" % (line, i) for i, line in enumerate(bad))
        sender, receiver = self.deliver(data)
        sender.expect_exit(1)
        receiver.expect_texts(["good %d" % i for i in range(len(bad))])
        named = [int(n) for n in re.findall(r"\bline (\d+)\b", sender.stderr.text())]
        self.assertEqual(named, [2 * i + 1 for i in range(len(bad))])
        # None of those bytes is shown: what is said is text.
        self.assertNotRegex(sender.stderr.data.decode("utf-8"), "[\0\x7f-\x9f\ud800-\udfff]")

    def test_the_longest_line_and_one_byte_more(self):
        longest = "\u00e9" * 8192
        data = [longest, "x" * 16384, "y" * 16385, "z" * 3000000, "after"]
        sender, receiver = self.deliver("".join(l + "\n" for l in data).encode())
        sender.expect_exit(1)
        receiver.expect_texts([longest, "x" * 16384, "after"])
        self.assertEqual(re.findall(r"\bline (\d+)\b", sender.stderr.text()), ["3", "4"])

    def test_an_endless_line_takes_no_memory(self):
        server = Server(self)
        sender = PipeClient(self, server, keyword=self.keyword, name="sender")
        sender.send("before")
        before = sender.resident_kb()
        for _ in range(64):
            sender.write(b"z" * (1 << 20))
        # A few buffers, or what a sanitizer keeps of freed memory; far from the 64 MB that came.
        self.assertLess(sender.resident_kb() - before, 24 << 10)

    def test_a_thousand_lines_in_order(self):
        lines = ["line %d" % i for i in range(1000)]
        sender, receiver = self.deliver("".join(l + "\n" for l in lines).encode())
        receiver.expect_texts(lines)
        sender.expect_exit(0)

    @slow(4)
    def test_more_than_any_buffer_holds(self):
        """6 MB through a mailbox of 1 MiB and a credit of 64 KiB: the pipe waits, nothing is lost."""
        lines = [("%06d " % i) + "x" * 16000 for i in range(400)]
        server = Server(self)
        receiver = JsonClient(self, server, keyword=self.keyword, name="receiver")
        sender = PipeClient(self, server, keyword=self.keyword, name="sender")
        receiver.expect("peer")
        for line in lines:
            sender.send(line)
        sender.end_input()
        sender.expect_exit(0, timeout=40)
        receiver.expect("peer-left", timeout=20)
        receiver.expect_texts(lines)


class Output(TestCase):
    def start(self, name="sender"):
        server = Server(self)
        receiver = PipeClient(self, server, keyword=self.keyword, name="receiver")
        sender = JsonClient(self, server, keyword=self.keyword, name=name)
        sender.expect("peer", name="receiver")
        return sender, receiver

    def test_carries_only_name_and_text(self):
        sender, receiver = self.start()
        for i in range(3):
            sender.say("text %d" % i, id=i + 1)
        sender.expect("delivered", id=3)  # a name is not part of the stream of messages and may overtake them
        sender.command(command="name", name="new name")
        receiver.wait_stderr("new name")
        sender.say("text 3", id=9)
        sender.expect("delivered", id=9)
        sender.quit()
        sender.expect_end(0)
        receiver.wait_stderr("(?i)left|gone|quit")
        self.assertEqual(receiver.stdout.text(),
                         "".join("sender: text %d\n" % i for i in range(3)) + "new name: text 3\n")

    def test_comings_and_goings_are_on_stderr(self):
        sender, receiver = self.start()
        receiver.wait_stderr("sender")
        sender.quit()
        sender.expect_end(0)
        receiver.wait_stderr("sender.*(left|gone|quit)")
        self.assertEqual(receiver.stdout.text(), "")

    def test_a_line_break_continues_with_two_spaces(self):
        sender, receiver = self.start()
        sender.say("one\ntwo\n\nfour")
        sender.say("nobody: not a line of its own\nsender: neither")
        sender.say("end")
        receiver.wait_line("sender: end")
        self.assertEqual(receiver.stdout.text(),
                         "sender: one\n  two\n  \n  four\n"
                         "sender: nobody: not a line of its own\n  sender: neither\n"
                         "sender: end\n")

    def test_nasty_text_is_made_harmless(self):
        """Nothing that moves a cursor, changes colours, rings, or turns the direction of writing comes through."""
        sender, receiver = self.start(name="s\u202eevil\u200f")
        nasty = ["".join(chr(c) for c in range(1, 32)), "".join(chr(c) for c in range(127, 160)),
                 "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b[2J\x1b[H", "\r\nover", "a\rb", "a\bb", "\x9b31m",
                 "\u202a\u202b\u202c\u202d\u202e", "\u2066\u2067\u2068\u2069", "\u200e\u200f\u061c", "\u2028\u2029"]
        for text in nasty:
            sender.say(text)
        sender.say("end")
        receiver.wait_until(lambda: re.search(r": end\n", receiver.stdout.text()), "the last line")
        self.assert_harmless(receiver.stdout.data)
        self.assert_harmless(receiver.stderr.data)
        # What is left of it is still there, and nothing starts a line but a name or two spaces.
        self.assertIn("title", receiver.stdout.text())
        for line in receiver.stdout.lines():
            self.assertRegex(line, r"^(s[^:]*evil[^:]*: |  )")

    def assert_harmless(self, data):
        text = data.decode("utf-8")  # which fails if it is not
        self.assertNotRegex(text, "[\x00-\x08\x0b-\x1f\x7f-\x9f]")
        self.assertNotRegex(text, "[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\u2028\u2029]")

    def test_a_reader_that_is_gone_ends_it(self):
        sender, receiver = self.start()
        receiver.streams[0].close()
        receiver.popen.stdout.close()
        # One is enough unless a program that another test starts just now still holds our end of the pipe.
        sent = 0
        while receiver.running() and sent < 100:
            sent += 1
            sender.say("into the void", id=sent)
            sender.wait_until(lambda: sender.all("delivered", id=sent) or sender.all("peer-left"), "it is written")
        self.assertNotIn(receiver.exit_status(), (0, -signal.SIGPIPE))
        self.assertIn("Broken pipe", receiver.stderr.text())
        sender.expect("peer-left", reason="quit")
        self.assertEqual(sender.all("delivered", id=sent), [])


class EndOfInput(TestCase):
    def test_before_any_line_it_receives_until_a_signal(self):
        server = Server(self)
        receivers = [PipeClient(self, server, keyword=self.keyword, name="r%d" % i) for i in range(2)]
        for r in receivers:
            r.end_input()
        sender = PipeClient(self, server, keyword=self.keyword, name="sender")
        for r in receivers:
            sender.wait_stderr(r"\b%s\b" % r.name)
        sender.send("first")
        for r in receivers:
            r.wait_line("sender: first")
        sender.send("second")
        for r in receivers:
            r.wait_line("sender: second")
        for r, number in zip(receivers, (signal.SIGINT, signal.SIGTERM)):
            r.signal(number)
            r.expect_exit(0)

    @slow(3)
    def test_nobody_there(self):
        client = PipeClient(self, Server(self), "--wait", "3", keyword=self.keyword)
        client.write(b"a\nb\n")
        client.end_input()
        client.expect_exit(1)
        self.assertGreaterEqual(client.lifetime(), 3)
        self.assertRegex(client.stderr.text(), UNDELIVERED)
        # Which of them: both, by line or by text.
        for wanted in (r"\b1\b|\ba\b", r"\b2\b|\bb\b"):
            self.assertRegex(client.stderr.text(), wanted)
        self.assertEqual(client.stdout.text(), "")

    @slow(3)
    def test_text_typed_before_anybody_reaches_all_who_come_within_two_seconds(self):
        server = Server(self)
        sender = PipeClient(self, server, keyword=self.keyword, name="sender")
        sender.write(b"early\nbird\n")
        sender.end_input()
        sender.wait_stderr(".")  # it has begun
        receivers = [PipeClient(self, server, keyword=self.keyword, name="r%d" % i) for i in range(3)]
        for r in receivers:
            r.wait_line("sender: bird")
        sender.expect_exit(0)
        for r in receivers:
            self.assertEqual(r.stdout.text(), "sender: early\nsender: bird\n")

    def test_the_receiver_leaves_first(self):
        """Everything was delivered to the one who was there: 0, though he is gone."""
        server = Server(self)
        receiver = JsonClient(self, server, keyword=self.keyword, name="receiver")
        sender = PipeClient(self, server, keyword=self.keyword, name="sender")
        sender.send("taken")
        receiver.expect("message", text="taken")
        receiver.quit()
        receiver.expect_end(0)
        sender.wait_stderr("receiver.*(left|gone|quit)")
        sender.end_input()
        sender.expect_exit(0)

    def test_signal_with_something_undelivered(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            client = PipeClient(self, Server(self), keyword=self.keyword)
            client.send("to nobody")
            client.wait_stderr(".")
            client.signal(number)
            client.expect_exit(1)
            self.assertRegex(client.stderr.text(), UNDELIVERED)

    def test_signal_with_nothing_to_deliver(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            client = PipeClient(self, Server(self), keyword=self.keyword)
            client.wait_stderr(".")
            client.signal(number)
            client.expect_exit(0)
            self.assertEqual(client.stdout.text(), "")

    @slow(3)
    def test_end_of_input_after_an_error_only(self):
        """A line was there, though a bad one: this is not the receive-only case."""
        server = Server(self)
        JsonClient(self, server, keyword=self.keyword)
        client = PipeClient(self, server, "--wait", "5", keyword=self.keyword)
        client.write(b"\xff\n")
        client.end_input()
        client.expect_exit(1)
        self.assertRegex(client.stderr.text(), r"\bline 1\b")


class BothWays(TestCase):
    def test_two_pipes_chat(self):
        server = Server(self)
        ann = PipeClient(self, server, keyword=self.keyword, name="ann")
        bob = PipeClient(self, server, keyword=self.keyword, name="bob")
        for i in range(5):
            ann.send("ping %d" % i)
            bob.wait_line("ann: ping %d" % i)
            bob.send("pong %d" % i)
            ann.wait_line("bob: pong %d" % i)
        ann.end_input()
        ann.expect_exit(0)
        bob.end_input()
        bob.expect_exit(0)
        self.assertEqual(ann.stdout.text(), "".join("bob: pong %d\n" % i for i in range(5)))
        self.assertEqual(bob.stdout.text(), "".join("ann: ping %d\n" % i for i in range(5)))

    def test_two_ends_at_the_same_time(self):
        """Both have said all before they meet: each has what the other said, and both end with 0."""
        ports = free_udp_ports(2)
        address = "127.0.0.1:%d" % ports[0]
        both = [PipeClient(self, address, keyword=self.keyword, name=name) for name in ("ann", "bob")]
        for client in both:
            client.write(b"".join(b"%s %d\n" % (client.name.encode(), i) for i in range(50)))
            client.end_input()
            client.wait_stderr(".")
        Server(self, ports=ports)
        for client, other in zip(both, reversed(both)):
            client.expect_exit(0, timeout=20)
            if client.stdout.lines() != ["%s: %s %d" % (other.name, other.name, i) for i in range(50)]:
                client.fail("has not all that the other said")


if __name__ == "__main__":
    harness.main()
