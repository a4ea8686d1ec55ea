#!/usr/bin/env python3
"""p2p-client-gtk as its user has it: the real window on a screen of its own, a real server, and a friend who uses
`p2p-client --json`. usage: test_window.py [-v] [PICTURES=folder] [NAME...]"""
import os
import shutil
import signal
import subprocess
import sys

SYSTEM_PYTHON = "/usr/bin/python3"  # has what apt installs; the first in PATH may be another one
if os.path.realpath(sys.executable) != os.path.realpath(SYSTEM_PYTHON) and os.path.exists(SYSTEM_PYTHON):
    try:
        import gi  # noqa: F401
    except ImportError:
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])

import desk as desktop  # noqa: E402
import harness  # noqa: E402
from desk import Window  # noqa: E402
from harness import CLIENT, Server, TestCase, free_udp_ports  # noqa: E402
from jsonclient import JsonClient  # noqa: E402

DESK = None
PICTURES = None


class WindowCase(TestCase):
    def setUp(self):
        if DESK is None:
            self.skipTest(desktop.missing())
        super().setUp()

    def window(self, *args, **more):
        w = Window(self, DESK, *args, **more)
        w.focus()
        return w

    def picture(self, window, name):
        if PICTURES:
            window.picture(os.path.join(PICTURES, name + ".png"))


    def chat(self, *args, server=None, friend="bob"):
        """A window and a friend in one chat."""
        self.server = server or Server(self)
        w = self.window("--server", self.server.address, "--name", "ann", *args, env={"P2P_KEYWORD": self.keyword})
        w.see("Connection: Waiting for somebody with the same keyword")
        bob = JsonClient(self, self.server, keyword=self.keyword, name=friend)
        bob.expect("peer", name="ann")
        w.see("%s joined, .*" % friend)
        return w, bob


def children_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(child) for child in f.read().split()]


def secrets_of(pid):
    """What other programs of this user can read of it."""
    parts = []
    for name in ("cmdline", "environ"):
        with open("/proc/%d/%s" % (pid, name), "rb") as f:
            parts.append(f.read())
    return b"".join(parts)


class JoinScreen(WindowCase):
    def test_a_keyword_is_judged_as_it_is_typed(self):
        w = self.window("--name", "ann")
        w.see("The same keyword on both sides.*")
        self.assertFalse(w.see("Join", "push button").has("SENSITIVE"))
        w.type("hello")
        w.see("Easy to guess.*")
        w.type("-crab-lunar-toast")
        w.see("Hard to guess.*")
        self.assertTrue(w.see("Join", "push button").has("SENSITIVE"))
        self.picture(w, "join")

    def test_it_fits_a_narrow_screen(self):
        w = self.window("--server", Server(self).address)

        def fits(button):
            return 0 < button.left_and_right()[0] and button.left_and_right()[1] < 360

        w.xdotool("windowsize", w.id, "360", "640")
        w.see("Make a strong keyword", "push button", when=fits)
        self.picture(w, "narrow-join")
        w.key("ctrl+n")
        w.see("It works on this computer only: .*")
        w.see("Send", "push button", when=fits)
        self.picture(w, "narrow-new")

    def test_whatever_can_be_pressed_has_a_name(self):
        pressed = ("push button", "toggle button", "text", "password text", "combo box")
        w = self.window("--name", "ann")
        w.see("Show Text", "push button")
        names = [t.name for t in w.things() if t.role in pressed]
        w, _ = self.chat()
        w.key("F9")
        w.see("Compare words with bob", "push button")
        names += [t.name for t in w.things() if t.role in pressed]
        self.assertEqual([name for name in names if name == "" or name.startswith(("Gtk", "Adw"))], [])

    def test_what_the_client_refuses_is_said_there(self):
        w = self.window("--server", "not/a/server")
        w.type("crab-lunar-toast")
        w.key("Return")
        w.see("--server: the server 'not/a/server' is neither a name nor an address.*")
        w.see("Meet by a keyword")

    def test_a_new_keyword_is_shown_and_leads_a_friend_here(self):
        server = Server(self)
        w = self.window("--server", server.address)
        w.key("ctrl+n")
        keyword = w.see(r"\d+-[a-z]+-[a-z]+-[a-z]+", "label").name
        w.see("QR code of the command for the other person")
        w.see("Copy keyword", "push button")
        self.picture(w, "new")
        bob = JsonClient(self, server, keyword=keyword, name="bob")
        bob.expect("peer")
        w.see("bob joined, .*")


