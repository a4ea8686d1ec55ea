#!/usr/bin/env python3
"""A full room of real programs: sixteen processes and a server on one machine."""
import harness
from harness import Server, TestCase
from jsonclient import JsonClient

ROOM = 16
PATIENCE = 40.0  # seconds for what sixteen processes do at once, on a machine that has other things to do


class FullRoom(TestCase):
    def fill(self, server):
        people = [JsonClient(self, server, keyword=self.keyword, name="p%d" % i) for i in range(ROOM)]
        everybody = {"p%d" % i for i in range(ROOM)}
        for i, client in enumerate(people):
            others = everybody - {"p%d" % i}
            client.wait_until(lambda: {e["name"] for e in client.all("peer")} == others, "all the others", PATIENCE)
        return people

    def check_all_hear_all(self, people, what):
        for i, client in enumerate(people):
            client.say("%s, says p%d" % (what, i), id=client.mark() + 1)
        for i, client in enumerate(people):
            expected = sorted("%s, says p%d" % (what, k) for k in range(len(people)) if k != i)
            client.wait_until(lambda: sorted(t for t in client.texts() if t.startswith(what)) == expected,
                              "%d texts" % len(expected), PATIENCE)
            said = client.all("sent")[-1]
            self.assertEqual(len(said["peers"]), len(people) - 1)
            client.wait_until(lambda: len(client.all("delivered", id=said["id"])) == len(people) - 1,
                              "delivered to all", PATIENCE)

    def test_everybody_hears_everybody_and_the_seventeenth_is_told(self):
        self.keyword = "42-" + self.keyword
        server = Server(self)
        people = self.fill(server)
        self.check_all_hear_all(people, "hello")
        late = JsonClient(self, server, keyword=self.keyword, name="late")
        late.expect("error", code="room-full", timeout=PATIENCE)
        self.check_all_hear_all(people, "he is not here")
        self.assertEqual(late.all("peer"), [])
        late.quit()
        late.expect_end(0)

        server.kill()  # they all have direct paths
        self.check_all_hear_all(people, "without a server")
        for client in people:
            self.assertEqual(len(client.all("peer")), ROOM - 1)
            self.assertEqual(client.all("peer-left"), [])
            self.assertEqual(client.all("error"), [])


if __name__ == "__main__":
    harness.main()
