#!/usr/bin/env python3
"""Draws who sent what when: a sequence diagram as SVG, from what tests/sim/trace_meeting.c tells. usage: picture.py TRACE

Time runs down, to scale where something happens; long silences are cut out. The same trace gives the same picture.
"""
import math
import sys
from xml.sax.saxutils import escape

WIDTH = 1040
COLUMNS = {"ann": 205, "ann-nat": 345, "server": 525, "bob-nat": 705, "bob": 845}
TOP, FOOT = 118, 96
PX_PER_MS, BUSY_PX_MAX = 3.4, 1500
SILENCE_MS, CUT_PX = 45, 26  # a longer silence is cut to so much
BUNDLE_MIN, BUNDLE_GAP_MS = 4, 12  # so many of a kind, one soon after the other, are drawn as one

# What is drawn in which colour. Between two of one moment the later row decides.
STYLES = {
    "register": ("#6b7785", "client and server: register, where am I seen"),
    "relay": ("#9556b8", "through the server: introductions, envelopes, relayed text"),
    "aim": ("#d9822b", "through the server: this is where I will come from, that is where I have opened"),
    "opener": ("#a58f70", "opener with a low TTL: opens its own NAT and dies on the way"),
    "refused": ("#d0433b", "punch that the other NAT refuses"),
    "through": ("#2367c4", "punch that gets through"),
    "answer": ("#0f9488", "answer to a punch: the path works"),
    "chat": ("#2e8b2e", "text and its receipt, directly"),
}
SERVER_FRAMES = {"Register", "Registered", "Retry", "Refused", "Probe", "Probed", "Leave"}
WORDS = {"Message": "text", "Ack": "ack", "Receipt": "written", "Punch": "punch", "Answer": "answer", "Sealed": "sealed",
         "Envelope": "envelope", "Aim": "which port"}
EVENTS = {"peer": "opens the envelope", "message": "reads the text"}


# ---- reading ----

class Home:
    def __init__(self, words):
        self.nat, self.core_ms, self.lan_ms = words[2], int(words[3]) / 1000, int(words[4]) / 1000


class Packet:
    def __init__(self, words):
        self.begin_ms, self.source = int(words[2]) / 1000, words[4]
        self.address, self.ttl, self.content = words[5], int(words[7]), words[9]
        self.end_ms, self.fate, self.where = None, None, None

    def ends(self, words):
        self.end_ms, self.fate, self.where = int(words[2]) / 1000, words[3], words[4]

    def style(self):
        frame = self.content.partition(":")[0]
        if frame in SERVER_FRAMES:
            return "register"
        if self.source == "server" or self.where == "server":
            return "aim" if "Aim" in self.content.replace(":", "+").split("+") else "relay"
        if self.fate in ("expired", "lost"):
            return "opener"
        if self.fate != "delivered":
            return "refused"
        parts = self.content.split("+")
        return "answer" if "Answer" in parts else "through" if "Punch" in parts else "chat"

    def label(self):
        frame, _, inside = self.content.partition(":")
        words = [WORDS[part] for part in (inside or frame).split("+") if part in WORDS]
        if WORDS["Aim"] in words:
            words = [WORDS["Aim"]]
        if len(words) > 1:
            words = [word for word in words if word != "ack"]
        if not inside:
            return " + ".join(words) or frame
        return "%s: %s" % (frame, " + ".join(words)) if words else frame


def read(lines):
    homes, packets, events, waited_ms = {}, {}, [], 0
    for line in lines:
        words = line.split()
        if words[0] == "home":
            homes[words[1]] = Home(words)
        elif words[0] == "waited":
            waited_ms = int(words[1]) / 1000
        elif words[0] == "event":
            events.append((int(words[1]) / 1000, words[2], line.split(None, 3)[3].strip()))
        elif words[3] == "sent":
            packets[words[1]] = Packet(words)
        elif words[1] in packets:  # else it is from before
            packets[words[1]].ends(words)
    packets = without_repetitions(packets)
    # The story is over when the last text has been read.
    end = max((at for at, _, text in events if text == "message"), default=math.inf)
    told = [p for p in packets.values() if p.fate and p.begin_ms <= end]
    return homes, waited_ms, told, [e for e in events if e[0] <= end]