class Chat(WindowCase):
    def test_two_talk(self):
        w, bob = self.chat()
        w.see("Connection: Direct, same network.*", "status bar")
        for pid in (w.pid, *children_of(w.pid)):
            self.assertNotIn(self.keyword.encode(), secrets_of(pid))
        bob.say("hi ann", id=7)
        w.see(r"bob, \d\d:\d\d: hi ann", "list item")
        bob.expect("delivered", id=7)
        w.type("hello")
        w.key("shift+Return")
        w.type("bob!")
        w.key("Return")
        bob.expect_texts(["hello\nbob!"])
        w.see(r"You, \d\d:\d\d, Delivered: hello\nbob!", "list item")
        self.assertEqual(w.see("Message", "text").text(), "")
        w.key("F9")
        w.see("bob: Direct, same network.*", "list item")
        w.key("ctrl+k")
        w.focus()
        bob.command(command="verify", peer=1)
        w.see(" ".join(bob.expect("verify")["words"]))
        w.key("alt+t")
        w.refocus()
        w.see("Words compared")
        bob.quit()
        w.see("bob left, .*", "list item")
        w.see("Connection: Nobody is here at the moment")

    def test_the_server_goes_and_comes_back(self):
        ports = free_udp_ports(2)
        w, bob = self.chat(server=Server(self, ports=ports))
        self.server.signal(signal.SIGTERM)
        self.server.exit_status()
        w.see("The server is gone .*", "alert")
        w.type("still here")
        w.key("Return")
        w.see(r"You, \d\d:\d\d, Delivered: still here", "list item")
        Server(self, ports=ports)
        w.see_gone("The server is gone .*")

    def test_its_client_is_killed(self):
        w, bob = self.chat()
        w.type("a draft")
        (client,) = children_of(w.pid)
        os.kill(client, signal.SIGKILL)
        w.see(".*was ended by signal 9 \\(Killed\\). Nothing that you typed is lost.", "alert")
        self.assertEqual(w.see("Message", "text").text(), "a draft")
        w.key("Return")
        w.see(r"You, \d\d:\d\d, Not sent yet: not connected: a draft", "list item")
        w.see("Reconnect", "push button").click()
        bob.expect("peer", peer=2, name="ann")
        bob.expect_texts(["a draft"])
        w.see(r"You, \d\d:\d\d, Delivered: a draft", "list item")
        w.see_gone(".*was ended by signal.*")

    def test_the_newest_is_in_sight_unless_somebody_reads_above(self):
        w, bob = self.chat()
        above = w.see("Message", "text").top_and_bottom()[0]

        def is_in_sight(row):
            return row.top_and_bottom()[1] <= above

        for i in range(40):
            bob.say("line %d" % i)
        w.see("bob, .*: line 39", "list item", when=is_in_sight)
        w.xdotool("mousemove", "--window", w.id, "360", "300", "click", "--repeat", "5", "4")
        w.see("bob, .*: line 39", "list item", when=lambda row: not is_in_sight(row))
        bob.say("a late one")
        below = w.see("New messages below", "push button")
        w.see("bob, .*: a late one", "list item", when=lambda row: not is_in_sight(row))
        below.click()
        w.see("bob, .*: a late one", "list item", when=is_in_sight)
        w.see_gone("New messages below")

    def test_foreign_text_and_names_are_made_fit_to_be_shown(self):
        w, bob = self.chat(friend="<b>bob</b>")
        bob.say("a\u202eb\x1b[1m<i>c</i>")
        w.see(r"<b>bob</b>, \d\d:\d\d: a<U\+202E>b<U\+001B>\[1m<i>c</i>", "list item")
        JsonClient(self, self.server, keyword=self.keyword, name="<b>bob</b>").expect("registered")
        w.see(r"<b>bob</b> \(2\) joined, .*", "list item")

    def test_it_is_dark_when_the_desktop_is(self):
        w, bob = self.chat()
        bob.say("Hi! Are you behind that terrible hotel router again?", id=1)
        w.see("bob, .*", "list item")
        w.type("Yes. And it went direct at once.")
        w.key("Return")
        w.see("You, .*Delivered.*", "list item")
        bob.say("Then let us compare the four words, and here is where I am:\n\n    a long line of text that has to be "
                "wrapped, because no window is as wide as what people write", id=2)
        w.see("bob, .*compare.*", "list item")
        w.key("F9")
        w.see("bob: .*", "list item")
        self.picture(w, "light")
        self.assertGreater(w.brightness(), 0.7)
        try:
            DESK.desktop.set_dark(True)
            w.wait_until(lambda: w.brightness() < 0.4, "it to be dark")
            self.picture(w, "dark")
        finally:
            DESK.desktop.set_dark(False)
        w.wait_until(lambda: w.brightness() > 0.7, "it to be light again")

    def test_in_the_background_it_notifies(self):
        w, bob = self.chat()
        before = len(DESK.desktop.shown)
        bob.say("seen")
        w.see("bob, .*: seen", "list item")
        w.unfocus()
        w.see("p2p|bob", "frame", when=lambda t: not t.has("ACTIVE"))
        bob.say("not seen")
        w.wait_until(lambda: DESK.desktop.shown[before:] == [("bob", "not seen")], "one notification")

    def test_closing_asks_if_something_is_undelivered(self):
        w = self.window("--server", Server(self).address, env={"P2P_KEYWORD": self.keyword})
        w.see("Connection: Waiting.*")
        w.type("is anybody there?")
        w.key("ctrl+Return")
        w.see(r"You, \d\d:\d\d, Waits for somebody to come: .*", "list item")
        w.key("ctrl+q")
        w.focus()
        w.see("1 message is not delivered yet.*")
        w.key("alt+l")
        w.expect_exit(0)


