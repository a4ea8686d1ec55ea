#!/usr/bin/env python3
"""p2p-server --metrics from outside: the text, the address, and clients that are slow on purpose."""
import errno
import os
import re
import shutil
import socket
import subprocess
import time
import unittest

import harness
from harness import ROOT, SERVER, SOON, Server, TestCase, run, scaled, slow
from jsonclient import pair
from prometheus import MetricsServer, parse, reserve_tcp_port

CONNECTIONS_MAX = 8  # src/server/metrics_http.h
LIFE_MAX_S = 10


class Reader(TestCase):
    """What reads the text for these tests is strict indeed."""

    GOOD = "# HELP a_total Help.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n"

    def test_it_reads_what_is_right(self):
        self.assertEqual(parse(self.GOOD), {'a_total{b="c"}': 1})

    def test_it_refuses_what_is_not(self):
        for bad in (self.GOOD[:-1], self.GOOD + self.GOOD, self.GOOD.replace("counter", "number"),
                    self.GOOD.replace("a_total{", "b_total{"), self.GOOD.replace("# TYPE a_total counter\n", ""),
                    self.GOOD + 'a_total{b="c"} 2\n', self.GOOD.replace(" 1\n", " one\n"), self.GOOD + "\n",
                    self.GOOD.replace('"c"', '"c\\x"'), self.GOOD.replace("# HELP", "# help"),
                    "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
                    "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n"):
            with self.assertRaises(ValueError, msg=bad):
                parse(bad)


# ---- the server ----

class Text(TestCase):
    def test_what_happens_is_counted(self):
        server = MetricsServer(self)
        before = server.metrics()
        self.assertEqual(before["p2p_server_received_datagrams_total"], 0)
        self.assertLess(abs(before["process_start_time_seconds"] - time.time()), scaled(60))
        _, out, _ = run(self, [SERVER, "--version"])
        self.assertEqual(before['p2p_server_build_info{version="%s"}' % out.split()[1]], 1)

        ann, bob = pair(self, server, "--relay", "only")
        ann.say("hello", id=1)
        bob.expect("message", text="hello")
        ann.expect("delivered", id=1)
        # The first words still went as signals, perhaps.
        server.wait_until(lambda: server.metrics()["p2p_server_links_total"] == 1, "a link")
        ann.say("again", id=2)
        ann.expect("delivered", id=2)
        after = server.metrics()
        self.assertEqual(after['p2p_server_table_used{table="registrations"}'], 2)
        self.assertEqual(after["p2p_server_introductions_total"], 1)
        self.assertGreaterEqual(after["p2p_server_registrations_total"], 2)
        self.assertGreater(after["p2p_server_relayed_bytes_total"], len("again"))
        self.assertEqual(after['p2p_server_decoded_datagrams_total{result="ok"}'],
                         after["p2p_server_received_datagrams_total"])
        self.assertEqual(after["p2p_server_wakeup_datagrams_sum"], after["p2p_server_received_datagrams_total"])
        self.assertGreaterEqual(after["p2p_server_busy_seconds_count"], after["p2p_server_wakeup_datagrams_count"])
        for sample, value in before.items():
            if sample.endswith("_total"):
                self.assertGreaterEqual(after[sample], value)

    def test_what_is_refused_is_counted_by_reason(self):
        server = MetricsServer(self)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for _ in range(5):
                s.sendto(b"not of this protocol", ("127.0.0.1", server.port))
        server.wait_until(lambda: server.metrics()['p2p_server_decoded_datagrams_total{result="protocol"}'] == 5,
                          "five strange datagrams")

    def test_the_documentation_has_all_of_them_and_no_others(self):
        found = MetricsServer(self).metrics()
        with open(os.path.join(ROOT, "docs/operating.md")) as f:
            rows = re.findall(r"^\| `((?:p2p_server|process)_\w+)(?:\{(\w+)\})?` \| (\w+) \| (.+?) \|$", f.read(), re.M)
        documented = {name: (kind, text) for name, _, kind, text in rows}
        self.assertEqual(documented, {name: (kind, found.helps[name]) for name, kind in found.types.items()})
        for name, label, kind, _ in rows:
            used = {l for s in found if s.split("{")[0] == name for l in re.findall(r"(\w+)=\"", s)}
            self.assertEqual(used, {label} if label else set(), name)

    def test_the_documentation_has_every_reason(self):
        found = MetricsServer(self).metrics()
        with open(os.path.join(ROOT, "docs/operating.md")) as f:
            tables = dict(re.findall(r"^\| reason of `(\w+)` \| what \|\n\| --- \| --- \|\n((?:\| .*\n)+)", f.read(), re.M))
        for name in ("p2p_server_refused_total", "p2p_server_dropped_total"):
            documented = re.findall(r"^\| `(\w+)` \|", tables[name], re.M)
            self.assertEqual(sorted(documented),
                             sorted(m.group(1) for m in (re.fullmatch(name + r'\{reason="(\w+)"\}', s) for s in found) if m))

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool_finds_nothing_wrong(self):
        _, body = MetricsServer(self).request()
        checked = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))


