"""Two real clients that have found each other and have nothing to say, and what they cost."""
import json
import os
import selectors
import subprocess
import time

from programs import READY_MAX_S, Failure, end, server


def settled(said):
    """Has it a peer, by a direct path?"""
    return any(e["event"] == "path" and e["path"] in ("direct", "lan") for e in said)


def wakeups(pid):
    """How often its threads have waited: voluntary context switches."""
    count = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, thread)) as file:
            count += sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))
    return count


def resident_kib(pid):
    with open("/proc/%d/status" % pid) as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


class Pair:
    def __init__(self, build, idle):
        self.processes, self.said = [], {}
        self.selector = selectors.DefaultSelector()
        self.server = server([os.path.join(build, "p2p-server"), "--listen", "127.0.0.1:0", "--log-level", "error"])
        port, _ = self.server.__enter__()
        try:
            for name in ("ann", "bob"):
                self._start([os.path.join(build, "p2p-client"), "--json", "--keyword", "quiet-otter-lagoon", "--name", name,
                             "--server", "127.0.0.1:%d" % port])
            clients = list(self.said)
            self._read(READY_MAX_S, lambda: all(settled(self.said[c]) for c in clients))
            if not all(settled(self.said[c]) for c in clients):
                raise Failure("two clients on this machine have found no direct path")
            self._start([idle])
            self.before = [wakeups(p.pid) for p in self.processes]
        except BaseException:
            self.end()
            raise

    def _start(self, argv):
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        if "--json" in argv:
            self.said[process] = []
            self.selector.register(process.stdout, selectors.EVENT_READ, process)
        elif process.stdout.readline() != b"ready\n":
            raise Failure("%s did not start" % argv[0])

    def _read(self, seconds, enough=lambda: False):
        deadline = time.monotonic() + seconds
        while not enough() and time.monotonic() < deadline:
            for key, _ in self.selector.select(max(0, deadline - time.monotonic())):
                line = key.fileobj.readline()
                if not line:
                    raise Failure("a client ended: %s" % self.said[key.data][-1:])
                self.said[key.data].append(json.loads(line))

    def watch(self, seconds):
        self._read(seconds)

    def used(self):
        """([each client], bare program): wake-ups since the beginning, resident memory now."""
        all_of_them = [{"wakeups": wakeups(p.pid) - before, "resident_kib": resident_kib(p.pid)}
                       for p, before in zip(self.processes, self.before)]
        return all_of_them[:2], all_of_them[2]

    def end(self):
        for process in self.processes:
            end(process)
            process.stdin.close()
            process.stdout.close()
        self.selector.close()
        self.server.__exit__(None, None, None)
