"""kill -9 at each of the named points (base/fault_point.h) between stage, sync, commit, acknowledge and retire, under a mixed load,
while a drive is healed that slept through writes, and while folders are formatted: then the start, and every key is held against
the oracle.

OSTRAKA_ROUNDS sets how often each point is tried (default 0: a sample of them, once each).
"""

import os
import re
import shutil
import time

import harness
from at_rest import AtRest
from harness import BUCKET, READY_WITHIN_S, main
from load import Load
from power_cut import PowerCase
from rounds import CrashRounds
from s3 import until
from values import MIB

ROUNDS = int(os.environ.get("OSTRAKA_ROUNDS", "0"))
SAMPLE = 4
FOLDERS = ("base", "runtime", "control", "net", "disk", "iam", "erasure", "cluster", "object", "s3api", "admin", "cmd")
HEAL = "heal."  # points that only a heal reaches
HEALED_WITHIN_S = 300  # what a dead writer left behind waits for two minutes


def points() -> list[str]:
    """All that are in the sources."""
    names = set()
    for folder in FOLDERS:
        for path in sorted((harness.clients.SOURCE / folder).glob("*.cc")):
            names |= set(re.findall(r'fault_point\("([^"]+)"\)', path.read_text()))
    return sorted(names)


class ArmedRounds(CrashRounds):
    def arm(self, what: str) -> None:
        self.node.env["OSTRAKA_FAULT_POINTS"] = what

    def disarm(self) -> None:
        self.node.env.pop("OSTRAKA_FAULT_POINTS", None)

    def counted(self) -> dict[str, int]:
        """How often each point was hit by the process that has stopped."""
        self.disarm()
        return {name: int(hits) for name, hits in re.findall(r"fault point name=(\S+) hits=(\d+)", self.node.said())}

    def count_load(self, until_stopped) -> dict[str, int]:
        """The same for a start and a load that until_stopped(load) ends."""
        self.arm("count")
        self.node.start()
        self.make_bucket()
        self.new_load()
        self.load_until(until_stopped)
        return self.counted()

    def stop(self, load: Load) -> None:
        load.going_down.set()
        self.assertEqual(self.node.stop(), 0)

    def kill_at(self, name: str, number: int, until_killed) -> None:
        """A start and a load that until_killed(load) sees the end of, then the restart and the oracle."""
        print(f"{name}, hit {number}", flush=True)
        self.arm(f"{name}=kill:{number}")
        self.new_load()
        self.node.launch()
        until(lambda: not self.node.running() or self.node.health("ready")[0] == 200, READY_WITHIN_S, "ready, or killed before")
        if self.node.running():
            self.load_until(until_killed)
        self.assertEqual(self.node.process.returncode, -9, self.node.log_tail())
        self.assertIn(f"fault point kills the process name={name} hits={number}", self.node.said())
        self.disarm()

    def wait_killed(self, load: Load) -> None:
        until(lambda: not self.node.running(), 60, "the process reaches the point")
        load.going_down.set()


class KillPoints(ArmedRounds):
    def setUp(self):
        super().setUp()
        self.make_node()
        self.arm("count")
        self.node.start()
        self.assertEqual(self.node.stop(), 0)
        self.formatting = self.counted()

    def test_each_point(self):
        def some_seconds(load: Load) -> None:
            time.sleep(3)  # of the load that is counted
            self.stop(load)

        hits = self.count_load(some_seconds)
        expected = [name for name in points() if not name.startswith(HEAL)]
        self.assertEqual(sorted({*hits, *self.formatting}), expected, "points that nothing reaches, or that are not in the sources")
        for name in sorted(hits) * ROUNDS or self.random.sample(sorted(hits), SAMPLE):
            self.kill_at(name, self.random.randint(1, max(1, hits[name] // 4)), self.wait_killed)
            started_s = self.restart()
            self.say(f"killed at {name}", started_s, self.check())
            self.node.kill()
        self.node.start()
        self.finish()

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


class KillPointsOfHeals(ArmedRounds, PowerCase):
    """A drive fails for a while, and what it missed is written down, brought to it and ticked off."""

    def test_each_point(self):
        def until_healed(load: Load) -> None:
            self.drive_sleeps(load)
            load.stopped.set()
            with AtRest(self.node) as rest:
                until(lambda: self.has_tried(rest.admin("GET", "heal")), 60, "all that was queued is healed, or tried again later")
            self.stop(load)

        hits = self.count_load(until_healed)
        healing = [name for name in hits if name.startswith(HEAL)]
        self.assertEqual(sorted(healing), [name for name in points() if name.startswith(HEAL)], "points that nothing reaches")
        for name in healing * ROUNDS or self.random.sample(healing, 1):
            self.kill_at(name, self.random.randint(1, max(1, hits[name] // 3)), self.heal_until_killed)
            self.power.back(self.absent)
            started_s = self.restart()
            self.say(f"killed at {name}", started_s, self.check())
            self.node.kill()
        self.node.start()
        if ROUNDS:
            self.wait_healed()
        self.finish()

    def drive_sleeps(self, load: Load) -> None:
        self.absent = self.random.choice(self.drives)
        time.sleep(0.2)  # with all drives
        self.power.away(self.absent)
        time.sleep(1)  # so long it sleeps through writes
        self.power.back(self.absent)
        until(lambda: not self.node.running() or self.node.names_as_missing([]), HEALED_WITHIN_S, "the drive is back in service")

    def heal_until_killed(self, load: Load) -> None:
        def sleep_again_and_again() -> None:
            try:
                while self.node.running():
                    self.drive_sleeps(load)
            except OSError:
                if self.node.running():
                    raise

        self.in_threads(sleep_again_and_again, lambda: self.wait_killed(load))

    def has_tried(self, heal: dict) -> bool:
        """What an upload left that has just ended is decided minutes later, when no call of it can be under way any more."""
        return heal["totals"]["healed"] > 0 and heal["queue"]["ready"] == heal["queue"]["backing_off"]

    def wait_healed(self) -> None:
        with AtRest(self.node) as rest:
            until(lambda: rest.admin("GET", "heal")["queue"]["entries"] == 0, HEALED_WITHIN_S, "the heal queue is empty")


if __name__ == "__main__":
    main()
