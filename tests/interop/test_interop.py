#!/usr/bin/env python3
"""The second client (second.py) against the real one, over loopback.

P2P_BUILD names the folder of the binaries (default: build). A server of its own on a free port for
each test. Waits for what should happen, with a deadline; never for time to pass.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "..", "..", os.environ.get("P2P_BUILD", "build"))
SECOND = os.path.join(HERE, "second.py")
KEYWORD = "42-crab-lunar-toast"
DEADLINE = 30.0


class Process:
    """A program whose lines are collected by a thread."""

    def __init__(self, argv, stdin=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith("P2P_")}
        self.argv = argv
        self.lines = []
        self.changed = threading.Condition()
        self.closed = False
        self.p = subprocess.Popen(argv, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        self.errors = []
        self.threads = [threading.Thread(target=self.read, daemon=True),
                        threading.Thread(target=self.read_errors, daemon=True)]
        for t in self.threads:
            t.start()

    def read(self):
        for line in self.p.stdout:
            with self.changed:
                self.lines.append(self.parse(line.decode(errors="replace").rstrip("\n")))
                self.changed.notify_all()
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def read_errors(self):
        for line in self.p.stderr:
            self.errors.append(line.decode(errors="replace").rstrip("\n"))

    def parse(self, line):
        return line

    def wait(self, condition, what, deadline=DEADLINE):
        """Until condition(lines) is true; its value."""
        end = time.monotonic() + deadline
        with self.changed:
            while True:
                value = condition(self.lines)
                if value:
                    return value
                left = end - time.monotonic()
                if left <= 0 or self.closed:
                    raise AssertionError("%s: no %s\n%s" % (self.title(), what, self.tail()))
                self.changed.wait(left)

    def title(self):
        return os.path.basename(self.argv[0])

    def tail(self):
        return "\n".join(str(line)[:300] for line in self.lines[-40:] + self.errors[-10:])

    def write(self, text):
        self.p.stdin.write(text.encode())
        self.p.stdin.flush()

    def status(self, deadline=DEADLINE):
        try:
            return self.p.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s does not end\n%s" % (self.title(), self.tail())) from None

    def kill(self, number=signal.SIGTERM):
        if self.p.poll() is None:
            os.kill(self.p.pid, number)
            try:
                self.p.wait(10)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        for t in self.threads:
            t.join(10)
        for f in (self.p.stdin, self.p.stdout, self.p.stderr):
            if f:
                try:
                    f.close()
                except OSError:
                    pass


class Server(Process):
    def __init__(self, port=0):
        super().__init__([os.path.join(BUILD, "p2p-server"), "--listen", "127.0.0.1:%d" % port,
                          "--alt-port", "0"], stdin=False)
        self.wait(lambda lines: "ready" in lines, "ready")
        self.port = int(next(x for x in self.lines if x.startswith("listening")).rsplit(":", 1)[1])


class Member(Process):
    """A client of either kind: events out, commands in."""

    def parse(self, line):
        try:
            return json.loads(line)
        except ValueError:
            return {"event": "not JSON", "line": line}

    def do(self, **command):
        self.write(json.dumps(command) + "\n")

    def say(self, text):
        self.do(send=text)

    def quit(self):
        self.do(command="quit")

    def all(self, kind, **fields):
        return [e for e in list(self.lines)
                if e.get("event") == kind and all(e.get(k) == v for k, v in fields.items())]

    def see(self, kind, count=1, deadline=DEADLINE, **fields):
        """The count-th event of this kind with these fields."""
        what = "%s %s (%d)" % (kind, {k: str(v)[:40] for k, v in fields.items()}, count)
        return self.wait(lambda _: len(self.all(kind, **fields)) >= count and
                         self.all(kind, **fields)[count - 1], what, deadline)

    def named(self, name):
        """Somebody of this name; a probe that overtakes the first packet makes a peer without one."""
        self.wait(lambda _: self.all("peer", name=name) + self.all("name", name=name), "peer " + name)

    def texts(self):
        return [e["text"] for e in self.all("message")]


class Real(Member):
    kind = "real"

    def __init__(self, port, name, keyword=KEYWORD, *more):
        which = ["--new"] if keyword is None else ["--keyword", keyword]
        super().__init__([os.path.join(BUILD, "p2p-client"), "--json", "--server",
                          "127.0.0.1:%d" % port, "--name", name, *which, *more])


class Second(Member):
    kind = "second"

    def __init__(self, port, name, keyword=KEYWORD, *more):
        super().__init__([sys.executable, SECOND, "--server", "127.0.0.1:%d" % port,
                          "--name", name, "--keyword", keyword, *more])

    def title(self):
        return "second.py"

    def stats(self):
        n = len(self.all("stats"))
        self.do(command="stats")
        return self.see("stats", n + 1)


class Interop(unittest.TestCase):
    def setUp(self):
        self.processes = []
        self.server = self.start(Server)

    def tearDown(self):
        for p in reversed(self.processes):
            p.kill()
        for p in self.processes:
            if isinstance(p, Second):
                self.assertEqual(p.all("bad"), [], "a frame that the schema forbids")
                self.assertEqual(p.all("too-long"), [])
                self.assertEqual([e for e in p.errors if "Traceback" in e], [], p.tail())

    def start(self, what, *args):
        p = what(*args)
        self.processes.append(p)
        return p

    def real(self, name="real", *more, keyword=KEYWORD):
        return self.start(Real, self.server.port, name, keyword, *more)

    def second(self, name="second", *more, keyword=KEYWORD):
        return self.start(Second, self.server.port, name, keyword, *more)

    def pair(self, real_more=(), second_more=(), keyword=KEYWORD):
        r = self.real("real", *real_more, keyword=keyword)
        r.see("registered")
        s = self.second("second", *second_more, keyword=keyword)
        self.meet(r, s)
        return r, s

    def meet(self, *members):
        for m in members:
            m.see("peer", len(members) - 1)

    def chat(self, a, b, text):
        a.say(text)
        e = b.see("message", text=text)
        a.see("delivered", id=e["id"])
        return e

    # ----- one after the other

    def test_real_first(self):
        r, s = self.pair()
        s.named("real")
        r.named("second")
        self.chat(r, s, "from the real one")
        self.chat(s, r, "from the second one")
        self.assertEqual(s.see("registered")["room"], 42)

    def test_second_first(self):
        s = self.second()
        s.see("registered")
        r = self.real()
        self.meet(r, s)
        self.chat(s, r, "from the second one")
        self.chat(r, s, "gr\u00fc\u00dfe \U0001f980\nsecond line")

    def test_typed_before_anybody_came(self):
        s = self.second("second", "--send", "one", "--send", "two")
        s.see("registered")
        r = self.real()
        r.do(send="three", id=77)
        r.see("message", text="two")
        s.see("message", text="three", id=77)
        self.assertEqual(r.texts(), ["one", "two"])
        s.see("delivered", id=2)
        r.see("delivered", id=77)

    def test_two_second_clients(self):
        a = self.second("ann")
        b = self.second("bob")
        self.meet(a, b)
        self.chat(a, b, "to bob")
        self.chat(b, a, "to ann")
        self.assertEqual(a.see("verify")["words"], b.see("verify")["words"])
        a.see("path", path="lan")
        b.see("path", path="lan")

    def test_three_in_a_room(self):
        r, a, b = self.real(), self.second("ann"), self.second("bob")
        self.meet(r, a, b)
        r.named("ann")
        r.say("to both")
        a.see("message", text="to both")
        b.see("message", text="to both")
        r.see("delivered", 2)
        a.say("from ann")
        r.see("message", text="from ann", name="ann")
        b.see("message", text="from ann", name="ann")
        a.see("delivered", 2, id=1)

    # ----- keywords

    def test_keyword_in_normal_form(self):
        r, s = self.pair(keyword="7-caf\u00e9-lunar-toast")
        t = self.second("third", keyword="  7 CAFE\u0301 - Lunar  toast- ")
        self.meet(r, s, t)
        self.chat(t, r, "the same word")

    def test_new_room(self):
        r = self.real("real", keyword=None)
        keyword = r.see("keyword")["keyword"]
        s = self.second(keyword=keyword)
        self.meet(r, s)
        self.chat(s, r, "in the new room")
        self.assertEqual(s.see("registered")["room"], int(keyword.split("-")[0]))

    def test_open_form(self):
        r, s = self.pair(keyword="the word of the day")
        self.assertEqual(s.all("hello")[0]["form"], "open")
        self.chat(r, s, "openly")
        self.chat(s, r, "openly back")

    def test_open_form_bits_wanted(self):
        crowd = [self.second("c%d" % i, keyword="crowd number %d" % i if i else "crowd zero")
                 for i in range(9)]
        for c in crowd:
            c.see("registered")
        first = self.second("early", keyword="a certain word")
        e = first.see("registered")
        # Ten in the open form: the smallest b with 10 <= 4 * 2^b is 2.
        first.wait(lambda _: e["bits"] == 2 or first.all("bits", bits=2), "two bits")
        r = self.real("real", keyword="a certain word")
        self.meet(r, first)
        late = self.second("late", keyword="a certain word")
        self.meet(r, first, late)
        self.chat(r, late, "among many")
        self.chat(first, r, "found you")
        for c in crowd:
            self.assertEqual(c.all("peer"), [])

    def test_wrong_keyword(self):
        r = self.real("real", keyword="42-crab-lunar-toast")
        r.see("registered")
        r.say("another secret")
        wrong = [self.second(k, "--send", "a secret", keyword="42-crab-lunar-" + k)
                 for k in ("roast", "boast", "coast")]
        for s in wrong:
            s.see("stranger")
        # The real one tells of the third.
        r.see("warning", code="wrong-keyword")
        # The right one is not kept out by it.
        t = self.second("third", keyword="42-crab-lunar-toast")
        r.named("third")
        t.see("message", text="another secret")
        self.assertEqual(len(r.all("peer")), 1)
        self.assertEqual(r.all("message"), [])
        for s in wrong:
            self.assertEqual(s.all("peer") + s.all("message"), [])

    # ----- ways

    def test_direct_path(self):
        r, s = self.pair()
        a = r.see("path", path="lan")
        b = s.see("path", path="lan")
        self.assertEqual(a["address"], s.see("registered")["observed"])
        self.assertEqual(b["address"], r.see("registered")["observed"])
        before = s.stats()["peers"][0]
        for i in range(20):
            self.chat(r, s, "r%d" % i)
            self.chat(s, r, "s%d" % i)
        after = s.stats()["peers"][0]
        self.assertGreater(after["direct"] - before["direct"], 20)
        self.assertEqual(after["signal"], before["signal"])

    def relayed(self, real_more, second_more):
        r, s = self.pair(real_more, second_more)
        self.chat(r, s, "through the server")
        self.chat(s, r, "and back")
        long = "\u00e4" * 8192
        self.chat(s, r, long)
        self.chat(r, s, long)
        self.assertEqual(r.all("path", path="lan") + r.all("path", path="direct"), [])
        self.assertEqual(s.all("path", path="lan") + s.all("path", path="direct"), [])
        p = s.stats()["peers"][0]
        self.assertEqual(p["direct"], 0)
        self.assertTrue(p["link"])
        self.assertGreater(p["relay"], 10)
        r.see("path", path="relay")

    def test_relay_only_both(self):
        self.relayed(("--relay", "only"), ("--relay-only",))

    def test_relay_only_real(self):
        self.relayed(("--relay", "only"), ())

    def test_relay_only_second(self):
        self.relayed((), ("--relay-only",))

    def test_relay_never(self):
        r, s = self.pair(("--relay", "never"))
        r.see("path", path="lan")
        self.chat(r, s, "not through the server")
        self.chat(s, r, "nor back")
        self.assertEqual(s.stats()["peers"][0]["relay"], 0)

    def test_full_room(self):
        """Sixteen, one of them of the second kind; the two that come then are told by all of them."""
        s = self.second()
        s.see("registered")
        others = [self.real("r%d" % i) for i in range(15)]
        self.meet(s, *others)
        late = self.real("late")
        late.see("error", code="room-full")
        s.see("refused-run", by="us")
        t = self.second("later")
        t.see("refused-run", 15, by="other")
        for peer in late.all("peer") + t.all("peer"):  # these two may meet each other, but nobody of the sixteen
            self.assertIn(peer["name"], ("late", "later"))
        self.assertEqual(len(s.all("peer")), 15)
        self.chat(s, others[7], "among us")

    def test_new_port(self):
        r, s = self.pair()
        r.see("path", path="lan")
        s.see("path", path="lan")
        for i in range(3):
            s.do(command="rebind")
            where = s.see("rebound", i + 1)["address"]
            self.chat(s, r, "from port %d" % i)
            r.see("path", path="lan", address=where)
            self.chat(r, s, "to port %d" % i)
        self.assertEqual(len(r.all("peer")), 1)
        self.assertEqual(r.all("peer-left"), [])
        # The registration has moved, too: a newcomer is introduced.
        t = self.second("third")
        self.meet(r, s, t)

    # ----- messages

    def test_long_messages(self):
        r, s = self.pair()
        texts = [chr(97 + i) * 16384 for i in range(12)]
        for text in texts:
            r.say(text)
            s.say(text)
        s.see("message", len(texts))
        r.see("message", len(texts))
        self.assertEqual(s.texts(), texts)
        self.assertEqual(r.texts(), texts)
        r.see("delivered", len(texts))
        s.see("delivered", len(texts))

    def losses(self, filling, *second_more):
        r, s = self.pair((), "--drop 0.1".split() + list(second_more))
        told = [["%s%d %s" % (who, i, filling) for i in range(300)] for who in "rs"]
        for real, second in zip(*told):
            r.say(real)
            s.say(second)
        r.see("message", 300, 120)
        s.see("message", 300, 120)
        r.see("delivered", 300, 120)
        s.see("delivered", 300, 120)
        self.assertEqual(r.texts(), told[1])
        self.assertEqual(s.texts(), told[0])
        self.assertGreater(min(s.stats()["dropped"]), 3)

    def test_losses(self):
        self.losses("x" * 600)

    def test_losses_relayed(self):
        # Less than the relay's burst of 256 KiB.
        self.losses("x" * 150, "--relay-only")

    def lost_on_the_way(self, *more):
        r, s = self.pair(*more)
        for i in range(3):
            s.do(command="deaf", datagrams=i + 1)
            s.see("deaf", i + 1)
            self.chat(r, s, "heard at last %d" % i)

    def test_lost_on_the_way(self):
        self.lost_on_the_way()

    def test_lost_on_the_way_relayed(self):
        self.lost_on_the_way(("--relay", "only"), ("--relay-only",))

    def test_empty_message(self):
        r, s = self.pair()
        for a, b in ((r, s), (s, r)):
            self.chat(a, b, "")
            self.chat(a, b, "not empty")
            self.assertEqual(b.texts(), ["", "not empty"])

    def test_epochs(self):
        r, s = self.pair((), ("--epoch-packets", "5"))
        t = self.second("third", "--epoch-packets", "5")
        self.meet(r, s, t)
        for i in range(60):
            self.chat(s, r, "e%d" % i)
        stats = s.stats()["peers"]
        self.assertGreater(stats[0]["epoch"], 5)
        self.assertEqual(t.stats()["peers"][1]["epoch_in"] > 5 or t.stats()["peers"][0]["epoch_in"] > 5,
                         True)

    def test_later_version(self):
        # Unknown fields, unknown bodies and padding are skipped, by the server too.
        r, s = self.pair((), ("--later",))
        for i in range(5):
            self.chat(s, r, "new" * 1000)
            self.chat(r, s, "old" * 1000)
        r.see("path", path="lan")
        s.quit()
        self.assertEqual(r.see("peer-left")["reason"], "quit")

    # ----- people

    def test_verification_words(self):
        r, s = self.pair()
        r.do(command="verify")
        self.assertEqual(r.see("verify", peer=1)["words"], s.see("verify", peer=1)["words"])
        self.assertEqual(len(s.see("verify")["words"]), 4)

    def test_name_change(self):
        r, s = self.pair()
        r.do(command="name", name="r\u00e9al")
        s.named("r\u00e9al")
        s.do(command="name", name="deuxi\u00e8me")
        r.named("deuxi\u00e8me")
        self.chat(s, r, "x")
        self.assertEqual(r.see("message")["name"], "deuxi\u00e8me")

    def test_quit_real(self):
        r, s = self.pair()
        self.chat(r, s, "last words")
        r.quit()
        self.assertEqual(s.see("peer-left")["reason"], "quit")
        self.assertEqual(r.status(), 0)

    def test_end_of_input_real(self):
        r, s = self.pair()
        texts = ["w%d" % i * 2000 for i in range(20)]
        for text in texts:
            r.say(text)
        r.p.stdin.close()
        self.assertEqual(s.see("peer-left")["reason"], "quit")
        self.assertEqual(s.texts(), texts)
        self.assertEqual(r.status(), 0)
        self.assertEqual(len(r.all("delivered")), len(texts))

    def test_quit_second(self):
        r, s = self.pair()
        s.say("last words")
        s.quit()
        r.see("message", text="last words")
        self.assertEqual(r.see("peer-left")["reason"], "quit")
        self.assertEqual(s.status(), 0)
        again = self.second("again")
        r.named("again")
        self.chat(again, r, "back")

    def test_quit_relayed(self):
        r, s = self.pair(("--relay", "only"), ("--relay-only",))
        self.chat(r, s, "x")
        r.quit()
        self.assertEqual(s.see("peer-left")["reason"], "quit")
        again = self.real("again", "--relay", "only")
        s.named("again")
        self.chat(again, s, "y")
        s.quit()
        self.assertEqual(again.see("peer-left")["reason"], "quit")

    # ----- the server comes back

    def restart(self, number):
        port = self.server.port
        self.server.kill(number)
        self.server = self.start(Server, port)

    def test_server_restart(self):
        r, s = self.pair(("--relay", "only"), ("--relay-only",))
        self.chat(r, s, "before")
        for number in (signal.SIGTERM, signal.SIGKILL):
            n = len(s.all("registered"))
            self.restart(number)
            # Whoever has something to say finds out; the other one only by its next refresh.
            r.say("real after %d" % number)
            s.say("second after %d" % number)
            r.see("message", text="second after %d" % number)
            s.see("message", text="real after %d" % number)
            s.see("delivered", id=r.all("message")[-1]["id"])
            s.see("registered", n + 1)
        self.assertEqual(len(r.all("peer")), 1)
        self.assertEqual(len(s.all("peer")), 1)
        self.assertEqual(r.all("peer-left") + s.all("peer-left"), [])

    def test_same_two_introduced_again(self):
        r, s = self.pair((), ("--no-links",))
        s.see("path", path="lan")
        self.chat(s, r, "before")
        self.restart(signal.SIGTERM)
        s.see("same")
        self.chat(s, r, "after")
        self.chat(r, s, "and back")
        self.assertEqual(len(r.all("peer")), 1)
        self.assertEqual(len(s.all("peer")), 1)
        self.assertEqual(r.texts(), ["before", "after"])
        self.assertEqual(r.all("peer-left") + s.all("peer-left"), [])


class Result(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def addSuccess(self, test):
        super().addSuccess(test)
        print("ok   %-36s %5.1f s" % (test._testMethodName, time.monotonic() - self.begun), flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        print("FAIL %s\n%s" % (test._testMethodName, self.failures[-1][1]), flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        print("FAIL %s\n%s" % (test._testMethodName, self.errors[-1][1]), flush=True)


def main():
    for name in ("p2p-server", "p2p-client"):
        if not os.access(os.path.join(BUILD, name), os.X_OK):
            print("%s is not there: make first, or set P2P_BUILD" % os.path.join(BUILD, name))
            print("0 passed, 1 failed")
            return 1
    names = sys.argv[1:] or unittest.TestLoader().getTestCaseNames(Interop)
    suite = unittest.TestSuite(Interop(n) for n in names)
    result = Result(unittest.runner._WritelnDecorator(open(os.devnull, "w")), False, 0)
    suite.run(result)
    failed = len({id(t) for t, _ in result.failures + result.errors})
    print("%d passed, %d failed" % (result.testsRun - failed, failed), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
