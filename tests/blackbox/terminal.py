"""p2p-client on a terminal: a pseudo-terminal of our own, or a pane of tmux, which shows what a person would see."""
import fcntl
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import tempfile
import termios
import time

import harness
from harness import CLIENT, SOON, Process, Stream, environment, scaled


class TerminalClient(Process):
    """stdin, stdout and stderr are one terminal, which is also the controlling one, so that Ctrl-C works."""

    def __init__(self, test, server, *args, keyword=None, name=None, term="dumb", env=None, mode=("--console",)):
        self.master, slave = pty.openpty()
        test.addCleanup(os.close, self.master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.settings = termios.tcgetattr(self.master)
        argv = ["setsid", "--ctty", CLIENT, "--server", server if isinstance(server, str) else server.address,
                *mode, *args]
        if keyword is not None:
            argv += ["--keyword", keyword]
        if name is not None:
            argv += ["--name", name]
        super().__init__(test, argv, env or environment(TERM=term), stdin=slave, stdout=slave, stderr=slave,
                         start_new_session=False)
        os.close(slave)
        test.remember(self)

    def _open_streams(self):
        self.stdout = Stream(self.master, self.changed)
        return [self.stdout]

    def __str__(self):
        return "p2p-client on a terminal"

    def type(self, text):
        os.write(self.master, text if isinstance(text, bytes) else text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def settings_are_back(self):
        return termios.tcgetattr(self.master) == self.settings

    def wait_screen(self, pattern, timeout=SOON):
        return self.wait_until(lambda: re.search(pattern, self.stdout.text()), "on the screen: " + pattern, timeout)


class Tmux:
    """A tmux server of our own with one window; pane(command) adds a window and returns it."""

    def __init__(self, test, columns=80):
        self.test = test
        self.folder = tempfile.mkdtemp(prefix="p2p-tmux-")
        self.socket = os.path.join(self.folder, "socket")
        self.run("-f", "/dev/null", "new-session", "-d", "-s", "test", "-x", str(columns), "-y", "24", "cat")
        harness.LIVE.add(self)
        test.addCleanup(self.kill)

    def run(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, *arguments], check=True, timeout=scaled(SOON), text=True,
                              env=environment(TERM="xterm-256color"), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE).stdout

    def kill(self):
        harness.LIVE.discard(self)
        try:
            self.run("kill-server")
        finally:
            shutil.rmtree(self.folder, True)

    def pane(self, *argv):
        """The shell around the program says its status on the screen: tmux 3.3 sometimes does not know it."""
        script = 'trap : INT; "$@"; printf "\\nstatus %d\\n" $?; exec cat'
        command = shlex.join(["sh", "-c", script, "sh", *argv])
        return Pane(self, self.run("new-window", "-d", "-P", "-F", "#{pane_id}", command).strip())

    def client(self, server, *args, env=()):
        return self.pane("env", *env, CLIENT, "--console", "--server", server.address, *args)


class Pane:
    def __init__(self, tmux, pane):
        self.tmux = tmux
        self.pane = pane

    def screen(self):
        return self.tmux.run("capture-pane", "-p", "-S", "-", "-t", self.pane)

    def type(self, text):
        self.tmux.run("send-keys", "-t", self.pane, "-l", text)

    def key(self, name):
        self.tmux.run("send-keys", "-t", self.pane, name)

    def wrapped_by_terminal(self):
        """The rows that the terminal had to break, with what it put on the next ones."""
        def rows(*joined):
            out = self.tmux.run("capture-pane", "-p", *joined, "-S", "-", "-t", self.pane)
            return [row.rstrip() for row in out.splitlines()]
        return [row for row in rows("-J") if row not in rows()]

    def paste(self, text):
        """As a terminal does it that knows bracketed paste, if the program has asked for that."""
        self.tmux.run("load-buffer", harness.scratch_file(self.tmux.test, text.encode()))
        self.tmux.run("paste-buffer", "-p", "-t", self.pane)

    def wait(self, condition, what):
        """tmux cannot call back: it is asked again and again until the deadline."""
        deadline = time.monotonic() + scaled(SOON)
        while not condition():
            if time.monotonic() > deadline:
                self.tmux.test.fail("not within %g s: %s; on the screen:\n%s" % (scaled(SOON), what, self.screen()))
            time.sleep(0.05)

    def wait_screen(self, pattern):
        self.wait(lambda: re.search(pattern, self.screen()), pattern)

    def wait_status(self, status):
        self.wait_screen(r"(?m)^status %d$" % status)
