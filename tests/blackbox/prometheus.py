"""Asks p2p-server for its metrics, and reads them strictly."""
import http.client
import os
import re

from harness import SOON, Server, reserve_port, scaled
import harness


def request(at, method="GET", path="/metrics", timeout=SOON, body=None):
    """(the answer, its body)"""
    connection = http.client.HTTPConnection(at, timeout=scaled(timeout))
    try:
        connection.request(method, path, body=body)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def scrape(at, timeout=SOON):
    answer, body = request(at, timeout=timeout)
    if answer.status != 200:
        raise ValueError("status %d" % answer.status)
    return parse(body.decode("ascii"))


def reserve_tcp_port():
    """Kept from other tests by nothing but chance, and from their UDP ports."""
    port = reserve_port()
    harness.RESERVED.pop().close()
    return port


class MetricsServer(Server):
    """With --metrics on a free port, which the log tells."""

    def __init__(self, test, *args, metrics="0", **popen):
        super().__init__(test, "--metrics", metrics, *args, **popen)
        self.at = self.wait_stderr(r"event=metrics listening=(\S+)").group(1)

    def request(self, *args, **more):
        return request(self.at, *args, **more)

    def metrics(self, timeout=SOON):
        return scrape(self.at, timeout)

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- a strict reader of the text format 0.0.4 ----

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(r"(%s)(?:\{(%s(?:,%s)*)\})? (\d+(?:\.\d+)?)" % (NAME, LABEL, LABEL))


class Metrics(dict):
    """Sample, as it is written, to value; with the families' types and helps."""

    def __init__(self):
        super().__init__()
        self.types = {}
        self.helps = {}


def parse(text):
    """Raises ValueError for all that is not: HELP, TYPE, then the samples of this name, for each name once."""
    found = Metrics()
    family = None
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    for line in text[:-1].split("\n"):
        head = re.fullmatch(r"# (HELP|TYPE) (%s) (.+)" % NAME, line)
        if head and head.group(1) == "HELP":
            family = head.group(2)
            if family in found.helps:
                raise ValueError("twice: " + line)
            found.helps[family] = head.group(3)
        elif head:
            if head.group(2) != family or family in found.types:
                raise ValueError("not behind its HELP: " + line)
            if head.group(3) not in ("counter", "gauge", "histogram"):
                raise ValueError("no such type: " + line)
            found.types[family] = head.group(3)
        else:
            sample = SAMPLE.fullmatch(line)
            if not sample:
                raise ValueError("no sample: " + line)
            name = sample.group(1)
            if found.types.get(family) == "histogram":
                name = re.sub("_(bucket|sum|count)$", "", name)
            if name != family or family not in found.types:
                raise ValueError("not behind its TYPE: " + line)
            key = line.rsplit(" ", 1)[0]
            if key in found:
                raise ValueError("twice: " + line)
            found[key] = float(sample.group(3))
    check_histograms(found)
    return found


def check_histograms(found):
    for name in (n for n, kind in found.types.items() if kind == "histogram"):
        pattern = re.compile(r'%s_bucket\{le="([^"]+)"\}' % name)
        buckets = [(float(m.group(1)), value) for m, value in ((pattern.fullmatch(k), v) for k, v in found.items()) if m]
        if buckets != sorted(buckets) or buckets[-1][0] != float("inf"):
            raise ValueError(name + ": bounds do not rise to +Inf")
        if [v for _, v in buckets] != sorted(v for _, v in buckets):
            raise ValueError(name + ": not cumulative")
        if found[name + "_count"] != buckets[-1][1] or name + "_sum" not in found:
            raise ValueError(name + ": count or sum is wrong")
