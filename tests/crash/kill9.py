"""The process goes down in the middle of a mixed load, again and again over the same folders; then every key is held against the
oracle. Mostly it is kill -9, now and then SIGTERM, and sometimes a second kill -9 in the middle of the start.

OSTRAKA_ROUNDS sets how often (default 8), half of them on a disk, where syncs take long, half in memory, where much happens; and
half as often again with a single drive, which nothing can help out.
"""

import os
import time

from harness import main
from load import Load
from rounds import CrashRounds

ROUNDS = int(os.environ.get("OSTRAKA_ROUNDS", "8"))


class Kill9InMemory(CrashRounds):
    rounds = (ROUNDS + 1) // 2

    def test_kill9(self):
        self.make_node()
        self.node.start()
        self.make_bucket()
        for _ in range(self.rounds):
            self.gracefully = self.random.random() < 0.2
            self.new_load()
            self.load_until(self.down)
            if self.random.random() < 0.3:
                self.node.launch()
                time.sleep(self.random.uniform(0, 0.5))  # the moment of the second kill
                self.node.kill()
            started_s = self.restart()
            self.say("stopped" if self.gracefully else "killed", started_s, self.check())
        self.finish()

    def down(self, load: Load) -> None:
        time.sleep(self.random.uniform(0.3, 3.0))  # the moment of the kill
        self.node.assert_alive()
        load.going_down.set()
        if self.gracefully:
            self.assertEqual(self.node.stop(), 0)
        else:
            self.node.kill()


class Kill9OnDisk(Kill9InMemory):
    on_disk = True


class Kill9OneDrive(Kill9InMemory):
    geometry = (1, 0)


if __name__ == "__main__":
    main()
