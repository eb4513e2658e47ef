"""The power goes in the middle of a mixed load, for all drives at once: what was not synced is lost, all of it or by chance; then
every key is held against the oracle. Sometimes it goes again in the middle of the start.

OSTRAKA_ROUNDS sets how often (default 4).
"""

import os
import time

from at_rest import AtRest
from forgetful import LYING_SYNC, Power
from harness import main
from load import Load
from rounds import CrashRounds

REPLACED_WITHIN_S = 60
ROUNDS = int(os.environ.get("OSTRAKA_ROUNDS", "4"))
LOSSES = ("all", "some")


class PowerCase(CrashRounds):
    doubtful = (500, 503)  # once the drives fail

    def setUp(self):
        super().setUp()
        self.power = Power(self, self.folder / "power")
        self.drives = [self.power.folder / drive.name for drive in self.drives]
        for drive in self.drives:
            drive.mkdir()
        self.make_node()
        self.addCleanup(lambda: self.node.running() and self.node.kill())  # before the file system goes

    def sync_folders(self) -> None:
        """What the operator made lasts."""
        for folder in (*self.drives, self.power.folder):
            fd = os.open(folder, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

    def freeze(self, most_changes: int) -> None:
        self.power.freeze(self.random.randrange(most_changes), self.random.choice(("hang", "fail")))

    def cut(self) -> str:
        how = self.random.choice(LOSSES)
        return f"lost {how} that was not synced, " + self.power.cut(self.random.getrandbits(32), how)

    def load_and_cut(self, down=None) -> str:
        self.new_load()
        self.load_until(down or self.down)
        failures = self.load.failures if self.patience_s > 0 else self.load.failures + self.load.undecided
        early = [what for at, what in failures if at < self.frozen_at]
        self.assertEqual(early, [], "requests failed before the power went")
        return self.cut()

    def down(self, load: Load) -> None:
        time.sleep(self.random.uniform(0.2, 1.5))  # so long the load runs, before the power goes after one of the next changes
        self.power_goes(load)

    def power_goes(self, load: Load) -> None:
        self.node.assert_alive()
        self.freeze(1000)
        self.frozen_at = self.power.wait_frozen(30)
        load.going_down.set()
        time.sleep(self.random.choice((0, 0, 0.05, 0.3)))  # the process goes on for a moment, with drives that fail or hang
        self.node.kill()

    def cut_while_starting(self) -> None:
        self.node.launch()
        self.freeze(400)
        deadline = time.monotonic() + self.random.uniform(0.1, 1.0)  # it may be ready before that many changes
        while time.monotonic() < deadline and not self.power.frozen_at():
            time.sleep(0.005)
        self.node.kill()
        self.cut()


class PowerCut(PowerCase):
    def test_under_load(self):
        self.sync_folders()
        self.node.start()
        self.make_bucket()
        for _ in range(ROUNDS):
            losses = self.load_and_cut()
            if self.random.random() < 0.25:
                self.cut_while_starting()
            started_s = self.restart()
            self.say(losses, started_s, self.check())
        self.finish()

    def test_with_a_drive_away(self):
        """One drive sleeps through writes, and may be back or not when the power goes; all are there at the next start."""
        self.sync_folders()
        self.node.start()
        self.make_bucket()
        for _ in range(max(1, ROUNDS // 4)):
            self.absent = self.random.choice(self.drives)
            losses = self.load_and_cut(self.down_without_one)
            started_s = self.restart()
            self.say(losses, started_s, self.check())
        self.finish()

    def down_without_one(self, load: Load) -> None:
        time.sleep(self.random.uniform(0.1, 0.5))  # with all drives
        self.power.away(self.absent)
        time.sleep(self.random.uniform(0.1, 1.5))  # without one
        if self.random.random() < 0.6:
            self.power.back(self.absent)
            time.sleep(self.random.uniform(0, 2))  # while it may come back into service
        self.power_goes(load)

    def test_while_refilling(self):
        """A drive is replaced by an empty one, which is formatted and filled from the others while the power goes."""
        self.sync_folders()
        self.node.start()
        self.make_bucket()
        self.load_and_cut()
        for _ in range(max(1, ROUNDS // 10)):
            self.empty(self.random.choice(self.drives))
            self.sync_folders()
            self.patience_s = REPLACED_WITHIN_S
            self.node.start()
            losses = self.load_and_cut(self.down_while_refilling)
            started_s = self.restart()
            self.say(losses, started_s, self.check())
            self.patience_s = 0.0
            with AtRest(self.node) as rest:
                rest.wait_refilled(writers_died=True)
            self.check()
            self.node.kill()
        self.node.start()
        self.finish()

    def down_while_refilling(self, load: Load) -> None:
        time.sleep(self.random.uniform(0.5, 5))  # it takes two seconds or three until the new drive is formatted
        self.power_goes(load)

    def test_while_formatting(self):
        """Whatever is left of the folders, the next start makes drives of them."""
        for _ in range(max(1, ROUNDS // 10)):
            self.sync_folders()
            self.node.launch()
            self.power.freeze(self.random.randrange(4500), "hang")
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline and not self.power.frozen_at():
                time.sleep(0.005)
            self.node.kill()
            print(self.cut(), flush=True)
            self.restart()
            self.make_bucket()
            self.node.kill()
            for drive in self.drives:
                self.empty(drive)

    def empty(self, drive) -> None:
        for name in sorted(drive.rglob("*"), reverse=True):
            name.rmdir() if name.is_dir() else name.unlink()


class LyingSyncs(PowerCase):
    """The same with syncs that do nothing: the oracle must notice, or it is none."""

    def loses(self, which: str) -> None:
        if not LYING_SYNC.exists():
            self.skipTest(f"{LYING_SYNC} is not built (target `tests`)")
        self.sync_folders()
        self.node.start()
        self.make_bucket()
        self.assertEqual(self.node.stop(), 0)
        self.node.env |= {"LD_PRELOAD": str(LYING_SYNC), "OSTRAKA_LYING_SYNCS": which}
        for number in range(1, 6):
            try:
                self.node.start()
                self.load_and_cut()
                self.restart()
                self.check()
            except AssertionError as noticed:
                print(f"round {number}: {str(noticed).splitlines()[0]}; {self.node.log_tail(1)}", flush=True)
                return
            finally:
                if self.node.running():
                    self.node.kill()
        self.fail(f"nobody noticed that syncs do nothing of {which}")

    def test_of_shard_files(self):
        self.loses("files /data/")

    def test_of_the_folders_of_shard_files(self):
        self.loses("folders /data/")

    def test_of_index_files(self):
        self.loses("files /index/")

    def test_of_index_logs(self):
        self.loses("files .log")

    def test_of_index_folders(self):
        self.loses("folders /index")


if __name__ == "__main__":
    main()
