#!/usr/bin/env python3
"""What a listener on the network sees: neither keyword nor text, names or private addresses."""
import select
import socket
import threading
import unittest

import harness
from forwarder import Forwarder
from harness import PipeClient, Server, TestCase, fresh_keyword
from jsonclient import JsonClient

PROTOCOL_WORD = b"\x0dP2P1"  # field 1, fixed32: what every datagram of ours begins with


class Sniffer:
    """Every packet on the loopback interface, whoever sends it."""

    def __init__(self, test):
        self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.raw.bind(("lo", 0))
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self.packets = []
        self.stopping = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        test.addCleanup(self.stop)

    def _read(self):
        while not self.stopping:
            if select.select([self.raw], [], [], 0.1)[0]:
                self.packets.append(self.raw.recv(65536))

    def stop(self):
        if not self.stopping:
            self.stopping = True
            self.thread.join()
            self.raw.close()


def may_sniff():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
        return True
    except (OSError, AttributeError):
        return False


def own_addresses():
    """Packed addresses of this machine that a client might tell a peer, loopback included."""
    found = {socket.inet_aton("127.0.0.1")}
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            try:
                s.connect((target, 9))  # sends nothing: asks the system which address it would use
                found.add(socket.inet_pton(family, s.getsockname()[0]))
            except OSError:
                pass
    return found


class Wire(TestCase):
    def chat(self, address, *args):
        """A chat with a text in each direction; returns what must not be seen."""
        text, name = "t" + fresh_keyword(), "n" + fresh_keyword()
        # ann types before anybody is there: her text travels with the first packet that can carry it.
        ann = JsonClient(self, address, *args, keyword=self.keyword, name=name)
        ann.say(text, id=1)
        bob = JsonClient(self, address, *args, keyword=self.keyword, name=name + "2")
        bob.expect("message", text=text)
        ann.expect("delivered", id=1, peer=1)
        for i in range(20):
            bob.say(text + " again", id=100 + i)
        bob.say(text * 500, id=200)
        bob.expect("delivered", id=200)
        bob.command(command="verify")
        words = bob.expect("verify")["words"]
        bob.quit()
        bob.expect_end(0)
        ann.quit()
        ann.expect_end(0)
        return [self.keyword, text, name, "-".join(words)]

    def spellings(self, secret):
        raw = secret.encode()
        return [raw, raw.upper(), raw.hex().encode(), raw[:10], raw[-10:], secret.encode("utf-16-le")]

    def assert_unseen(self, secrets, datagrams):
        everything = b"\n".join(datagrams)
        for secret in secrets:
            for spelling in self.spellings(secret):
                self.assertNotIn(spelling, everything, secret)

    def assert_no_addresses(self, datagrams):
        """An Address has its ip as field 1: tag and length stand in front of it, so that this is no chance hit."""
        everything = b"\n".join(datagrams)
        for ip in own_addresses():
            self.assertNotIn(bytes([0x0A, len(ip)]) + ip, everything)
            self.assertNotIn(bytes([0x0A, len(ip)]) + ip[::-1], everything)
        self.assertNotRegex(everything, rb"127\.0\.0\.1|::1")

    def assert_ours(self, datagrams):
        self.assertGreater(len(datagrams), 4)
        for d in datagrams:
            self.assertTrue(d.startswith(PROTOCOL_WORD), d[:32])
            self.assertLessEqual(len(d), 1200)

    def test_between_clients_and_server(self):
        forwarder = Forwarder(self, Server(self).port)
        secrets = self.chat(forwarder.address)
        for datagrams in (forwarder.to_server, forwarder.to_clients):
            self.assert_ours(datagrams)
            self.assert_unseen(secrets, datagrams)
            self.assert_no_addresses(datagrams)

    def test_when_everything_is_relayed(self):
        forwarder = Forwarder(self, Server(self).port)
        secrets = self.chat(forwarder.address, "--relay", "only")
        for datagrams in (forwarder.to_server, forwarder.to_clients):
            self.assert_ours(datagrams)
            # The long text went through here, so it was here to be seen.
            self.assertGreater(sum(len(d) for d in datagrams), 500 * len(secrets[1]))
            self.assert_unseen(secrets, datagrams)
            self.assert_no_addresses(datagrams)

    def test_in_room_form_the_server_sees_the_number_only(self):
        forwarder = Forwarder(self, Server(self).port)
        words = fresh_keyword()
        self.keyword = "4711-" + words
        secrets = self.chat(forwarder.address)
        self.assert_unseen([*secrets, words], forwarder.datagrams())
        # room (field 5) of Register: what the server may see.
        self.assertTrue(any(bytes([0x28]) + b"\xe7\x24" in d for d in forwarder.to_server))

    def test_a_wrong_guess_learns_no_address(self):
        """A stranger in the same room exchanges envelopes with us; no address is in clear in any of them."""
        forwarder = Forwarder(self, Server(self).port)
        ann = JsonClient(self, forwarder.address, keyword="4712-" + self.keyword, name="ann")
        ann.expect("registered")
        stranger = JsonClient(self, forwarder.address, keyword="4712-" + fresh_keyword(), name="stranger")
        stranger.expect("registered")
        friend = JsonClient(self, forwarder.address, keyword="4712-" + self.keyword, name="friend")
        friend.expect("peer", name="ann")
        ann.expect("peer", name="friend")
        self.assert_unseen([self.keyword], forwarder.datagrams())
        self.assert_no_addresses(forwarder.datagrams())
        self.assertEqual(stranger.all("peer"), [])

    @unittest.skipUnless(may_sniff(), "only root can listen to an interface")
    def test_direct_paths_are_sealed_too(self):
        sniffer = Sniffer(self)
        server = Server(self)
        secrets = self.chat(server.address)
        # The rig sees what is in clear: a control in the same stream.
        control = fresh_keyword()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(control.encode(), ("127.0.0.1", server.port))
        server.wait_until(lambda: any(control.encode() in p for p in list(sniffer.packets)), "the control packet")
        sniffer.stop()
        self.assert_unseen(secrets, sniffer.packets)

    def test_the_rig_sees_what_is_in_clear(self):
        forwarder = Forwarder(self, Server(self).port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(self.keyword.encode() + b"\x0a\x04" + socket.inet_aton("127.0.0.1"),
                     (forwarder.address.split(":")[0], int(forwarder.address.split(":")[1])))
        client = PipeClient(self, forwarder.address, keyword=fresh_keyword())
        client.wait_until(lambda: len(forwarder.to_server) > 1, "datagrams")
        with self.assertRaises(AssertionError):
            self.assert_unseen([self.keyword], forwarder.to_server)
        with self.assertRaises(AssertionError):
            self.assert_no_addresses(forwarder.to_server)


if __name__ == "__main__":
    harness.main()