class Http(TestCase):
    def test_only_one_page_and_two_methods(self):
        server = MetricsServer(self)
        for method, path, status in (("GET", "/metrics", 200), ("GET", "/metrics?a=b", 200), ("HEAD", "/metrics", 200),
                                     ("GET", "/", 404), ("GET", "/metrics/", 404), ("HEAD", "/x", 404),
                                     ("POST", "/x", 404), ("POST", "/metrics", 405), ("PUT", "/metrics", 405),
                                     ("DELETE", "/metrics", 405), ("OPTIONS", "/metrics", 405)):
            with self.subTest(method=method, path=path):
                answer, body = server.request(method, path, body=b"x" * 5000 if method in ("POST", "PUT") else None)
                self.assertEqual(answer.status, status)
                self.assertEqual(answer.getheader("Connection"), "close")
                self.assertEqual(answer.getheader("Allow"), "GET, HEAD" if status == 405 else None)
                self.assertEqual(len(body), 0 if method == "HEAD" else int(answer.getheader("Content-Length")))
        answer, _ = server.request()
        self.assertEqual(answer.getheader("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")

    @slow(12)  # an unfinished one is only cut in the end
    def test_nonsense_does_no_harm(self):
        server = MetricsServer(self)
        host, port = server.at.rsplit(":", 1)
        for request in (b"\0" * 100, b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 20000,
                        b"GET /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                        b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 5000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"):
            with socket.create_connection((host, int(port)), scaled(LIFE_MAX_S + SOON)) as s:
                try:
                    s.sendall(request)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(4096):
                        continue
                except OSError as error:
                    self.assertIn(error.errno, (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN))
        server.metrics()


class Slow(TestCase):
    def connect(self, at):
        """Does not wait for it to be accepted."""
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.setblocking(False)
        host, port = at.rsplit(":", 1)
        self.assertIn(s.connect_ex((host, int(port))), (0, errno.EINPROGRESS))
        return s

    def drip(self, sockets, byte):
        """One more byte of a request on each; returns those that are still open."""
        alive = []
        for s in sockets:
            try:
                s.send(byte)
                alive.append(s)
            except BlockingIOError:
                alive.append(s)
            except OSError as error:
                self.assertIn(error.errno, (errno.EPIPE, errno.ECONNRESET))
        return alive

    @slow(15)
    def test_clients_that_drip_and_that_do_not_read_hold_up_nobody(self):
        server = MetricsServer(self)
        ann, bob = pair(self, server, "--relay", "only")
        stuck = self.connect(server.at)
        dripping = [self.connect(server.at) for _ in range(CONNECTIONS_MAX - 1)]
        self.drip([stuck], b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        alive = self.drip(dripping, b"GET /metrics HTTP/1.1\r\nX: ")
        began, cpu_began = time.monotonic(), server.cpu_seconds()
        messages = 0
        while alive and time.monotonic() - began < scaled(LIFE_MAX_S + SOON):
            alive = self.drip(alive, b"x")
            messages += 1
            ann.say("while they drip %d" % messages, id=messages)
            bob.expect("message", text="while they drip %d" % messages)
            time.sleep(0.2)  # between two bytes of a slow client
        seconds = time.monotonic() - began
        self.assertEqual(alive, [], "each is cut in the end, however long it drips")
        self.assertGreaterEqual(seconds, LIFE_MAX_S - 1, "and not before its time")
        self.assertGreater(messages, 10)
        self.assertLess(server.cpu_seconds() - cpu_began, 0.2 * seconds, "it waits for them, it does not spin")
        after = server.metrics()
        self.assertLess(after["p2p_server_busy_seconds_sum"], 0.2 * seconds, "and nobody else waits with it")
        self.assertEqual(after['p2p_server_table_used{table="links"}'], 1)

    @slow(12)
    def test_who_waits_behind_them_has_its_turn(self):
        server = MetricsServer(self)
        crowd = [self.connect(server.at) for _ in range(CONNECTIONS_MAX)]
        self.drip(crowd, b"GET /metrics HTTP/1.1\r\n")
        cpu_began = server.cpu_seconds()
        began = time.monotonic()
        server.metrics(timeout=LIFE_MAX_S + SOON)
        seconds = time.monotonic() - began
        self.assertGreater(seconds, 1, "all places were taken")
        self.assertLess(server.cpu_seconds() - cpu_began, 0.2 * seconds, "it waits for them, it does not spin")


class Where(TestCase):
    def test_a_port_alone_is_on_loopback(self):
        for given in ("0", ":0"):
            self.assertRegex(MetricsServer(self, metrics=given).at, r"^127\.0\.0\.1:[1-9]\d*$")
        port = reserve_tcp_port()
        self.assertEqual(MetricsServer(self, metrics=str(port)).at, "127.0.0.1:%d" % port)

    def test_stdout_is_what_it_always_was(self):
        lines = MetricsServer(self).stdout.lines()
        self.assertEqual(len(lines), 3)
        for line in lines[:-1]:
            self.assertRegex(line, r"^listening on udp 127\.0\.0\.1:[1-9]\d*$")
        self.assertEqual(lines[-1], "ready")

    def test_other_addresses_are_warned_of_once(self):
        self.assertNotIn("level=warning", MetricsServer(self).stderr.text())
        server = MetricsServer(self, metrics="0.0.0.0:0")
        server.wait_stderr(r"event=start")
        self.assertEqual(server.stderr.text().count("level=warning event=metrics-exposed"), 1)

    def test_a_port_that_is_taken_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            at = "127.0.0.1:%d" % taken.getsockname()[1]
            status, out, err = run(self, [SERVER, "--listen", "127.0.0.1:0", "--metrics", at])
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"^p2p-server: --metrics: [^\n]*%s[^\n]*in use; [^\n]+\n$" % re.escape(at))

    def test_without_the_option_there_is_no_tcp_socket(self):
        for server, count in ((Server(self), 0), (MetricsServer(self), 1)):
            with open("/proc/net/tcp") as f:
                listening = {l.split()[9] for l in f.readlines()[1:] if l.split()[3] == "0A"}
            held = {os.readlink("/proc/%d/fd/%s" % (server.pid, fd)) for fd in os.listdir("/proc/%d/fd" % server.pid)}
            self.assertEqual(len([i for i in listening if "socket:[%s]" % i in held]), count)

    @unittest.skipUnless(os.getuid() == 0, "only root can become somebody else")
    def test_together_with_user(self):
        MetricsServer(self, "--user", "nobody").metrics()


if __name__ == "__main__":
    harness.main()
