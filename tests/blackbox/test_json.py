#!/usr/bin/env python3
"""p2p-client --json: every event and command of the contract. What holds for every run (fields and types, hello
first, end last, settled once) is checked by jsonclient.py in all tests of all files."""
import json
import signal
import threading

import harness
from harness import Server, TestCase, slow
from jsonclient import JsonClient, pair

ID_MAX = 2**53 - 1


class Life(TestCase):
    def test_alone(self):
        client = JsonClient(self, Server(self), keyword=self.keyword)
        registered = client.expect("registered")
        self.assertRegex(registered["observed"], r"^127\.0\.0\.1:[1-9]\d*$")
        self.assertEqual(client.events[0]["event"], "hello")
        self.assertRegex(client.events[0]["version"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(client.events[0]["form"], "open")
        client.quit()
        client.expect_end(0)

    def test_form_is_told(self):
        for keyword, form in (("42-crab-lunar-toast", "room"), ("foo", "open"), ("0-a", "open"), ("1234567-a", "open"),
                              ("999999-a", "room"), ("42", "open"), ("42 crab", "room")):
            client = JsonClient(self, "127.0.0.1:9", keyword=keyword)
            self.assertEqual(client.expect("hello")["form"], form, keyword)
            client.quit()
            client.expect_end(0)

    def test_signals_end_it_with_0(self):
        server = Server(self)
        for number in (signal.SIGINT, signal.SIGTERM):
            client = JsonClient(self, server, keyword=self.keyword)
            client.expect("registered")
            client.signal(number)
            client.expect_end(0)

    def test_end_of_input_quits(self):
        ann, bob = pair(self, Server(self))
        ann.end_input()
        ann.expect_end(0)
        bob.expect("peer-left", peer=1, reason="quit")
        bob.end_input()
        bob.expect_end(0)

    def test_end_of_input_quits_after_delivery(self):
        ann, bob = pair(self, Server(self))
        for i in range(1, 101):
            ann.say("last words %d" % i, id=i)
        ann.end_input()
        ann.expect_end(0, timeout=20)
        bob.expect("peer-left", reason="quit")
        bob.expect_texts(["last words %d" % i for i in range(1, 101)])
        self.assertEqual([e["id"] for e in ann.all("delivered", peer=1)], list(range(1, 101)))

    @slow(3)
    def test_end_of_input_with_something_undelivered_ends_with_wait(self):
        client = JsonClient(self, Server(self), "--wait", "3", keyword=self.keyword)
        client.say("to nobody", id=1)
        client.end_input()
        client.expect("sent", id=1, peers=[])
        client.expect("failed", id=1, peer=None)
        client.expect_end(1)
        self.assertGreaterEqual(client.lifetime(), 3)

    def test_quit_with_something_undelivered(self):
        client = JsonClient(self, Server(self), keyword=self.keyword)
        client.say("to nobody", id=1)
        client.say("to nobody either", id=2)
        client.expect("sent", id=2, peers=[])
        client.quit()
        for number in (1, 2):
            client.expect("failed", id=number, peer=None)
        client.expect_end(1)

    def test_both_sides_tell_of_each_other(self):
        ann, bob = pair(self, Server(self))
        self.assertEqual(ann.all("peer"), [{"event": "peer", "peer": 1, "name": "bob"}])
        self.assertEqual(bob.all("peer"), [{"event": "peer", "peer": 1, "name": "ann"}])

    def test_a_peer_that_comes_again_is_a_new_peer(self):
        server = Server(self)
        ann = JsonClient(self, server, keyword=self.keyword, name="ann")
        for i in (1, 2, 3):
            bob = JsonClient(self, server, keyword=self.keyword, name="bob")
            ann.expect("peer", peer=i, name="bob")
            bob.expect("peer", peer=1, name="ann")
            bob.quit()
            ann.expect("peer-left", peer=i, reason="quit")
            bob.expect_end(0)

    def test_server_lost_and_registered_again(self):
        ports = harness.free_udp_ports(2)
        server = Server(self, ports=ports)
        client = JsonClient(self, server, keyword=self.keyword)
        client.expect("registered")
        server.signal(signal.SIGTERM)
        client.expect("server-lost")
        server.expect_exit(0)
        mark = client.mark()
        Server(self, ports=ports)
        client.expect("registered", timeout=20, after=mark)

    def test_nat_is_told_in_the_contracts_words(self):
        """Whatever it says of a machine without a NAT, it says it with one event after `registered`."""
        client = JsonClient(self, Server(self), keyword=self.keyword)
        client.expect("nat", timeout=20)


class Messages(TestCase):
    def test_one_message_and_its_receipt(self):
        ann, bob = pair(self, Server(self))
        ann.say("hi", id=3)
        ann.expect("sent", id=3, peers=[1])
        got = bob.expect("message", text="hi")
        self.assertEqual((got["peer"], got["name"], got["id"]), (1, "ann", 3))
        ann.expect("delivered", id=3, peer=1)
        kinds = [e["event"] for e in ann.events if e.get("id") == 3]
        self.assertEqual(kinds, ["sent", "delivered"])

    def test_text_arrives_exactly(self):
        ann, bob = pair(self, Server(self))
        texts = ["".join(chr(c) for c in range(1, 0x100)), "\x1b]0;title\x07\x1b[2J", "\u202e\u2066 bidi \u200f",
                 "\U0001f600\U0010ffff\ufffe", "a\nb\r\nc\n", "\"quoted\\", " ", "e\u0301\u212b", "\u2028\u2029",
                 "x" * 16384, "\u00e9" * 8192]
        for text in texts:
            ann.say(text)
        bob.expect_texts(texts)

    def test_raw_utf8_and_escapes_are_the_same(self):
        ann, bob = pair(self, Server(self))
        ann.write(b'{"send":"\xc3\xa9\xf0\x9f\x98\x80"}\n{"send":"\\u00e9\\ud83d\\ude00"}\n')
        bob.expect_texts(["\u00e9\U0001f600"] * 2)

    def test_in_order_and_once(self):
        ann, bob = pair(self, Server(self))
        for client in (ann, bob):
            for i in range(1, 501):
                client.say("%s %d" % (client.name, i), id=i)
        for client, other in ((ann, bob), (bob, ann)):
            client.expect("delivered", id=500, timeout=20)
            other.expect("message", text="%s 500" % client.name)
            other.expect_texts(["%s %d" % (client.name, i) for i in range(1, 501)])
            self.assertEqual(len(client.all("delivered")), 500)

    def test_three_people(self):
        server = Server(self)
        ann, bob = pair(self, server)
        carol = JsonClient(self, server, keyword=self.keyword, name="carol")
        for client in (ann, bob):
            client.expect("peer", peer=2, name="carol")
        carol.expect("peer", peer=2)
        ann.say("to all", id=1)
        self.assertCountEqual(ann.expect("sent", id=1)["peers"], [1, 2])
        bob.expect("message", text="to all")
        carol.expect("message", text="to all")
        for peer in (1, 2):
            ann.expect("delivered", id=1, peer=peer)

    def test_to_one_of_them(self):
        server = Server(self)
        ann, bob = pair(self, server)
        carol = JsonClient(self, server, keyword=self.keyword, name="carol")
        ann.expect("peer", peer=2, name="carol")
        ann.say("for carol", id=1, to=2)
        ann.say("for bob", id=2, to=1)
        ann.say("for both", id=3)
        ann.expect("sent", id=1, peers=[2])
        ann.expect("sent", id=2, peers=[1])
        bob.expect("message", text="for both")
        carol.expect("message", text="for both")
        bob.expect_texts(["for bob", "for both"])
        carol.expect_texts(["for carol", "for both"])
        ann.expect("delivered", id=3, peer=1)
        ann.expect("delivered", id=3, peer=2)
        self.assertEqual(len(ann.all("delivered")), 4)

    def test_to_somebody_who_is_not_here(self):
        ann, bob = pair(self, Server(self))
        bob.quit()
        ann.expect("peer-left", peer=1)
        for number, peer in ((1, 1), (2, 99)):
            ann.say("too late", id=number, to=peer)
            ann.wait_until(lambda: ann.all("failed", id=number) or len(ann.all("error", code="bad-command")) >= number,
                           "refused")
        self.assertEqual(ann.all("delivered"), [])
        ann.command(command="stats")
        ann.expect("stats")

    @slow(3)
    def test_before_anybody_is_there(self):
        server = Server(self)
        ann = JsonClient(self, server, keyword=self.keyword, name="ann")
        ann.say("early", id=1)
        ann.expect("sent", id=1, peers=[])
        # These two come within 2 s of each other, carol after the list has been closed.
        bob = JsonClient(self, server, keyword=self.keyword, name="bob")
        ben = JsonClient(self, server, keyword=self.keyword, name="ben")
        for client in (bob, ben):
            client.expect("message", text="early")
        mark = ann.mark()
        final = ann.expect("sent", after=1 + ann.events.index(ann.expect("sent", id=1)), id=1)
        self.assertCountEqual(final["peers"], [1, 2])
        carol = JsonClient(self, server, keyword=self.keyword, name="carol")
        ann.expect("peer", name="carol", after=min(mark, ann.mark()))
        ann.say("late", id=2)
        carol.expect("message", text="late")
        carol.expect_texts(["late"])
        for peer in (1, 2):
            ann.expect("delivered", id=1, peer=peer)
        self.assertEqual(len(ann.all("sent", id=1)), 2)

    def test_who_leaves_without_having_it_is_failed(self):
        """bob's output stands still, so he cannot confirm; then he is stopped for good."""
        ann, bob = pair(self, Server(self))
        bob.stdout.pause()
        for i in range(1, 31):
            ann.say("y" * 16000, id=i)
        ann.expect("sent", id=30)
        ann.expect("delivered", id=1)
        bob.signal(signal.SIGTERM)
        ann.expect("peer-left", peer=1, timeout=20)
        ann.wait_until(lambda: len(ann.all("delivered") + ann.all("failed")) == 30, "all settled")
        self.assertTrue(ann.all("failed", peer=1))
        bob.stdout.resume()
        bob.exit_status()  # and all of its output has been read
        settled = {e["id"] for e in ann.all("delivered") + ann.all("failed")}
        self.assertEqual(settled, set(range(1, 31)))
        # What bob wrote may be more than what ann knows of, never less.
        self.assertGreaterEqual(len(bob.texts()), len(ann.all("delivered")))


class Ids(TestCase):
    def test_the_callers(self):
        ann, bob = pair(self, Server(self))
        for number in (7, 1, 2**31, 2**32 + 1, ID_MAX):
            ann.say("number %d" % number, id=number)
            ann.expect("sent", id=number)
            bob.expect("message", id=number, text="number %d" % number)
            ann.expect("delivered", id=number)

    def test_assigned_ones_are_told_and_new(self):
        ann, bob = pair(self, Server(self))
        ann.say("mine", id=1)
        for i in range(5):
            ann.say("yours %d" % i)
        bob.expect("message", text="yours 4")
        ann.wait_until(lambda: len(ann.all("delivered")) == 6, "six receipts")
        told = [e["id"] for e in ann.all("sent")]
        self.assertEqual(len(set(told)), 6)
        self.assertEqual(told[0], 1)
        self.assertEqual([e["id"] for e in bob.all("message")], told)

    def test_assigned_ones_after_the_largest(self):
        ann, bob = pair(self, Server(self))
        ann.say("mine", id=ID_MAX)
        ann.say("yours")
        assigned = ann.wait_until(lambda: [e["id"] for e in ann.all("sent") if e["id"] != ID_MAX], "an id")[0]
        ann.expect("delivered", id=assigned)
        bob.expect_texts(["mine", "yours"])

    def test_a_failure_without_the_callers_id_has_one_too(self):
        ann, _ = pair(self, Server(self))
        ann.say("to a stranger", to=99)
        ann.wait_until(lambda: ann.all("failed") or ann.all("error", code="bad-command"), "refused")
        for failed in ann.all("failed"):
            ann.expect("sent", id=failed["id"])  # which tells the caller what number it got

    def test_the_same_twice_is_accepted_or_refused_but_not_lost(self):
        ann, bob = pair(self, Server(self))
        ann.check_run = bob.check_run = False
        for client in (ann, bob):
            client.say("first", id=5)
            client.say("second", id=5)
            client.say("end", id=6)
        ann.expect("delivered", id=6)
        bob.expect("message", text="end")
        refused = ann.all("error", code="bad-command")
        self.assertEqual(len(ann.all("sent", id=5)) + len(refused), 2)
        bob.expect_texts(["first", "end"] if refused else ["first", "second", "end"])
        self.assertEqual(len(ann.all("delivered", id=5)), len(ann.all("sent", id=5)))


class Commands(TestCase):
    def test_peers(self):
        server = Server(self)
        ann, bob = pair(self, server)
        JsonClient(self, server, keyword=self.keyword, name="carol")
        ann.expect("peer", peer=2)
        ann.command(command="peers")
        peers = ann.expect("peers")["peers"]
        self.assertEqual([(p["peer"], p["name"]) for p in sorted(peers, key=lambda p: p["peer"])],
                         [(1, "bob"), (2, "carol")])
        bob.quit()
        ann.expect("peer-left", peer=1)
        mark = ann.mark()
        ann.command(command="peers")
        self.assertEqual([p["peer"] for p in ann.expect("peers", after=mark)["peers"]], [2])

    def test_peers_of_nobody(self):
        client = JsonClient(self, Server(self), keyword=self.keyword)
        client.command(command="peers")
        client.expect("peers", peers=[])

    def test_stats_count(self):
        ann, bob = pair(self, Server(self))
        ann.command(command="stats")
        before = ann.expect("stats")
        mark = ann.mark()
        for i in range(20):
            ann.say("%d" % i, id=100 + i)
        ann.expect("delivered", id=119)
        ann.command(command="stats")
        after = ann.expect("stats", after=mark)
        numbers = {k for k, v in after.items() if type(v) is int}
        self.assertGreaterEqual(len(numbers), 5, after)
        self.assertTrue(any(after[k] > before[k] for k in numbers))
        self.assertTrue(all(after[k] >= 0 for k in numbers))

    def test_verify_is_the_same_on_both_sides(self):
        server = Server(self)
        ann, bob = pair(self, server)
        for client in (ann, bob):
            client.command(command="verify")
        words = ann.expect("verify", peer=1)["words"]
        self.assertEqual(bob.expect("verify", peer=1)["words"], words)
        for word in words:
            self.assertRegex(word, r"^[a-z]{2,8}$")
        # Another session of the same people and keyword has other words.
        carol = JsonClient(self, server, keyword=self.keyword, name="carol")
        ann.expect("peer", peer=2)
        mark = ann.mark()
        ann.command(command="verify")
        self.assertEqual(ann.expect("verify", peer=1, after=mark)["words"], words)
        self.assertNotEqual(ann.expect("verify", peer=2, after=mark)["words"], words)
        del carol

    def test_name(self):
        ann, bob = pair(self, Server(self))
        ann.command(command="name", name="anna \u00e9")
        bob.expect("name", peer=1, name="anna \u00e9")
        ann.say("renamed")
        self.assertEqual(bob.expect("message", text="renamed")["name"], "anna \u00e9")
        bob.command(command="peers")
        self.assertEqual(bob.expect("peers")["peers"][0]["name"], "anna \u00e9")

    def test_a_new_name_is_told_to_who_comes_later(self):
        server = Server(self)
        ann = JsonClient(self, server, keyword=self.keyword, name="ann")
        ann.command(command="name", name="anna")
        ann.expect("registered")
        bob = JsonClient(self, server, keyword=self.keyword, name="bob")
        bob.expect("peer", name="anna")

    def test_ignore(self):
        server = Server(self)
        ann, bob = pair(self, server)
        carol = JsonClient(self, server, keyword=self.keyword, name="carol")
        carol.expect("peer", peer=2)
        bob.expect("peer", peer=2, name="carol")
        ann.expect("peer", peer=2)
        bob.command(command="ignore", peer=1)
        bob.command(command="stats")
        bob.expect("stats")
        mark = bob.mark()
        ann.say("not for bob", id=9)
        carol.expect("message", text="not for bob")
        for peer in (1, 2):  # she does not learn of it
            ann.expect("delivered", id=9, peer=peer)
        carol.say("for bob")
        bob.expect("message", peer=2, text="for bob")
        ann.command(command="name", name="other")
        carol.expect("name", name="other")
        carol.say("more for bob")
        bob.expect("message", text="more for bob")
        self.assertEqual([e for e in bob.events[mark:] if e.get("peer") == 1 and e["event"] in ("message", "name")], [])


class BadLines(TestCase):
    TABLE = (
        b"hello", b"{", b"}", b"[]", b"1", b'"send"', b"null", b"true", b"{}", b"[{\"send\":\"x\"}]",
        b'{"send":"x"', b'{"send":"x"} x', b'{"send":"x"}{"send":"y"}', b'{"send":1}', b'{"send":null}',
        b'{"send":["x"]}', b'{"send":"\\u0000"}', b'{"send":"a\\u0000b"}', b'{"send":"\\ud800"}', b'{"send":"\\udc00"}',
        b'{"send":"\xff"}', b'{"send":"\xc0\xaf"}', b'{"send":"\xed\xa0\x80"}', b'\xff', b'{"send":"x\0"}', b"\0",
        b'{"send":"' + b"x" * 16385 + b'"}', b'{"send":"' + b"\\u00e9" * 8193 + b'"}', b"x" * 300000,
        b'{"send":"x","id":0}', b'{"send":"x","id":-1}', b'{"send":"x","id":1.5}', b'{"send":"x","id":"1"}',
        b'{"send":"x","id":null}', b'{"send":"x","id":9007199254740992}', b'{"send":"x","id":99999999999999999999}',
        b'{"send":"x","id":true}', b'{"send":"x","to":0}', b'{"send":"x","to":-1}', b'{"send":"x","to":"1"}',
        b'{"send":"x","to":1.0}', b'{"send":"x","to":[1]}', b'{"send":"x","to":4294967297}',
        b'{"command":"dance"}', b'{"command":""}', b'{"command":1}', b'{"command":null}', b'{"command":["quit"]}',
        b'{"command":"quit","send":"x"}', b'{"COMMAND":"quit"}', b'{"command":"QUIT"}',
        b'{"command":"name"}', b'{"command":"name","name":1}', b'{"command":"name","name":"a\\nb"}',
        b'{"command":"name","name":"\\u001b[31m"}', b'{"command":"name","name":"' + b"n" * 65 + b'"}',
        b'{"command":"ignore"}', b'{"command":"ignore","peer":"x"}', b'{"command":"ignore","peer":0}',
        b'{"command":"ignore","peer":99}', b'{"command":"ignore","peer":4294967297}',
        b"[" * 5000, b'{"a":' * 5000, b'{"send":"x","send":"y"}',
    )

    def test_each_is_an_error_and_the_client_goes_on(self):
        ann, bob = pair(self, Server(self))
        for i, line in enumerate(self.TABLE):
            with self.subTest(line=line[:60]):
                mark = ann.mark()
                ann.write(line + b"\n")
                ann.command(send="still here", id=i + 1)
                ann.expect("delivered", id=i + 1)
                errors = [e for e in ann.events[mark:] if e["event"] == "error"]
                self.assertEqual([e["code"] for e in errors], ["bad-command"])
                self.assertTrue(errors[0]["text"])
        bob.expect_texts(["still here"] * len(self.TABLE))
        ann.quit()
        ann.expect_end(0)

    def test_white_space_and_line_ends_are_free(self):
        ann, bob = pair(self, Server(self))
        ann.write(b'  { "id" : 4 , "send" : "spaced" }  \r\n')
        bob.expect("message", id=4, text="spaced")

    def test_a_last_line_without_its_end_counts(self):
        ann, bob = pair(self, Server(self))
        ann.write(b'{"send":"no line end"}')
        ann.end_input()
        bob.expect("message", text="no line end")
        ann.expect_end(0)

    def test_bytes_one_by_one(self):
        ann, bob = pair(self, Server(self))
        for byte in json.dumps({"send": "slowly \u00e9"}).encode() + b"\n":
            ann.write(bytes([byte]))
        bob.expect("message", text="slowly \u00e9")


class StalledReader(TestCase):
    def test_is_waited_for_and_reads_on(self):
        """600 KB for one who does not read: what his pipe and credit do not hold stays with the sender, who stays
        well; when he reads on, everything is there, in order, once."""
        ann, bob = pair(self, Server(self))
        bob.stdout.pause()
        count = 40
        for i in range(1, count + 1):
            ann.say("%02d" % i + "s" * 15000, id=i)
        ann.expect("sent", id=count)
        # He still confirms what his pipe has taken, and still speaks.
        ann.expect("delivered", id=1)
        bob.say("not stalled in this direction")
        ann.expect("message", text="not stalled in this direction")
        stalled_at = len(ann.all("delivered"))
        self.assertLess(stalled_at, count // 2)
        bob.stdout.resume()
        ann.expect("delivered", id=count, timeout=20)
        bob.expect("message", id=count, timeout=20)  # it is in his pipe; here it may come a moment later
        bob.expect_texts(["%02d" % i + "s" * 15000 for i in range(1, count + 1)])

    def test_a_full_mailbox_loses_nothing_without_a_word(self):
        """3 MB for a mailbox of 1 MiB: what does not fit waits in the pipe or is failed with a reason."""
        ann, bob = pair(self, Server(self))
        bob.stdout.pause()
        count = 200
        lines = b"".join(b'{"id":%d,"send":"%03d%s"}\n' % (i, i, b"m" * 16000) for i in range(1, count + 1))
        writer = threading.Thread(target=ann.write, args=(lines, 60))
        writer.start()
        self.addCleanup(writer.join)
        ann.wait_until(lambda: len(ann.all("sent")) >= 60, "the mailbox is as good as full")
        self.assertLess(len(ann.all("delivered")), 60)
        bob.stdout.resume()
        ann.wait_until(lambda: len(ann.all("delivered")) + len(ann.all("failed")) == count, "all settled", 60)
        delivered = [e["id"] for e in ann.all("delivered")]
        bob.expect_texts(["%03d" % i + "m" * 16000 for i in delivered])
        self.assertEqual(delivered, sorted(delivered))

    def test_costs_no_memory_beyond_the_mailbox(self):
        """6 MB for one who does not read, twice: the mailbox (1 MiB), the credit (64 KiB) and a few buffers are all that
        it costs either side, and the second time costs nothing more."""
        if harness.TIME_SCALE > 1:
            self.skipTest("a sanitizer keeps what was freed, so its memory says nothing")
        ann, bob = pair(self, Server(self))
        ann_kb, bob_kb = ann.resident_kb(), bob.resident_kb()
        for turn in range(2):
            self.stall(ann, bob, turn)
            self.assertLess(ann.resident_kb() - ann_kb, (2 << 10))
            self.assertLess(bob.resident_kb() - bob_kb, 512)
            bob.stdout.resume()
            ann.wait_until(lambda: self.settled(ann) == (turn + 1) * self.COUNT, "all settled", 60)
            self.assertLess(ann.resident_kb() - ann_kb, (2 << 10))
            self.assertLess(bob.resident_kb() - bob_kb, 512)
            if turn == 0:
                once_kb = ann.resident_kb()
        self.assertLess(ann.resident_kb() - once_kb, 512)

    COUNT = 400

    @staticmethod
    def settled(ann):
        return len(ann.all("delivered")) + len(ann.all("failed"))

    def stall(self, ann, bob, turn):
        before = len(ann.all("sent"))
        bob.stdout.pause()
        lines = b"".join(b'{"id":%d,"send":"%s"}\n' % (turn * self.COUNT + i, b"m" * 16000)
                         for i in range(1, self.COUNT + 1))
        writer = threading.Thread(target=ann.write, args=(lines, 60))
        writer.start()
        self.addCleanup(writer.join)
        ann.wait_until(lambda: len(ann.all("sent")) >= before + 60, "the mailbox is as good as full")


if __name__ == "__main__":
    harness.main()
