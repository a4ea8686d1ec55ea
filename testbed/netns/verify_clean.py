#!/usr/bin/env python3
"""Looks whether the testbed leaves anything behind, and whether two of them collide. usage: verify_clean.py [NAME]...

Runs e2e.py and testbed.sh as people do: as root, if we are, and as somebody without rights, if user namespaces are
allowed; ends them in the middle by Ctrl-C, by signals and by crashes; and looks for processes, namespaces, interfaces,
mounts and files. The programs are taken from P2P_BUILD (default: build). The last line is "N passed, N failed".
"""
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("P2P_BUILD", "build")
PROGRAMS = ("wan", "p2p-server", "p2p-client")
CANNOT = 75
NOBODY = 65534
WITHIN_S = 20.0   # for a start, and for an end: the kernel takes a moment to empty a namespace
E2E = [HERE + "/e2e.py", "--jobs", "2"]
# The first goes on for 45 s: what is gone before has been ended.
CELLS = ["silence/short-timeout", "pair/symmetric/symmetric"]
TESTBED = HERE + "/testbed.sh"


class Fault(Exception):
    pass


class Scene:
    """Somebody who runs the testbed with a folder of their own; and all that they start, known by a mark."""

    count = 0

    def __init__(self, uid):
        Scene.count += 1
        self.mark = "TESTBED_MARK=%d.%d" % (os.getpid(), Scene.count)
        self.folder = tempfile.mkdtemp(prefix="verify-clean.")
        self.build, self.tmp = self.folder + "/build", self.folder + "/tmp"
        for path in (self.build, self.tmp):
            os.mkdir(path)
        for program in PROGRAMS:
            shutil.copy2(os.path.join(BUILD, program), self.build)
        self.become = []
        if uid is not None:
            for path in (self.folder, self.build, self.tmp):
                os.chown(path, uid, uid)
            self.become = ["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid, "--clear-groups", "--"]
        self.environment = {**os.environ, "P2P_BUILD": self.build, "TMPDIR": self.tmp, "HOME": self.tmp,
                            "PYTHONDONTWRITEBYTECODE": "1", self.mark.partition("=")[0]: self.mark.partition("=")[2]}
        self.before = self.world()

    def start(self, *argv, **environment):
        """As the first of a process group, as a shell does."""
        return subprocess.Popen([*self.become, *argv], env={**self.environment, **environment}, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True)

    def run(self, *argv, **environment):
        child = self.start(*argv, **environment)
        said = child.communicate(timeout=60)[0]
        if child.returncode:
            raise Fault("%s: status %d: %s" % (os.path.basename(argv[0]), child.returncode, said))
        return said

    def world(self):
        """What must be the same at the end."""
        with open("/proc/self/mountinfo") as mounts:
            return {"interfaces": set(os.listdir("/sys/class/net")), "mounts": {line.split()[4] for line in mounts},
                    "names of networks": set(os.listdir("/run/netns")) if os.path.exists("/run/netns") else set(),
                    "files": {os.path.join(at, name) for at, folders, files in os.walk(self.folder)
                              for name in folders + files}}

    def marked(self):
        """{pid: command line} of what we have started and still runs."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % pid, "rb") as environ, open("/proc/%s/cmdline" % pid, "rb") as cmdline:
                    line = cmdline.read().replace(b"\0", b" ").decode("utf-8", "replace")
                    if line and self.mark.encode() in environ.read().split(b"\0"):
                        found[int(pid)] = line
            except OSError:
                pass  # has gone meanwhile, or is somebody else's
        return found

    def wait_for(self, program, count, child):
        """program: also a script, as its interpreter's first argument."""
        def runs(line):
            return program in [os.path.basename(word) for word in line.split(" ")[:2]]

        until = time.monotonic() + WITHIN_S
        while sum(map(runs, self.marked().values())) < count:
            if child.poll() is not None:
                raise Fault("ended too early: status %d: %s" % (child.returncode, child.stdout.read()))
            if time.monotonic() > until:
                raise Fault("%d %s did not start" % (count, program))
            time.sleep(0.02)
        return self.marked()

    def see_that_all_is_gone(self, seen):
        """seen: processes from the middle of it."""
        until = time.monotonic() + WITHIN_S
        while self.marked():
            if time.monotonic() > until:
                raise Fault("left: %s" % [line[:60] for line in self.marked().values()])
            time.sleep(0.02)
        for name, now in self.world().items():
            if now != self.before[name]:
                raise Fault("%s: %s" % (name, sorted(now ^ self.before[name])))
        # A process that is ending has no marks any more, but still its network.
        while held := seen & networks(int(pid) for pid in os.listdir("/proc") if pid.isdigit()):
            if time.monotonic() > until:
                raise Fault("%d networks are still there" % len(held))
            time.sleep(0.02)

    def close(self):
        for pid in self.marked():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.folder)


def networks(pids):
    """The network namespaces of processes, but ours."""
    found = set()
    for pid in pids:
        try:
            found.add(os.stat("/proc/%d/ns/net" % pid).st_ino)
        except OSError:
            pass
    return found - {os.stat("/proc/self/ns/net").st_ino}


# ---- what is tried ----

