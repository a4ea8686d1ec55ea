#!/usr/bin/env python3
"""p2p-client --console on terminals: two people in tmux, the prompt for the keyword, nasty text, how it ends."""
import re
import shutil
import signal
import unittest

import harness
from harness import Server, TestCase, environment
from jsonclient import JsonClient
from terminal import TerminalClient, Tmux

NASTY = {
    "title": "\x1b]0;title\x07",
    "red": "\x1b[31mred\x1b[0m",
    "cleared": "\x1b[2Jcleared\x1b[H",
    "c1": "\u009b31mc1\u0090\u009d",
    "bell": "\x07bell\x08\x08\x08\x08",
    "return": "return\rspoofed: me",
    "bidi": "\u202ebidi\u202d\u202a\u202b\u202c\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "lines": "\u2028lines\u2029\x0b\x0c\x85",
}


@unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
class TwoTerminals(TestCase):
    def chat(self, server, ann_arguments, bob_keyword):
        tmux = Tmux(self)
        stranger = tmux.client(server, "--keyword", "bar", "--name", "stranger")
        ann = tmux.client(server, *ann_arguments, "--name", "ann")
        if bob_keyword is None:
            ann.wait_screen(r"\d+-[a-z]+-[a-z]+-[a-z]+")
            bob_keyword = re.search(r"\d+-[a-z]+-[a-z]+-[a-z]+", ann.screen()).group()
        bob = tmux.client(server, "--keyword", bob_keyword, "--name", "bob")
        ann.wait_screen("bob")
        bob.wait_screen("ann")
        ann.type("hello bob")
        ann.key("Enter")
        bob.wait_screen(r"(?m)^ann: hello bob$")
        bob.type("hello ann \u00e9\U0001f600")
        bob.key("Enter")
        ann.wait_screen(r"(?m)^bob: hello ann \u00e9")
        # What is being typed stays as it is while a message comes in.
        ann.type("half a li")
        ann.wait_screen("half a li")
        bob.type("interrupting")
        bob.key("Enter")
        ann.wait_screen(r"(?m)^bob: interrupting$")
        ann.wait_screen(r"(?s)interrupting.*half a li")
        ann.type("ne")
        ann.key("Enter")
        bob.wait_screen(r"(?m)^ann: half a line$")
        # The stranger's own friend comes: what the stranger would be shown, it has been shown by then.
        friend = JsonClient(self, server, keyword="bar", name="friend")
        friend.expect("peer", name="stranger")
        friend.say("between us")
        stranger.wait_screen(r"(?m)^friend: between us$")
        for word in ("ann", "bob", "hello", "half"):
            self.assertNotRegex(stranger.screen(), r"\b%s\b" % word)
        bob.key("C-d")
        bob.wait_status(0)
        ann.wait_screen(r"bob.*(left|gone|quit)")
        ann.key("C-c")
        ann.wait_status(0)

    def test_in_open_form(self):
        self.chat(Server(self), ["--keyword", "foo"], "foo")

    def test_in_room_form_with_a_keyword_from_new(self):
        self.chat(Server(self), ["--new"], None)

    def test_nasty_text_leaves_the_screen_in_order(self):
        server = Server(self)
        tmux = Tmux(self)
        ann = tmux.client(server, "--keyword", self.keyword, "--name", "ann")
        bob = JsonClient(self, server, keyword=self.keyword, name="bob")
        bob.expect("peer", name="ann")
        bob.say("first")
        for text in NASTY.values():
            bob.say(text)
        bob.say("last")
        ann.wait_screen(r"(?m)^bob: last$")
        screen = ann.screen()
        self.assertRegex(screen, r"(?m)^bob: first$")
        for word in NASTY:
            self.assertRegex(screen, r"(?m)^(bob: |  ).*" + word)
        self.assertNotRegex(screen, r"(?m)^spoofed")
        title = tmux.run("display-message", "-p", "-t", ann.pane, "#{pane_title}")
        self.assertNotIn("title", title)


