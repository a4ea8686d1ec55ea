"""What kind of NAT, and hard ones: the part of the second client that docs/protocol.md, section 7, describes.

Like second.py written from that page and proto/p2p.proto alone.
"""
import os
import random
import socket
import struct

UNKNOWN, NO_NAT, INDEPENDENT, ADDRESS, ADDRESS_AND_PORT, PORT_INDEPENDENT = range(6)
PORTS_UNKNOWN, PRESERVED, SEQUENTIAL, RANDOM = range(4)
BEHAVIOURS = ("unknown", "none", "endpoint-independent", "address-dependent", "address-and-port-dependent",
              "port-independent")
PORTS = ("unknown", "preserved", "sequential", "random")

FROM_SAME, FROM_OTHER_PORT, FROM_OTHER_ADDRESS = range(3)

# How well the port of a fresh socket is known beforehand, from worst to best.
NONE, NEAR, ONCE, EXACT = range(4)
CHECKS, PREDICTION, BIRTHDAY = "checks", "prediction", "birthday"

PUNCH_TTL, PUNCH_TTL_MAX = 3, 6
FRESH_SOCKETS = 4
NEAR_MAX = 128          # from one port to the next, of a counter
NEAR_SOCKETS = 25       # that an opener opens towards a prober who counts
ONCE_SOCKETS = 2        # ... who keeps the port for the first destination himself
AIM_STEPS = 13          # to the middle of those that the prober's sockets will get
BIRTHDAY_SOCKETS = 256
BIRTHDAY_PROBES = 1900
AIM_PORTS_MAX = 64
PASSES, PASS_GAP_S = 3, 0.15
PREDICTIONS = 8
KEPT_S = 2.0            # an Aim that cannot be followed yet
OTHERS_TURN_S = 5.0
LEFT_ALONE_S = 600.0


def knowledge(mapping, ports):
    if mapping not in (ADDRESS, ADDRESS_AND_PORT):
        return EXACT
    return {PRESERVED: ONCE, SEQUENTIAL: NEAR}.get(ports, NONE)


def technique(mine, other):
    """Of two (mapping, filtering, ports)."""
    ends = [(knowledge(m, p), f) for m, f, p in (mine, other)]
    if any(k == EXACT and f not in (UNKNOWN, ADDRESS_AND_PORT) for k, f in ends):
        return CHECKS
    worse, better = sorted(k for k, _ in ends)
    if worse == EXACT:
        return CHECKS
    if worse == NONE:
        return BIRTHDAY if better == EXACT else None
    return PREDICTION


