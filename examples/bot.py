#!/usr/bin/env python3
"""A bot in a room: greets who comes, answers !time and !who, echoes what is said to it as "bot: ...".

    python3 bot.py --server chat.example.org --keyword-file ~/.p2p-keyword

Everything behind bot.py goes to `p2p-client --json`: one JSON object a line, events out, commands in. Ctrl-C or !quit
ends it. P2P_CLIENT names the program if it is not in the PATH.
"""
import json
import os
import signal
import subprocess
import sys
import time

NAME = "bot"


class Bot:
    def __init__(self, arguments):
        program = os.environ.get("P2P_CLIENT", "p2p-client")
        try:
            self.client = subprocess.Popen([program, "--json", "--name", NAME, *arguments], text=True, encoding="utf-8",
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            sys.exit("bot.py: cannot start %s: %s; P2P_CLIENT names it if it is not in the PATH" % (program, error.strerror))
        self.names = {}  # by number: two people may have the same name, no two ever have the same number

    def command(self, **fields):
        if not self.client.stdin.closed:
            self.client.stdin.write(json.dumps(fields) + "\n")
            self.client.stdin.flush()

    def answer(self, text, peer):
        if text == "!time":
            self.command(send=time.strftime("%H:%M:%S %Z"), to=peer)
        elif text == "!who":
            self.command(send=", ".join(sorted(self.names.values())), to=peer)
        elif text == "!quit":
            self.client.stdin.close()  # leaves when all is delivered; {"command": "quit"} would leave now
        elif text.startswith(NAME + ": "):
            self.command(send=text.removeprefix(NAME + ": "))  # without "to": to everybody

    def event(self, event):
        kind = event["event"]
        if kind in ("peer", "name"):
            self.names[event["peer"]] = event["name"]
        if kind == "peer":
            self.command(send="hello %s; I know !time, !who and !quit" % event["name"], to=event["peer"])
        elif kind == "peer-left":
            del self.names[event["peer"]]
        elif kind == "message":
            self.answer(event["text"], event["peer"])
        elif kind in ("warning", "error", "keyword"):
            print(event.get("text") or event["command"], file=sys.stderr)

    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM):  # the client says goodbye, and ends what we read
            signal.signal(number, lambda *_: self.client.terminate())
        for line in self.client.stdout:
            self.event(json.loads(line))
        return self.client.wait()


if __name__ == "__main__":
    sys.exit(Bot(sys.argv[1:]).run())