class Terminal(TestCase):
    def pair(self, term="dumb", **more):
        server = Server(self)
        ann = TerminalClient(self, server, keyword=self.keyword, name="ann", term=term, **more)
        bob = JsonClient(self, server, keyword=self.keyword, name="bob")
        bob.expect("peer", name="ann")
        return ann, bob

    def test_what_is_typed_is_sent(self):
        ann, bob = self.pair()
        ann.type("typed text\r")
        bob.expect("message", text="typed text", name="ann")
        ann.type("with spaces  inside \u00e9\u540d\r")
        bob.wait_until(lambda: len(bob.texts()) == 2, "the second")
        self.assertEqual(bob.texts()[1].strip(), "with spaces  inside \u00e9\u540d")

    def test_nasty_text_reaches_no_terminal(self):
        for term in ("dumb", "xterm-256color"):
            ann, bob = self.pair(term)
            ann.wait_screen("bob")
            for text in NASTY.values():
                bob.say(text)
            bob.say("last")
            ann.wait_screen("bob(\x1b\\[0m)?: last")  # its own bold is its own
            screen = ann.stdout.text()
            for piece in ("\x1b]0;", "\x1b[31m", "\x1b[2J", "\x07bell", "\x08\x08\x08\x08", "return\rspoofed"):
                self.assertNotIn(piece, screen)
            self.assertNotRegex(screen, "[\x80-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\u2028\u2029]")

    def test_a_nasty_name_reaches_no_terminal(self):
        server = Server(self)
        ann = TerminalClient(self, server, keyword=self.keyword, name="ann")
        bob = JsonClient(self, server, keyword=self.keyword, name="\u202ebob\u2066\u200f")
        bob.expect("peer", name="ann")
        bob.say("hello")
        ann.wait_screen("bob[^\n]*hello")
        self.assertNotRegex(ann.stdout.text(), "[\u202a-\u202e\u2066-\u2069\u200e\u200f]")

    def test_ends_with_0_and_leaves_the_terminal_as_it_was(self):
        for end in (lambda c: c.type(b"\x03"), lambda c: c.type(b"\x04"), lambda c: c.signal(signal.SIGTERM),
                    lambda c: c.signal(signal.SIGINT)):
            ann, bob = self.pair("xterm")
            ann.wait_screen("bob")
            end(ann)
            ann.expect_exit(0)
            self.assertTrue(ann.settings_are_back())
            bob.expect("peer-left", reason="quit")

    def test_commands(self):
        ann, bob = self.pair()
        ann.wait_screen("bob")
        ann.type("/help\r")
        for command in ("peers", "verify", "name", "ignore", "stats", "quit"):
            ann.wait_screen("/" + command)
        bob.command(command="verify")
        words = bob.expect("verify")["words"]
        ann.type("/verify\r")
        ann.wait_screen(r"[ -]".join(words))
        ann.type("/name anna\r")
        bob.expect("name", name="anna")
        ann.type("/no-such-command\r")
        ann.wait_screen("(?i)unknown|no command|there is no")
        ann.type("//slash\r")
        bob.expect("message", text="/slash", name="anna")
        bob.say("got it")  # and his receipt is on its way no later than this
        ann.wait_screen("bob[^\n]*: got it")
        ann.type("/quit\r")
        ann.expect_exit(0)
        bob.expect_texts(["/slash"])

    def test_what_was_typed_at_last_is_delivered(self):
        ann, bob = self.pair()
        ann.type("last words\r\x04")
        ann.expect_exit(0)
        bob.expect_texts(["last words"])

    def test_a_terminal_that_goes_away_ends_it(self):
        ann, bob = self.pair()
        ann.signal(signal.SIGHUP)
        bob.expect("peer-left", timeout=20)

    def test_json_on_a_terminal_is_still_json(self):
        server = Server(self)
        ann = TerminalClient(self, server, keyword=self.keyword, mode=("--json",))
        ann.wait_screen(r'"event": ?"registered"')
        ann.type('{"command":"quit"}\n')
        ann.expect_exit(0)
        self.assertRegex(ann.stdout.text(), r'"event": ?"end"')


class Prompt(TestCase):
    def test_asks_without_echo(self):
        server = Server(self)
        ann = TerminalClient(self, server, name="ann")
        ann.wait_screen("(?i)keyword")
        ann.wait_until(lambda: not ann.echoes(), "no echo")
        ann.type(self.keyword + "\r")
        bob = JsonClient(self, server, keyword=self.keyword, name="bob")
        bob.expect("peer", name="ann")
        ann.wait_screen("bob")
        self.assertNotIn(self.keyword, ann.stdout.text())
        ann.type(b"\x04")
        ann.expect_exit(0)
        self.assertTrue(ann.settings_are_back())

    def test_an_empty_answer_is_no_keyword(self):
        for answer in (b"\r", b"\x04"):
            ann = TerminalClient(self, "127.0.0.1:9")
            ann.wait_screen("(?i)keyword")
            ann.wait_until(lambda: not ann.echoes(), "no echo")
            ann.type(answer)
            ann.expect_exit(2)
            self.assertTrue(ann.settings_are_back())

    def test_interrupting_it_gives_the_echo_back(self):
        ann = TerminalClient(self, "127.0.0.1:9")
        ann.wait_screen("(?i)keyword")
        ann.wait_until(lambda: not ann.echoes(), "no echo")
        ann.signals_sent.add(signal.SIGINT)  # Ctrl-C: dying of it is as good as a status
        ann.type(b"\x03")
        self.assertNotEqual(ann.exit_status(), 0)
        self.assertTrue(ann.settings_are_back())

    def test_does_not_ask_when_told(self):
        ann = TerminalClient(self, Server(self), env=environment(P2P_KEYWORD=self.keyword), name="ann")
        ann.type(b"\x04")
        ann.expect_exit(0)
        self.assertNotRegex(ann.stdout.text(), r"(?i)keyword ?:")


if __name__ == "__main__":
    harness.main()