def ended(scene, end, *statuses):
    """e2e.py, when two cells are in the middle of their chats."""
    child = scene.start(*E2E, *CELLS)
    pids = scene.wait_for("p2p-client", 4, child)
    seen = networks(pids)
    if len(seen) != 1 + 2 * 5:  # e2e.py's; and of each cell its own, and those of wan, server, ann and bob
        raise Fault("%d networks" % len(seen))
    end(child, pids)
    child.communicate(timeout=WITHIN_S)
    if child.returncode not in statuses:
        raise Fault("status %d" % child.returncode)
    scene.see_that_all_is_gone(seen)


def ctrl_c(scene):
    ended(scene, lambda child, _: os.killpg(child.pid, signal.SIGINT), 130)


def sigterm(scene):
    ended(scene, lambda child, _: child.terminate(), 143)


def sigkill(scene):
    ended(scene, lambda child, _: child.kill(), -signal.SIGKILL)


def crash(scene):
    """Not the process that people started, but the one inside that does everything."""
    def end(child, pids):
        inner = [pid for pid, line in pids.items() if pid != child.pid and "python" in line and "e2e.py" in line
                 and "private.sh" not in line]
        os.kill(*inner, signal.SIGKILL)

    ended(scene, end, 128 + signal.SIGKILL, 1)  # unshare of util-linux 2.38 says 1


def standing_killed(scene):
    """A testbed that stands, and whose holder crashes."""
    scene.run(TESTBED, "up", "homes", "linux", "symmetric")
    pids = scene.marked()
    holder = [pid for pid, line in pids.items() if "testbed.sh --hold" in line and "private.sh" not in line]
    os.kill(*holder, signal.SIGKILL)
    for pid in pids:
        wait_gone(pid)
    scene.run(TESTBED, "down")
    scene.see_that_all_is_gone(networks(pids))


def wait_gone(pid):
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    gone = select.select([fd], [], [], WITHIN_S)[0]
    os.close(fd)
    if not gone:
        raise Fault("process %d is still there" % pid)


def interrupted_up(scene):
    """Ctrl-C while a testbed is being built."""
    child = scene.start(TESTBED, "up", "homes", "sequential", "sequential")
    pids = scene.wait_for("internet.sh", 1, child)
    os.killpg(child.pid, signal.SIGINT)
    child.communicate(timeout=WITHIN_S)
    scene.see_that_all_is_gone(networks(pids))


def two_standing(scene):
    """Two testbeds side by side, and cells in two runs of e2e.py beside them; then one goes, and the other stays."""
    for name in ("one", "two"):
        scene.run(TESTBED, "up", "homes", "linux", "linux", P2P_TESTBED=name)
    seen = networks(scene.marked())
    runs = [scene.start(*E2E, "pair/linux/linux") for _ in range(2)]
    for run in runs:
        said = run.communicate(timeout=WITHIN_S)[0]
        if run.returncode or "1 passed, 0 failed" not in said:
            raise Fault(said)
    # What one sends does not show up at the other.
    scene.run(TESTBED, "enter", "ann", *SENDS_ONE_DATAGRAM, P2P_TESTBED="one")
    counts = {name: scene.run(TESTBED, "wan", "counts", P2P_TESTBED=name) for name in ("one", "two")}
    if "198.51.100.1" not in counts["one"] or "198.51.100.1" in counts["two"]:
        raise Fault("they collide: %s" % counts)
    scene.run(TESTBED, "down", P2P_TESTBED="one")
    scene.run(TESTBED, "enter", "ann", "true", P2P_TESTBED="two")
    scene.run(TESTBED, "down", P2P_TESTBED="two")
    scene.see_that_all_is_gone(seen)


SENDS_ONE_DATAGRAM = ["python3", "-c", "import socket; "
                      "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('203.0.113.1', 9))"]


def people():
    """Who is to try it: {name: uid or None}."""
    if os.getuid() != 0:
        return {"me": None}
    return {"root": None, "nobody": NOBODY}


CANNOTS = {CANNOT: "no user namespaces here", 126: "others than root may not read this folder"}


def main():
    wanted = sys.argv[1:]
    passed = failed = skipped = 0
    for who, uid in people().items():
        for trial in (ctrl_c, sigterm, sigkill, crash, interrupted_up, standing_killed, two_standing):
            name = "clean/%s/%s" % (trial.__name__.replace("_", "-"), who)
            if wanted and not any(word in name for word in wanted):
                continue
            began, scene, why = time.monotonic(), Scene(uid), None
            try:
                if uid is not None:
                    tried = subprocess.run([*scene.become, HERE + "/private.sh", "true"], check=False,
                                           stderr=subprocess.DEVNULL).returncode
                    if tried in CANNOTS:
                        skipped += 1
                        print("skip %s: %s" % (name, CANNOTS[tried]), flush=True)
                        continue
                trial(scene)
            except Fault as fault:
                why = str(fault)
            finally:
                scene.close()
            passed, failed = passed + (why is None), failed + (why is not None)
            print("%-4s %-40s %s (%.1f s)" % ("FAIL" if why else "ok", name, why or "nothing is left",
                                              time.monotonic() - began), flush=True)
    print("%d passed, %d failed" % (passed, failed) + (", %d skipped" % skipped if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
