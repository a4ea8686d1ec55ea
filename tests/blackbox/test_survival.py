#!/usr/bin/env python3
"""A killed server, a killed or sleeping peer: the chat goes on, and what cannot go on is said."""
import signal
import time

import harness
from forwarder import Forwarder
from harness import PipeClient, Server, TestCase, free_udp_ports, fresh_keyword, scaled, slow
from jsonclient import JsonClient, pair

BACK = 20  # seconds after a server's return until everybody who waits is found again


class ServerKilled(TestCase):
    @slow(25)
    def test_a_direct_chat_goes_on_and_waiting_clients_are_found_again(self):
        ports = free_udp_ports(2)
        server = Server(self, ports=ports)
        ann, bob = pair(self, server)
        for client in (ann, bob):
            client.expect("path", path="lan")
        lonely_keyword = fresh_keyword()
        lonely = JsonClient(self, server, keyword=lonely_keyword, name="lonely")
        piped = PipeClient(self, server, keyword=lonely_keyword + "2", name="piped")
        piped.send("typed before")
        lonely.expect("registered")
        server.kill()
        for i in range(1, 11):
            for sender, receiver in ((ann, bob), (bob, ann)):
                sender.say("without a server %d" % i, id=i)
                receiver.expect("message", text="without a server %d" % i)
                sender.expect("delivered", id=i)

        Server(self, ports=ports)
        friend = JsonClient(self, server, keyword=lonely_keyword, name="friend")
        taker = JsonClient(self, server, keyword=lonely_keyword + "2", name="taker")
        carol = JsonClient(self, server, keyword=self.keyword, name="carol")
        lonely.expect("peer", timeout=BACK, name="friend")
        friend.expect("peer", name="lonely")
        taker.expect("message", timeout=BACK, name="piped", text="typed before")
        carol.wait_until(lambda: len(carol.all("peer")) == 2, "carol finds both", BACK)
        for client in (ann, bob):
            client.expect("peer", timeout=BACK, peer=2, name="carol")
        carol.say("and here I am", id=1)
        for client in (ann, bob):
            client.expect("message", peer=2, text="and here I am")
            self.assertEqual(len(client.all("peer")), 2, "the old session is the same one")
            self.assertEqual(client.all("peer-left"), [])
        self.assertEqual(sorted(carol.expect("sent", id=1)["peers"]), [1, 2])

    @slow(45)
    def test_a_long_absence_is_said_and_ended(self):
        ports = free_udp_ports(2)
        server = Server(self, ports=ports)
        client = JsonClient(self, server, keyword=self.keyword, name="waiting")
        client.expect("registered")
        mark = client.mark()
        server.kill()
        client.expect("server-lost", timeout=30, after=mark)
        Server(self, ports=ports)
        client.expect("registered", timeout=BACK, after=mark)
        JsonClient(self, server, keyword=self.keyword, name="newcomer")
        client.expect("peer", peer=1, name="newcomer")

    @slow(20)
    def test_a_relayed_chat_waits_and_goes_on(self):
        ports = free_udp_ports(2)
        server = Server(self, ports=ports)
        ann, bob = pair(self, server, "--relay", "only")
        ann.say("before", id=1)
        ann.expect("delivered", id=1)
        server.kill()
        for i in range(2, 12):
            ann.say("while it is away %d" % i, id=i)
            bob.say("while it is away %d" % i, id=i)
        Server(self, ports=ports)
        for sender, receiver in ((ann, bob), (bob, ann)):
            sender.expect("delivered", id=11, timeout=BACK)
            before = ["before"] if sender is ann else []
            receiver.expect_texts(before + ["while it is away %d" % i for i in range(2, 12)])
            self.assertEqual(len(sender.all("peer")), 1)
            self.assertEqual(sender.all("peer-left"), [])


