#!/usr/bin/env python3
"""Completion of both programs' options in real shells: bash with bash-completion and zsh in tmux, fish by its own means."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import harness
from harness import ROOT, SOON, TestCase, environment, scaled
from terminal import Tmux

COMPLETIONS = os.path.join(ROOT, "completions")
BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"

# What is typed before Tab, and what the line is then; at the end of what is unique the shells put a space.
CASES = {
    "p2p-client --rel": "p2p-client --relay ",
    "p2p-client --relay n": "p2p-client --relay never ",
    "p2p-client --new --js": "p2p-client --new --json ",
    "p2p-server --log-l": "p2p-server --log-level ",
    "p2p-server --log-level w": "p2p-server --log-level warning ",
    "p2p-server --config /etc/host": "p2p-server --config /etc/host",  # hosts, hostname, host.conf
    "p2p-server --user roo": "p2p-server --user root ",
    "p2p-client-gtk --rel": "p2p-client-gtk --relay ",
    "p2p-client-gtk --relay o": "p2p-client-gtk --relay only ",
}
BASH_CASES = {
    "p2p-client --relay=n": "p2p-client --relay=never ",
    "p2p-client --name=--": "p2p-client --name=--",
    "p2p-server --log-level=w": "p2p-server --log-level=warning ",
}


class Completion(TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp(prefix="p2p-completion-")
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(content)
        return path

    def complete(self, *shell, more=()):
        """Each case on a line of its own: Tab, then the letters DONE, which must stand where the completion ends."""
        pane = Tmux(self).pane(*shell)
        pane.wait_screen(r"(?m)^READY")
        for typed, whole in dict(CASES, **dict(more)).items():
            pane.type(typed)
            pane.key("Tab")
            pane.type("DONE")
            pane.wait_screen("(?m)^READY " + re.escape(whole) + "[^ ]*DONE")
            pane.key("C-u")
            pane.type("clear")
            pane.key("Enter")
            pane.wait(lambda: "DONE" not in pane.screen(), "an empty line")

    @unittest.skipUnless(shutil.which("tmux") and os.path.exists(BASH_COMPLETION), "no tmux or no bash-completion here")
    def test_bash(self):
        # Where `make install` puts them, so that they are loaded when the first Tab asks for them.
        os.mkdir(os.path.join(self.folder, "bash-completion"))
        os.symlink(os.path.join(COMPLETIONS, "bash"), os.path.join(self.folder, "bash-completion", "completions"))
        rc = self.file("bashrc", "PS1='READY '\nexport XDG_DATA_HOME=%s\nclear() { printf '\\e[H\\e[2J\\e[3J'; }\n. %s\n"
                       % (self.folder, BASH_COMPLETION))
        self.complete("bash", "--noprofile", "--rcfile", rc, "-i", more=BASH_CASES)

    @unittest.skipUnless(shutil.which("tmux") and shutil.which("zsh"), "no tmux or no zsh here")
    def test_zsh(self):
        self.file(".zshrc", "PS1='READY '\nfpath=(%s $fpath)\nautoload -U compinit; compinit -u -D\n"
                  "unsetopt list_ambiguous\nclear() { printf '\\e[H\\e[2J\\e[3J' }\n" % os.path.join(COMPLETIONS, "zsh"))
        self.complete("env", "ZDOTDIR=" + self.folder, "zsh", "-d", "-i")

    @unittest.skipUnless(shutil.which("fish"), "no fish here")
    def test_fish(self):
        for typed, whole in CASES.items():
            program = typed.split()[0]
            script = "source %s; complete -C '%s'" % (os.path.join(COMPLETIONS, "fish", program + ".fish"), typed)
            out = subprocess.run(["fish", "--no-config", "-c", script], env=environment(HOME=self.folder), text=True,
                                 timeout=scaled(SOON), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual(out.stderr, "")
            offered = [line.split("\t")[0] for line in out.stdout.splitlines()]
            last = whole.split()[-1]
            self.assertTrue(all(o.startswith(last) for o in offered) and offered, (typed, offered))


if __name__ == "__main__":
    harness.main()