def without_repetitions(packets):
    """What a NAT filters is asked for three times; once is enough to look at."""
    first, kept = {}, {}
    for number, p in packets.items():
        asks = p.content == "Probe"
        if not asks and not (p.content == "Probed" and p.fate == "refused"):
            kept[number] = p
        elif p.begin_ms == first.setdefault(p.address if asks else "refused", p.begin_ms):
            kept[number] = p
    return kept


# ---- time to height ----

class Scale:
    def __init__(self, packets, events):
        spans = sorted([(p.begin_ms, p.end_ms) for p in packets] + [(at, at) for at, _, _ in events])
        self.spans = []
        for begin, end in spans:
            if self.spans and begin - self.spans[-1][1] < SILENCE_MS:
                self.spans[-1][1] = max(self.spans[-1][1], end)
            else:
                self.spans.append([begin, end])
        self.px_per_ms = min(PX_PER_MS, BUSY_PX_MAX / max(1, sum(end - begin for begin, end in self.spans)))
        self.tops, y = [], TOP
        for begin, end in self.spans:
            self.tops.append(y)
            y += (end - begin) * self.px_per_ms + CUT_PX
        self.bottom = y - CUT_PX

    def y(self, ms):
        for (begin, end), top in zip(self.spans, self.tops):
            if ms <= end:
                return top + max(0, ms - begin) * self.px_per_ms
        return self.bottom

    def ticks(self):
        """Every 50 ms where something happens."""
        for begin, end in self.spans:
            at = math.ceil(begin / 50) * 50
            while at <= end:
                yield at
                at += 50

    def cuts(self):
        for (_, end), (begin, _), top in zip(self.spans, self.spans[1:], self.tops[1:]):
            yield top - CUT_PX / 2, begin - end


# ---- where an arrow goes ----

def nat_of(person):
    return person + "-nat"


def other(person):
    return {"ann": "bob", "bob": "ann"}[person]


def points(p, homes, scale):
    """[(x, y), ...] of a packet, from where it was sent to where it ended."""
    path, left_ms = [(COLUMNS[p.source], scale.y(p.begin_ms))], p.begin_ms
    if p.source in homes:
        left_ms += homes[p.source].lan_ms
        path.append((COLUMNS[nat_of(p.source)], scale.y(left_ms)))
        if p.where == nat_of(p.source):
            return path
    if p.where == "core":  # so far of the way between the two NATs
        start, goal = path[-1][0], COLUMNS[nat_of(other(p.source))] if p.source in homes else COLUMNS["ann-nat"]
        whole_ms = sum(home.core_ms - home.lan_ms for home in homes.values())
        return path + [(start + (goal - start) * min(0.9, (p.end_ms - left_ms) / whole_ms), scale.y(p.end_ms))]
    if p.where in homes:
        path.append((COLUMNS[nat_of(p.where)], scale.y(p.end_ms - homes[p.where].lan_ms)))
    return path + [(COLUMNS[p.where], scale.y(p.end_ms))]


# ---- drawing ----

def line(path, colour, width=1.4, extra=""):
    text = " ".join("%.1f,%.1f" % point for point in path)
    return '<polyline points="%s" fill="none" stroke="%s" stroke-width="%g" %s/>' % (text, colour, width, extra)


def text(x, y, what, extra=""):
    return '<text x="%.1f" y="%.1f" %s>%s</text>' % (x, y, extra, what)


def arrow_head(path, colour):
    (x0, y0), (x1, y1) = path[-2:]
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
    return '<path d="M0,0 l-8,-3.4 v6.8 z" fill="%s" transform="translate(%.1f,%.1f) rotate(%.1f)"/>' % (
        colour, x1, y1, angle)


