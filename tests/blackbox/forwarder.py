"""A relay of datagrams between clients and server, in our hands: it listens, loses, repeats, and changes ports."""
import random
import select
import socket
import threading


class Forwarder:
    """Gives each client a port of its own towards the server and keeps every byte. Each datagram is lost with
    probability `loss` and sent twice with `twice`."""

    def __init__(self, test, server_port, loss=0.0, twice=0.0):
        self.server = ("127.0.0.1", server_port)
        self.loss, self.twice = loss, twice
        self.dice = random.Random(4)
        self.front = self._socket()
        self.backs = {}  # client -> our socket that speaks for it
        self.to_server, self.to_clients = [], []
        self.stopping = self.rebinding = False
        self.thread = threading.Thread(target=self._forward, daemon=True)
        self.thread.start()
        test.addCleanup(self.stop)
        self.address = "127.0.0.1:%d" % self.front.getsockname()[1]

    @staticmethod
    def _socket():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        s.setblocking(False)
        return s

    def _pass_on(self, s, data, to):
        for _ in range(2 if self.dice.random() < self.twice else 1):
            if self.dice.random() >= self.loss:
                s.sendto(data, to)

    def _take(self, s):
        try:
            data, source = s.recvfrom(65536)
        except OSError:  # a refusal of the other side, told by ICMP
            return
        if s is self.front:
            self.to_server.append(data)
            if source not in self.backs:
                self.backs[source] = self._socket()
            self._pass_on(self.backs[source], data, self.server)
        else:
            client = next(c for c, back in self.backs.items() if back is s)
            self.to_clients.append(data)
            self._pass_on(self.front, data, client)

    def _forward(self):
        while not self.stopping:
            for s in select.select([self.front, *self.backs.values()], [], [], 0.05)[0]:
                self._take(s)
            if self.rebinding:
                for client, back in self.backs.items():
                    back.close()
                    self.backs[client] = self._socket()
                self.rebinding = False

    def rebind(self):
        """As a NAT that forgets: from now on every client comes from another port, and its old one is dead."""
        self.rebinding = True

    def stop(self):
        self.stopping = True
        self.thread.join()
        for s in (self.front, *self.backs.values()):
            s.close()

    def datagrams(self):
        return self.to_server + self.to_clients
