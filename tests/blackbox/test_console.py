#!/usr/bin/env python3
"""p2p-client --console on terminals: two people in tmux, screens of 40 and 120 columns, the prompt for the keyword, nasty text, how it ends."""
import os
import re
import shutil
import signal
import tempfile
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


@unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
class Screen(TestCase):
    """What is on the screen, at 40 and at 120 columns."""

    def chat(self, columns, *names, env=()):
        """ann's pane, and the others by --json, all of whom have met ann."""
        server = Server(self)
        tmux = Tmux(self, columns)
        ann = tmux.client(server, "--keyword", self.keyword, "--name", "ann", env=env)
        ann.wait_screen("registered")
        others = []
        for i, name in enumerate(names):
            others.append(JsonClient(self, server, keyword=self.keyword, name=name))
            others[i].expect("peer", name="ann")
            ann.wait_screen(r"(?m)^\* %s( \(\d\))? joined" % re.escape(name))
        return ann, *others

    def test_lines_end_at_words(self):
        for columns in (40, 120):
            ann, bob = self.chat(columns, "\u540d\u524d bob \U0001f600")
            bob.say("words of some length that a narrow terminal has to break " * 3)
            bob.say("\u540d\u524d" * 100)
            bob.say("\U0001f600" * 100)
            bob.say("last")
            ann.wait_screen(r"(?m)bob.*: last$")
            for command in ("/help", "/peers", "/stats", "/verify", "/no-such", "/ignore", "/name", "/save", "/verify x"):
                ann.type(command)
                ann.key("Enter")
                ann.wait_screen(r"(?m)^> " + command)
            ann.type("/quit")
            ann.wait_screen(r"(?m)^> /quit")
            self.assertEqual(ann.wrapped_by_terminal(), [])
            self.assertNotRegex(ann.screen(), r"(?m)^   [a-z]")  # no space at the beginning of a row
            self.assertRegex(ann.screen(), r"some length")

    def test_wide_characters_while_typing(self):
        for columns in (40, 120):
            ann, bob = self.chat(columns, "bob")
            text = "\u540d\u524d and \U0001f600 " * 9
            ann.type(text)
            bob.say("in between")
            ann.wait_screen(r"(?m)^bob: in between$")
            ann.wait(lambda: "> " + text[:9] in ann.screen().split("in between")[1], "what was typed below it")
            self.assertEqual(ann.screen().count("> \u540d"), 1)
            for _ in range(5):
                ann.key("BSpace")
            ann.type("end")
            ann.key("Enter")
            bob.expect("message", text=text[:-5] + "end")
            bob.say("after it")
            ann.wait_screen(r"(?m)^bob: after it$")

    def test_a_paste_is_one_message_and_waits_for_enter(self):
        for columns in (40, 120):
            ann, bob = self.chat(columns, "bob")
            text = "first\n\tsecond \u540d\n\n  fourth " + "x" * 150 + "\n/quit"
            ann.type("see: ")
            ann.paste(text + "\n")
            ann.wait_screen(r"(?m)^/quit$")
            bob.say("in between")
            ann.wait_screen(r"(?s)bob: in between\s+> see: first\n +second.*\n\n  fourth")
            self.assertEqual(ann.screen().count("see: first"), 1)
            self.assertEqual(bob.texts(), [])
            ann.key("Enter")
            bob.expect("message", text="see: " + text)
            ann.key("Up")
            ann.wait_screen(r"(?s)> see: first.*> see: first")
            ann.key("BSpace")
            ann.key("Enter")
            bob.expect("message", text="see: " + text[:-1])
            ann.paste("a\nb")
            ann.wait_screen(r"(?m)^b$")
            ann.key("BSpace")  # a line break at the end is not Enter
            ann.type("c")
            ann.key("Enter")
            bob.expect("message", text="a\nc")

    def test_a_paste_that_is_too_long_is_not_sent_and_says_so(self):
        ann, bob = self.chat(120, "bob")
        ann.paste("y" * 20000)
        ann.wait_screen(r"not sent: .*16384")
        ann.type("the next one")
        ann.key("Enter")
        bob.expect_texts(["the next one"])

    def test_tab(self):
        ann, bob, bert, carol = self.chat(40, "bob", "bert", "carol \u540d")
        for typed, whole in (("/pe", "/peers "), ("/ver", "/verify "), ("/ignore ca", "/ignore carol \u540d"),
                             ("ca", "carol \u540d: "), ("hello ber", "hello bert "), ("zz", "zz")):
            ann.type(typed)
            ann.key("Tab")
            ann.type("|")
            ann.wait_screen(r"(?m)^> %s\|$" % re.escape(whole))
            ann.key("C-u")
        ann.type("b")
        ann.key("Tab")
        ann.wait_screen(r"(?m)^\* (bob  bert|bert  bob)$")
        ann.key("C-u")
        ann.type("/")
        ann.key("Tab")
        ann.wait_screen(r"(?s)\* help  peers .*quit")

    def test_history_is_of_the_session_and_nothing_is_on_disk(self):
        home = tempfile.mkdtemp(prefix="p2p-home-")
        self.addCleanup(shutil.rmtree, home)
        ann, bob = self.chat(80, "bob", env=["HOME=" + home])
        for text in ("one", "two"):
            ann.type(text)
            ann.key("Enter")
        bob.expect_texts(["one", "two"])
        ann.key("Up")
        ann.key("Up")
        ann.type("!")
        ann.key("Enter")
        bob.expect_texts(["one", "two", "one!"])
        ann.key("C-d")
        ann.wait_status(0)
        self.assertEqual(os.listdir(home), [])

    def test_save(self):
        home = tempfile.mkdtemp(prefix="p2p-home-")
        self.addCleanup(shutil.rmtree, home)
        ann, bob = self.chat(120, "bob", env=["HOME=" + home, "TZ=UTC"])
        bob.say("hello\n\x1b[31mann")
        ann.wait_screen("hello")
        ann.type("hello bob")
        ann.key("Enter")
        bob.expect("message", text="hello bob")
        ann.type("/save ~/chat.txt")
        ann.key("Enter")
        ann.wait_screen(r"\* saved to \S+/chat.txt")
        path = os.path.join(home, "chat.txt")
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        with open(path) as f:
            saved = f.read()
        when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
        self.assertRegex(saved, r"(?m)^%s\* bob joined$" % when)
        self.assertRegex(saved, r"(?m)^%sbob: hello\n  <U\+001B>\[31mann\n%s> hello bob$" % (when, when))
        self.assertNotIn(self.keyword, saved)
        ann.type("more")
        ann.key("Enter")
        bob.expect("message", text="more")
        ann.type("/save ~/chat.txt")
        ann.key("Enter")
        ann.wait_screen(r"(?s)not saved: there is a \S+/chat.txt\s+already.*take\s+another\s+name")
        with open(path) as f:
            self.assertEqual(f.read(), saved)
        for place, reason in (("/nonexistent/chat", "No such file or directory"), (home, "already"),
                              ("/proc/chat", "No such file|not permitted|denied")):
            ann.type("/save " + place)
            ann.key("Enter")
            ann.wait_screen(r"not saved: .*%s.*(%s)" % (re.escape(place), reason))

    def test_the_same_name_twice(self):
        ann, one, two = self.chat(80, "bob", "bob")
        one.say("from one")
        two.say("from two")
        ann.wait_screen(r"(?m)^bob: from one$")
        ann.wait_screen(r"(?m)^bob \(2\): from two$")
        two.quit()
        ann.wait_screen(r"(?m)^\* bob \(2\) left$")

    def test_style_only_where_it_is_wanted(self):
        bold = "\x1b[1m"
        for term, env, styled in (("xterm-256color", {}, True), ("xterm-256color", {"NO_COLOR": "1"}, False),
                                  ("xterm-256color", {"NO_COLOR": ""}, True), ("dumb", {}, False)):
            server = Server(self)
            ann = TerminalClient(self, server, keyword=self.keyword, name="ann", env=environment(TERM=term, **env))
            bob = JsonClient(self, server, keyword=self.keyword, name="bob")
            bob.expect("peer", name="ann")
            bob.say("hello")
            ann.wait_screen("bob(\x1b\\[0m)?: hello")
            self.assertEqual(bold in ann.stdout.text(), styled, (term, env))
            if term == "dumb":
                self.assertNotIn("\x1b", ann.stdout.text())


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