def cross(path, colour):
    x, y = path[-1]
    return '<path d="M%.1f,%.1f l7,7 m0,-7 l-7,7" stroke="%s" stroke-width="1.8"/>' % (x - 3.5, y - 3.5, colour)


def label(path, parts):
    """Along the longest leg, beginning where it was sent: each part in the colour of its style."""
    leg = max(zip(path, path[1:]), key=lambda ends: abs(ends[1][0] - ends[0][0]))
    (x0, y0), (x1, y1) = leg
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
    rightwards = x1 >= x0
    length = math.hypot(x1 - x0, y1 - y0)
    along = 14 / length
    x, y = x0 + (x1 - x0) * along, y0 + (y1 - y0) * along
    spans = '<tspan fill="#888"> &amp; </tspan>'.join(
        '<tspan fill="%s">%s</tspan>' % (STYLES[style][0], escape(what)) for style, what in parts)
    return '<text class="label" text-anchor="%s" transform="translate(%.1f,%.1f) rotate(%.1f)" y="-3">%s</text>' % (
        "start" if rightwards else "end", x, y, angle if rightwards else angle - 180, spans)


def draw_one(path, style, delivered):
    colour, width = STYLES[style][0], 2.2 if style in ("through", "answer") else 1.4
    dashed = 'stroke-dasharray="5,3"' if style == "opener" else ""
    return [line(path, colour, width, dashed), arrow_head(path, colour) if delivered else cross(path, colour)]


def unique(parts):
    """Equal ones counted."""
    return [(style, "%d x %s" % (parts.count((style, what)), what) if parts.count((style, what)) > 1 else what)
            for style, what in dict.fromkeys(parts)]


def draw_moment(group, homes, scale):
    """Packets that went the same way at the same time: one arrow."""
    styles = [p.style() for p in group]
    style = max(styles, key=list(STYLES).index)
    path = points(group[0], homes, scale)
    return draw_one(path, style, group[0].fate == "delivered") + [
        label(path, unique([(s, p.label()) for s, p in zip(styles, group)]))]


def draw_bundle(group, homes, scale):
    """Many of a kind, one soon after the other."""
    style, out = group[0].style(), []
    paths = [points(p, homes, scale) for p in group]
    band = " ".join("%.1f,%.1f" % point for point in paths[0] + paths[-1][::-1])
    out.append('<polygon points="%s" fill="%s" opacity="0.13"/>' % (band, STYLES[style][0]))
    for path in paths:
        out += ['<g opacity="0.55">', *draw_one(path, style, group[0].fate == "delivered"), "</g>"]
    return out + [label(paths[0], [(style, "%d x %s" % (len(group), group[0].label()))])]


def bundles(packets):
    """Groups of BUNDLE_MIN or more, and the rest."""
    open_groups, groups = {}, []
    for p in packets:
        key = p.source, p.where, p.fate, p.style()
        group = open_groups.get(key)
        if p.style() in ("register", "relay") or not group or p.begin_ms - group[-1].begin_ms > BUNDLE_GAP_MS:
            group = open_groups[key] = []
            groups.append(group)
        group.append(p)
    many = [group for group in groups if len(group) >= BUNDLE_MIN]
    return many, [p for p in packets if not any(p in group for group in many)]


def moments(packets):
    groups = {}
    for p in packets:
        groups.setdefault((p.source, p.where, p.fate, round(p.begin_ms, 1), round(p.end_ms, 1)), []).append(p)
    return list(groups.values())


def notes(events, scale):
    """Beside each person, what has happened to them; one below the other if they come together."""
    out = []
    for person, x, anchor, dot in (("ann", COLUMNS["ann"] - 14, "end", -4), ("bob", COLUMNS["bob"] + 14, "start", 4)):
        free = 0
        for at, who, what in events:
            words = EVENTS.get(what) or (what.startswith("path: ") and what[6:].partition(" (")[0])
            if who != person or not words:
                continue
            y = max(scale.y(at), free)
            strong = ' font-weight="bold"' if words.startswith(("direct", "relayed")) else ""
            out.append(text(x, y + 4, escape(words), 'class="note" text-anchor="%s"%s' % (anchor, strong)))
            out.append('<circle cx="%d" cy="%.1f" r="2.6" fill="#222"/>' % (COLUMNS[person], scale.y(at)))
            free = y + 13
    return out