class Peers(TestCase):
    @slow(75)
    def test_a_killed_peer_is_gone_after_a_minute(self):
        ann, bob = pair(self, Server(self))
        ann.say("taken", id=1)
        ann.expect("delivered", id=1)
        bob.kill()
        killed_at = time.monotonic()
        ann.say("never taken", id=2)
        ann.expect("sent", id=2, peers=[1])
        ann.expect("peer-left", timeout=90, peer=1, reason="timeout")
        self.assertGreater(time.monotonic() - killed_at, 45)
        ann.expect("failed", id=2, peer=1)
        self.assertEqual(ann.all("delivered", id=2), [])
        ann.quit()
        ann.expect_end(1)

    @slow(10)
    def test_a_peer_killed_and_started_again_is_a_new_one(self):
        server = Server(self)
        ann, bob = pair(self, server)
        bob.kill()
        again = JsonClient(self, server, keyword=self.keyword, name="bob")
        ann.expect("peer", timeout=BACK, peer=2, name="bob")
        ann.say("to the new one", id=1, to=2)
        again.expect("message", text="to the new one")
        ann.expect("delivered", id=1, peer=2)

    @slow(8)
    def test_a_stopped_program_goes_on_where_it_was(self):
        ann, bob = pair(self, Server(self))
        for client in (ann, bob):
            client.expect("path", path="lan")
        bob.signal(signal.SIGSTOP)
        for i in range(1, 51):
            ann.say("while he sleeps %d" % i, id=i)
        time.sleep(scaled(5))  # the pause is the test, nothing is waited for
        self.assertEqual(ann.all("delivered"), [])
        bob.signal(signal.SIGCONT)
        ann.expect("delivered", id=50, timeout=20)
        bob.expect_texts(["while he sleeps %d" % i for i in range(1, 51)])
        self.assertEqual(len(ann.all("peer")), 1)

    @slow(8)
    def test_a_stopped_server_disturbs_no_direct_chat(self):
        server = Server(self)
        ann, bob = pair(self, server)
        for client in (ann, bob):
            client.expect("path", path="lan")
        server.signal(signal.SIGSTOP)
        for i in range(1, 21):
            ann.say("%d" % i, id=i)
            ann.expect("delivered", id=i)
        server.signal(signal.SIGCONT)
        JsonClient(self, server, keyword=self.keyword, name="carol")
        ann.expect("peer", timeout=BACK, name="carol")


class Network(TestCase):
    @slow(20)
    def test_a_fifth_lost_and_some_twice(self):
        """Of what one sends the other, 19 %: 10 % on the way to the server, where all goes, and 10 % from it."""
        forwarder = Forwarder(self, Server(self).port, loss=0.1, twice=0.1)
        ann = JsonClient(self, forwarder.address, "--relay", "only", keyword=self.keyword, name="ann")
        bob = JsonClient(self, forwarder.address, "--relay", "only", keyword=self.keyword, name="bob")
        for client in (ann, bob):
            client.expect("peer", timeout=30)
        for i in range(1, 51):
            for client in (ann, bob):
                client.say("%s %d" % (client.name, i), id=i)
        ann.say("x" * 16384, id=51)
        ann.expect("delivered", id=51, timeout=60)
        bob.expect("delivered", id=50, timeout=60)
        bob.expect_texts(["ann %d" % i for i in range(1, 51)] + ["x" * 16384])
        ann.expect_texts(["bob %d" % i for i in range(1, 51)])

    @slow(20)
    def test_a_nat_that_forgets(self):
        forwarder = Forwarder(self, Server(self).port)
        ann, bob = pair(self, forwarder, "--relay", "only")
        ann.say("before", id=1)
        ann.expect("delivered", id=1)
        forwarder.rebind()
        ann.wait_until(lambda: not forwarder.rebinding, "other ports")
        for client in (ann, bob):
            client.say("after", id=2)
        for client in (ann, bob):
            client.expect("delivered", timeout=BACK, id=2)
            self.assertEqual(len(client.all("peer")), 1)
            self.assertEqual(client.all("peer-left"), [])
        JsonClient(self, forwarder.address, keyword=self.keyword, name="carol")
        ann.expect("peer", timeout=BACK, name="carol")


if __name__ == "__main__":
    harness.main()
