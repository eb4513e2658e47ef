"""kill -9 at each of the named points (base/fault_point.h) between stage, sync, commit, acknowledge and retire, under a mixed load:
then the start, and every key is held against the oracle.

OSTRAKA_ROUNDS sets how often each point is tried (default 0: a sample of them, once each).
"""

import os
import re
import shutil
import time

import harness
from harness import BUCKET, READY_WITHIN_S, main
from load import Load
from rounds import CrashRounds
from s3 import until
from values import MIB

ROUNDS = int(os.environ.get("OSTRAKA_ROUNDS", "0"))
SAMPLE = 4
FOLDERS = ("base", "runtime", "control", "net", "disk", "iam", "erasure", "cluster", "object", "s3api", "admin", "cmd")
LOAD_S = 3  # of the load that counts


def points() -> list[str]:
    """All that are in the sources."""
    names = set()
    for folder in FOLDERS:
        for path in sorted((harness.clients.SOURCE / folder).glob("*.cc")):
            names |= set(re.findall(r'fault_point\("([^"]+)"\)', path.read_text()))
    return sorted(names)


class KillPoints(CrashRounds):
    def setUp(self):
        super().setUp()
        self.make_node()
        self.formatting = self.count_formatting()

    def arm(self, what: str) -> None:
        self.node.env["OSTRAKA_FAULT_POINTS"] = what

    def disarm(self) -> None:
        self.node.env.pop("OSTRAKA_FAULT_POINTS", None)

    def count_formatting(self) -> dict[str, int]:
        """How often the first start hits each point; the server has stopped."""
        self.arm("count")
        self.node.start()
        self.assertEqual(self.node.stop(), 0)
        return self.counted()

    def count_load(self) -> dict[str, int]:
        """The same for LOAD_S seconds of the load and the start before it."""
        self.arm("count")
        self.node.start()
        self.make_bucket()
        self.new_load()

        def stop_when_over(load: Load) -> None:
            time.sleep(LOAD_S)  # the load that is counted
            load.going_down.set()
            self.assertEqual(self.node.stop(), 0)

        self.load_until(stop_when_over)
        return self.counted()

    def counted(self) -> dict[str, int]:
        self.disarm()
        return {name: int(hits) for name, hits in re.findall(r"fault point name=(\S+) hits=(\d+)", self.node.said())}

    def test_each_point(self):
        hits = self.count_load()
        self.assertEqual(sorted({*hits, *self.formatting}), points(), "points that nothing reaches, or that are not in the sources")
        chosen = sorted(hits) * ROUNDS or self.random.sample(sorted(hits), SAMPLE)
        for name in chosen:
            number = self.random.randint(1, max(1, hits[name] // 4))
            print(f"{name}, hit {number}", flush=True)
            self.arm(f"{name}=kill:{number}")
            self.new_load()
            self.node.launch()
            until(lambda: not self.node.running() or self.node.health("ready")[0] == 200, READY_WITHIN_S, "ready, or killed before")
            if self.node.running():
                self.load_until(self.until_killed)
            self.assertEqual(self.node.process.returncode, -9, self.node.log_tail())
            self.assertIn(f"fault point kills the process name={name} hits={number}", self.node.said())
            self.disarm()
            started_s = self.restart()
            self.say(f"killed at {name}", started_s, self.check())
            self.node.kill()

    def until_killed(self, load: Load) -> None:
        until(lambda: not self.node.running(), 60, "the process reaches the point")
        load.going_down.set()

    def test_while_formatting(self):
        """Killed during the first start: the next makes what is missing."""
        for name in sorted(self.formatting) * (2 if ROUNDS else 1):
            number = self.random.randint(1, self.formatting[name])
            with self.subTest(point=name, hit=number):
                for drive in self.drives:
                    shutil.rmtree(drive)
                    drive.mkdir()
                self.arm(f"{name}=kill:{number}")
                self.node.launch()
                self.assertEqual(self.node.wait_exit(60), -9, self.node.log_tail())
                self.disarm()
                self.node.start()
                self.make_bucket()
                with self.node.client() as client:
                    value, answer = self.values.put(client, BUCKET, "key", MIB)
                    self.assertEqual(answer.status, 200, answer.brief())
                    self.assertEqual(self.values.get(client, BUCKET, "key"), value)
                self.node.kill()


if __name__ == "__main__":
    main()