def frame(homes, waited_ms, scale):
    out = []
    for at in scale.ticks():
        y = scale.y(at)
        out.append(line([(46, y), (WIDTH - 12, y)], "#eceff2", 1))
        out.append(text(42, y + 3.5, "%g ms" % at if at < 1000 else "%.2f s" % (at / 1000),
                        'class="time" text-anchor="end"'))
    names = {"ann": "ann", "ann-nat": "ann's NAT", "server": "server", "bob-nat": "bob's NAT", "bob": "bob"}
    under = {"ann": "waits for %.0f s" % (waited_ms / 1000), "bob": "comes", "server": "",
             "ann-nat": homes["ann"].nat, "bob-nat": homes["bob"].nat}
    for name, x in COLUMNS.items():
        nat = name.endswith("-nat")
        out.append(line([(x, TOP - 22), (x, scale.bottom + 14)], "#b9c2cb" if nat else "#8a96a3", 5 if nat else 1.5))
        out.append(text(x, TOP - 46, names[name], 'class="name" text-anchor="middle"'))
        out.append(text(x, TOP - 31, escape(under[name]), 'class="note" text-anchor="middle"'))
    for y, ms in scale.cuts():
        out.append('<rect x="0" y="%.1f" width="%d" height="%d" fill="#fff"/>' % (y - 7, WIDTH, 14))
        out.append(text(COLUMNS["server"], y + 4, "%.0f ms of silence" % ms, 'class="time" text-anchor="middle"'))
    return out


def legend(y):
    out = []
    for i, (style, (colour, words)) in enumerate(STYLES.items()):
        x, row = (60, i) if i < 4 else (560, i - 4)
        out += draw_one([(x, y + 17 * row), (x + 38, y + 17 * row)], style, style not in ("opener", "refused"))
        out.append(text(x + 50, y + 17 * row + 4, words, 'class="note"'))
    return out


def draw(lines):
    homes, waited_ms, packets, events = read(lines)
    scale = Scale(packets, events)
    height = scale.bottom + FOOT + 10
    trips = 2 * homes["ann"].core_ms, 2 * homes["bob"].core_ms
    title = "How two get through: ann behind \u201c%s\u201d, bob behind \u201c%s\u201d" % (homes["ann"].nat, homes["bob"].nat)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" font-family="Helvetica, Arial, sans-serif">'
           % (WIDTH, height), "<title>%s</title>" % escape(title),
           "<style>text{font-size:11px;fill:#333} .name{font-size:14px;font-weight:bold} .note{fill:#444}"
           " .time{font-size:10px;fill:#8a96a3} .label{font-size:10px;paint-order:stroke;stroke:#fff;stroke-width:3px}"
           " .title{font-size:15px;font-weight:bold}</style>",
           '<rect width="100%" height="100%" fill="#fff"/>',
           text(20, 26, escape(title), 'class="title"'),
           text(20, 44, "A simulated run. Round trip to the server: %g ms for ann, %g ms for bob; between the two: %g ms. Repeated questions are left out."
                % (*trips, sum(trips)), 'class="note"')]
    out += frame(homes, waited_ms, scale)
    many, single = bundles(packets)
    for group in many:
        out += draw_bundle(group, homes, scale)
    for group in moments(single):
        out += draw_moment(group, homes, scale)
    out += notes(events, scale) + legend(scale.bottom + 42)
    return "\n".join(out + ["</svg>"]) + "\n"


if __name__ == "__main__":
    with open(sys.argv[1]) as trace:
        sys.stdout.write(draw(list(trace)))