class Start(WindowCase):
    def test_the_client_becomes_the_window(self):
        server = Server(self)
        w = Window(self, DESK, argv=["sh", "-c", 'exec "$0" --name ann --server %s >/dev/null' % server.address, CLIENT],
                   env={"P2P_KEYWORD": self.keyword})
        w.focus()
        w.see("Connection: Waiting.*")
        JsonClient(self, server, keyword=self.keyword, name="bob").expect("peer", name="ann")
        self.assertNotIn(self.keyword.encode(), secrets_of(w.pid))

    def test_the_keyword_is_on_no_command_line_even_for_a_moment(self):
        """The client wipes its own soon, so one that looks at it first stands between."""
        folder = os.path.dirname(harness.scratch_file(self, b"", "seen"))
        shutil.copy(desktop.WINDOW, folder)
        with open(os.path.join(folder, "p2p-client"), "w") as f:
            f.write('#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ >%s/seen\nexec %s "$@"\n' % (folder, CLIENT))
        os.chmod(os.path.join(folder, "p2p-client"), 0o755)
        w = Window(self, DESK, argv=[os.path.join(folder, "p2p-client-gtk"), "--keyword", self.keyword, "--server",
                                     Server(self).address])
        w.focus()
        w.see("Connection: Waiting.*")
        with open(os.path.join(folder, "seen"), "rb") as f:
            seen = f.read()
        self.assertIn(b"--json", seen)
        self.assertNotIn(self.keyword.encode(), seen)
        self.assertNotIn(self.keyword.encode(), secrets_of(w.pid))

    def test_a_pipe_stays_a_pipe(self):
        status, _, errors = harness.run(self, [CLIENT, "--wait", "1", "--server", Server(self).address],
                                        env=dict(DESK.environment(), P2P_KEYWORD=self.keyword), stdin=subprocess.PIPE)
        self.assertEqual(status, 1)
        self.assertIn("meeting others with the same keyword", errors)

    def test_without_its_display_it_is_the_console(self):
        env = dict(DESK.environment(), DISPLAY=":987")
        p = harness.Process(self, ["sh", "-c", 'exec "$0" >/dev/null', CLIENT], env=env, stdin=subprocess.DEVNULL)
        p.expect_exit(2)
        self.assertIn("no keyword, and no terminal to ask for it", p.stderr.text())
        status, _, errors = harness.run(self, [desktop.WINDOW], env=env)
        self.assertEqual(status, 1)
        self.assertIn("p2p-client --console needs none", errors)

    def test_wrong_use_is_refused(self):
        for arguments, said in ((["--keyword"], "--keyword needs a value"), (["--nonsense"], "option '--nonsense'"),
                                (["-x"], "option '-x'"), (["keyword"], "argument 'keyword'"),
                                (["--key=secret"], "option '--key', "), (["--new=secret"], "--new takes no value"),
                                (["--new", "--keyword-file", "x"], "give one of"), (["--json"], "is for p2p-client"),
                                (["--relay", "onyl"], "'onyl' is not one of auto, never, only")):
            status, _, errors = harness.run(self, [desktop.WINDOW, *arguments], env=DESK.environment())
            self.assertEqual((status, errors.startswith("p2p-client-gtk: ")), (2, True), arguments)
            self.assertIn(said, errors)
            self.assertNotIn("secret", errors)

    def test_help_fits_a_terminal(self):
        status, said, _ = harness.run(self, [desktop.WINDOW, "--help"], env=DESK.environment())
        self.assertEqual(status, 0)
        self.assertTrue(all(len(line) <= 80 for line in said.splitlines()), said)


class Programs(TestCase):
    def test_the_client_needs_no_gtk(self):
        needed = subprocess.run(["ldd", CLIENT], check=True, stdout=subprocess.PIPE).stdout.decode()
        self.assertIn("libevent", needed)
        self.assertNotRegex(needed, "libgtk|libadwaita|libglib")


def main():
    global DESK, PICTURES
    for a in [a for a in sys.argv if a.startswith("PICTURES=")]:
        PICTURES = a.split("=", 1)[1]
        sys.argv.remove(a)
    harness.WORKERS = 1  # there is one keyboard
    if desktop.missing() is None:
        DESK = desktop.Desk()
    try:
        harness.main()
    finally:
        if DESK is not None:
            DESK.stop()


if __name__ == "__main__":
    main()