def opener_ttl(number):
    return min(PUNCH_TTL_MAX, PUNCH_TTL + (number - 1) // 2)


def burst_gap(n):
    """Between the n-th packet of a birthday and the next."""
    return 0.004 if n < 100 else 0.0022


class Question:
    """A Probe from a socket, asked again until it is answered or that is of no use any more."""

    def __init__(self, client, sock, to=None, answer_from=FROM_SAME, times=3, gap=None):
        self.client, self.sock, self.answer_from, self.left = client, sock, answer_from, times
        self.to = to or client.server
        self.gap = 1.5 * client.rtt + 0.1 if gap is None else gap
        self.observed = None
        self.over_at = self.next = None

    def ask(self, now):
        self.left -= 1
        self.next = now + self.gap
        token = random.getrandbits(63) + 1
        self.client.questions[token] = self
        self.client.send_probe(self.sock, self.to, token, self.answer_from)
        return self

    def tick(self, now):
        if self.observed or self.over_at or now < self.next:
            return
        if self.left:
            self.ask(now)
        else:
            self.over_at = now

    @property
    def done(self):
        return bool(self.observed or self.over_at)


class Nat:
    """Finds out what the client is behind."""

    def __init__(self, client):
        self.client = client
        self.mapping, self.filtering, self.ports, self.step = UNKNOWN, UNKNOWN, PORTS_UNKNOWN, 0
        self.alternate = None
        self.registered_at = self.path_at = None
        self.published = False  # the mapping and ports, of this time
        self.asked = None       # what is going on: (main port, main address, fresh ones, filtering ones)
        self.fresh = []
        self.known_for = None   # the observed IP address that this is of
        self.repeat_at, self.repeat_gap = None, 10.0
        self.urgent = False

    def known(self):
        return self.mapping, self.filtering, self.ports

    def tick(self, now):
        c = self.client
        if not c.observed or self.alternate is None or self.registered_at is None:
            return
        if self.asked:
            if not self.published and all(q.observed for group in self.asked[:3] for q in group):
                self.publish()
            if all(q.done for group in self.asked for q in group):
                self.conclude(now)
            return
        if self.known_for == c.observed[0] and not (self.repeat_at is not None and now >= self.repeat_at):
            return
        if self.urgent or now >= self.may_begin(now):
            self.begin(now)

    def may_begin(self, now):
        c = self.client
        at = self.registered_at + 0.05 + 1.5 * c.rtt
        for s in c.sessions:
            if not s.confirmed:
                at = max(at, s.begun + 3.0)
            elif s.search_until:
                at = max(at, s.search_until + 0.05)
        if self.path_at is not None:
            at = max(at, self.path_at + 1.0)
        return min(at, self.registered_at + 10.0)

    def due(self, now):
        if self.asked or not self.client.observed or self.alternate is None or self.registered_at is None or \
                self.known_for == self.client.observed[0] and self.repeat_at is None:
            return now + 60
        return max(now + 0.01, self.may_begin(now))

    def begin(self, now):
        c = self.client
        self.repeat_at = None
        self.published = False
        self.known_for = c.observed[0]
        self.fresh = [c.fresh_socket() for _ in range(FRESH_SOCKETS)]
        other = self.alternate[0] != c.server[0]
        main = [Question(c, None, (c.server[0], self.alternate[1]))]
        away = [Question(c, None, self.alternate)] if other else []
        ports = [Question(c, sock) for sock in self.fresh]
        filters = [Question(c, self.fresh[0], None, FROM_OTHER_PORT)]
        if other:
            filters.append(Question(c, self.fresh[0], None, FROM_OTHER_ADDRESS))
        self.asked = (main, away, ports, filters)
        for group in self.asked:
            for q in group:
                q.ask(now)

    def publish(self):
        """What peers need first; the filter takes longer, since what it stops can only be waited for."""
        c = self.client
        main, away, ports, _ = self.asked
        before = self.known()
        self.published = True
        seen = main[0].observed
        if seen:
            if c.observed[0] in c.addresses() and c.observed[1] == c.here[1]:
                self.mapping = NO_NAT
            elif seen != c.observed:
                self.mapping = ADDRESS_AND_PORT
            elif not away:
                self.mapping = PORT_INDEPENDENT
            elif away[0].observed:
                self.mapping = ADDRESS if away[0].observed != c.observed else INDEPENDENT
        self.judge_ports([(sock.getsockname()[1], q.observed[1]) for sock, q in zip(self.fresh, ports) if q.observed])
        if self.known() != before:
            c.offer_changed(only_without_path=True)

    def conclude(self, now):
        c = self.client
        self.publish()
        _, away, ports, filters = self.asked
        self.asked = None
        before = self.known()
        if ports[0].observed:
            if filters[-1].observed:
                self.filtering = INDEPENDENT if away else PORT_INDEPENDENT
                if self.mapping == NO_NAT:
                    self.filtering = NO_NAT
            elif filters[0].observed:
                self.filtering = ADDRESS
            else:
                self.filtering = ADDRESS_AND_PORT
        for sock in self.fresh:
            c.close_socket(sock)
        self.fresh = []
        if self.mapping == UNKNOWN and self.repeat_gap <= 160:
            self.repeat_at = now + self.repeat_gap
            self.repeat_gap *= 2
        else:
            c.event("nat", mapping=BEHAVIOURS[self.mapping], filtering=BEHAVIOURS[self.filtering],
                    ports=PORTS[self.ports])
        if self.known() != before:
            c.offer_changed(only_without_path=True)

    def judge_ports(self, pairs):
        """Of (own, outside), in the order in which they were asked."""
        if not pairs:
            return
        if 2 * sum(own == outside for own, outside in pairs) > len(pairs):
            self.ports = PRESERVED
            return
        outside = [port for _, port in pairs]
        steps = [b - a for a, b in zip(outside, outside[1:])]
        near = [s for s in steps if 0 < abs(s) <= NEAR_MAX]
        up, down = [s for s in near if s > 0], [s for s in near if s < 0]
        same = max(up, down, key=len)
        if len(same) >= 2 and len(steps) - len(same) <= 1:
            self.ports = SEQUENTIAL
            self.step = min(same, key=abs)
        else:
            self.ports = RANDOM


class Try:
    """One try of a session: state of one end."""

    def __init__(self, number, how, opener, now):
        self.number, self.how, self.opener, self.begun = number, how, opener, now
        self.sockets = []
        self.questions = []
        self.target = None      # the Aim that we follow
        self.aim_sent = False
        self.ports = None       # those still to be asked: an iterator of (port, time)
        self.next = None
        self.last_probe = None
        self.ends_at = None
        self.asked = self.openers = 0
        self.passes = 0
        self.window = []
        self.guards, self.guard_at, self.harm = [], now, 0


class Tries:
    """The tries of a session."""

    def __init__(self, session):
        self.s, self.c = session, session.c
        self.now = None         # the try that goes on
        self.number = 0         # of the last try
        self.other_stopped = False
        self.kept = None        # an Aim and until when
        self.next_at = None
        self.failed = {CHECKS: 0, PREDICTION: 0, BIRTHDAY: 0}
        self.without_aim = 0
        self.alone_until = 0.0
        self.alone_s = LEFT_ALONE_S
        self.followed = []
        self.challenges = {}    # those of the try: (socket, address)
        self.server_silent = 0

    # ----- what both ends compute

    def how(self):
        s = self.s
        if s.cur or self.c.relay_only or not s.confirmed or not s.peer_observed or not self.c.observed:
            return None
        if self.c.nat.mapping == UNKNOWN or s.peer_nat[0] == UNKNOWN:
            return None
        if s.peer_observed[0] == self.c.observed[0]:
            return None
        how = technique(self.c.nat.known(), s.peer_nat)
        if how in (PREDICTION, BIRTHDAY):
            if self.other_stopped or self.c.router_full:
                return None
        return how

    def wants_link(self):
        return self.how() in (PREDICTION, BIRTHDAY)

    def allowed(self, how):
        return how == CHECKS or self.s.told is not None and self.s.told[0] == self.s.peer_observed[0]

    def mine(self):
        return knowledge(self.c.nat.mapping, self.c.nat.ports)

    def is_opener(self, number):
        mine, other = self.mine(), knowledge(self.s.peer_nat[0], self.s.peer_nat[2])
        return self.s.side == number % 2 if mine == other else mine < other

    def both_rtt(self):
        return self.c.rtt + self.s.peer_rtt

    # ----- time

    def tick(self, now):
        how = self.how()
        self.follow_kept(how, now)
        if self.now:
            if not how or self.now.how != how:
                self.end(now, "over")
            else:
                (self.tick_opener if self.now.opener else self.tick_prober)(now)
            return
        if not how:
            return
        if self.next_at is None:
            self.next_at = self.s.search_end + 0.7 if how == CHECKS else now
            if self.is_opener(1):
                self.next_at += OTHERS_TURN_S
        if now < self.next_at or self.c.trying or how != CHECKS and now < self.alone_until:
            return
        number = self.number + 1
        if self.is_opener(number):
            number += 1
        if not self.is_opener(number):
            self.begin(number, how, now)

    def follow_kept(self, how, now):
        if not self.kept:
            return
        aim, until = self.kept
        if now > until:
            self.kept = None
        elif how and self.allowed(how) and self.c.trying in (None, self):
            self.kept = None
            self.on_aim(aim, now)

    def due(self, now):
        t = self.now
        if not t:
            return now + 60 if self.next_at is None or not self.how() else max(self.next_at, now + 0.01)
        at = [t.ends_at or now + 60]
        if t.next is not None:
            at.append(t.next)
        if t.how == BIRTHDAY:
            at.append(t.guard_at)
        return min(at)

    def start(self, number, how, opener, now):
        self.number = number
        self.c.trying = self
        self.challenges = {}
        self.now = Try(number, how, opener, now)
        self.c.event("try", peer=self.s.number, number=number, technique=how, role="opener" if opener else "prober")

    def end(self, now, result):
        t, self.now = self.now, None
        self.c.trying = None
        self.c.event("try-ended", peer=self.s.number, number=t.number, result=result, sent=t.asked)
        used = {path.sock for path in self.s.paths.values()}
        for sock in t.sockets + [sock for sock, *_ in t.guards]:
            if sock is not None and sock not in used:
                self.c.close_socket(sock)
        if result in ("direct", "over"):
            return
        if not t.opener and t.target is None:
            self.next_at = now + min(600.0, 5.0 * 2 ** self.without_aim)
            self.without_aim += 1
            return
        self.failed[t.how] += 1
        if t.how == CHECKS:
            self.next_at = now + min(60.0, 2.0 * 2 ** (self.failed[CHECKS] - 1))
        else:
            self.next_at = now
            if t.how == BIRTHDAY or self.failed[PREDICTION] % PREDICTIONS == 0:
                self.alone_until = now + self.alone_s
                self.alone_s = min(8 * LEFT_ALONE_S, 2 * self.alone_s)
        if self.is_opener(self.number + 1):
            self.next_at += OTHERS_TURN_S

    # ----- the prober

    def begin(self, number, how, now):
        self.start(number, how, False, now)
        t = self.now
        main = number == 1 and how != CHECKS and self.mine() == EXACT
        sock = None if main else self.c.fresh_socket()
        t.sockets.append(sock)
        t.ends_at = now + 2.0 + 3 * self.both_rtt()
        if main:
            self.send_aim(now, self.c.observed[1])
        elif self.mine() == ONCE:
            self.send_aim(now, sock.getsockname()[1])
        else:
            t.questions.append(Question(self.c, sock).ask(now))

    def tick_prober(self, now):
        t = self.now
        if not t.aim_sent and t.questions and t.questions[0].observed:
            port = t.questions[0].observed[1]
            if self.mine() == NEAR:
                port = (port + AIM_STEPS * self.c.nat.step) % 65536
            self.send_aim(now, port)
        while t.next is not None and t.next <= now:
            self.probe_next(now)
        self.guard(now)
        if self.now and t.ends_at is not None and now >= t.ends_at:
            self.end(now, "failed" if t.target else "no aim")

    def send_aim(self, now, port, stride=0, count=1):
        t = self.now
        t.aim_sent = True
        self.s.aim = {"attempt": t.number, "stride": stride, "count": count,
                      "address": {"ip": socket.inet_aton(self.c.observed[0]), "port": port}}
        self.s.aim_need = True
        self.s.flush(now)

    def sweep(self, aim, now):
        """The opener's answer to our Aim."""
        t = self.now
        if t.target or not t.aim_sent or (aim["count"] == 0) != (t.how == BIRTHDAY) or \
                t.how == CHECKS and aim["count"] != 1:
            return
        if not self.allowed(t.how):
            self.kept = (aim, now + KEPT_S)
            return
        t.target = aim
        if aim["count"] == 0:
            t.window = random.sample(range(1024, 65536), BIRTHDAY_PROBES)
            t.passes = 1
        else:
            first, stride = aim["address"]["port"], aim["stride"]
            ports = [(first + i * stride) % 65536 for i in range(aim["count"])]
            t.window = [port for port in ports if port]
            t.passes = PASSES
        t.ends_at = None
        t.next = now

    def probe_next(self, now):
        t = self.now
        ip = self.s.peer_observed[0]
        if t.how == BIRTHDAY:
            self.ask(t.sockets[0], (ip, t.window[t.asked]), None, now)
            t.asked += 1
            t.next += burst_gap(t.asked)
            more = t.asked < len(t.window)
        else:
            for port in t.window:
                self.ask(t.sockets[0], (ip, port), None, now)
                t.asked += 1
            t.passes -= 1
            t.next += PASS_GAP_S
            more = t.passes > 0
        if not more:
            t.next = None
            t.ends_at = now + 0.3 + 1.25 * self.both_rtt()

    def ask(self, sock, addr, ttl, now):
        challenge = struct.unpack("<Q", os.urandom(8))[0] or 1
        self.challenges[challenge] = (sock, addr)
        self.s.send_punch(("direct", addr, sock), challenge, 0, now, ttl)

    # ----- the opener

    def on_aim(self, aim, now):
        s = self.s
        if aim["stop"]:
            self.other_stopped = True
            self.c.event("stopped", peer=s.number)
            if self.now and self.now.how != CHECKS:
                self.end(now, "stopped")
            return
        if "address" not in aim or aim["attempt"] < self.number:
            return
        addr = self.c.plain_address(aim["address"])
        if not addr or not s.peer_observed or addr[0] != s.peer_observed[0]:
            self.c.event("aim-refused", attempt=aim["attempt"])
            return
        if self.now and self.now.number == aim["attempt"]:
            if not self.now.opener:
                self.sweep(aim, now)
            return
        how = self.how()
        if s.cur:
            return
        if not how or not self.allowed(how) or self.c.trying and self.c.trying is not self:
            self.kept = (aim, now + KEPT_S)
            return
        if not self.is_opener(aim["attempt"]) or aim["attempt"] == self.number:
            return
        if how == CHECKS and aim["count"] != 1:
            return
        if how != CHECKS and now < self.alone_until - 30:
            return
        self.followed = [at for at in self.followed if now - at < 160]
        if len(self.followed) >= 16:
            return
        self.followed.append(now)
        if self.now:
            self.end(now, "over")
        self.open(aim, addr, how, now)

    def open(self, aim, addr, how, now):
        self.start(aim["attempt"], how, True, now)
        t = self.now
        t.target = addr
        mine, other = self.mine(), knowledge(self.s.peer_nat[0], self.s.peer_nat[2])
        count = ONCE_SOCKETS if mine == ONCE else 1
        if how == BIRTHDAY or other == NEAR:
            count = BIRTHDAY_SOCKETS if how == BIRTHDAY else NEAR_SOCKETS
        t.sockets = [self.c.fresh_socket() for _ in range(count)]
        t.openers = count
        if how == BIRTHDAY:
            self.send_aim(now, addr[1], 0, 0)
            t.ends_at = now + 7.0 + 3 * self.both_rtt()
            t.next = now
            return
        if mine in (EXACT, NEAR):
            t.questions.append(Question(self.c, t.sockets[0]).ask(now))
        for sock in t.sockets:
            self.ask(sock, addr, opener_ttl(t.number), now)
            t.asked += 1
        if mine == NEAR:
            t.sockets.append(self.c.fresh_socket())
            t.questions.append(Question(self.c, t.sockets[-1]).ask(now))
        if mine == ONCE:
            first, second = (sock.getsockname()[1] for sock in t.sockets)
            self.opened(now, first, (second - first) % 65536, 2)
        # Until our Aim has gone.
        t.ends_at = t.ends_at or now + 2.0 + 3 * self.both_rtt()

    def opened(self, now, port, stride=0, count=1):
        self.send_aim(now, port, stride, count)
        self.now.ends_at = now + 0.75 + 1.25 * self.both_rtt()

    def tick_opener(self, now):
        t = self.now
        while t.next is not None and t.next <= now:
            self.ask(t.sockets[t.asked], t.target, opener_ttl(t.number), now)
            t.asked += 1
            t.next = t.next + burst_gap(t.asked) if t.asked < len(t.sockets) else None
        if not t.aim_sent and t.questions and all(q.observed for q in t.questions):
            first = t.questions[0].observed[1]
            if len(t.questions) == 1:
                self.opened(now, first)
            else:
                step = self.c.nat.step
                ahead = (t.questions[1].observed[1] - first) * (1 if step > 0 else -1) % 65536
                count = ahead // abs(step) - 1
                if not t.openers <= count <= AIM_PORTS_MAX:
                    count = t.openers + t.openers // 2 + 1
                self.opened(now, (first + step) % 65536, step % 65536, count)
        self.guard(now)
        if self.now and t.ends_at is not None and now >= t.ends_at:
            self.end(now, "failed")

    # ----- the router

    def guard(self, now):
        """During a birthday a fresh socket asks the server every 100 ms; two of them in vain, and it is over."""
        t = self.now
        if t.how != BIRTHDAY or not t.aim_sent:
            return
        if now >= t.guard_at:
            t.guard_at = now + 0.1
            sock = self.c.fresh_socket()
            t.guards.append((sock, Question(self.c, sock, gap=self.c.rtt + 0.05).ask(now)))
        left = []
        for sock, q in t.guards:
            if q.observed:
                t.harm = 0
            elif q.left == 0 and now > q.next + 0.15:
                t.harm += 1
            else:
                left.append((sock, q))
                continue
            self.c.close_socket(sock)
        t.guards = left
        if t.harm >= 2:
            self.c.router_full = True
            self.s.aim = {"attempt": t.number, "stop": 1}
            self.s.aim_need = True
            self.end(now, "router")
            self.s.flush(now)

    # ----- success

    def answered(self, answer, sock, addr):
        """Whether this is the answer to a question of a try."""
        return self.challenges.get(answer) == (sock, addr)

    def direct(self, now):
        if self.now:
            self.end(now, "direct")
