"""Drives come and go under load, and in between the process is killed. While more are away than parity allows, requests may fail
with a clean 503; a read that is answered is right, always; when all drives are back, so is everything.

OSTRAKA_SECONDS sets for how long (default 15).
"""

import os
import time

from harness import BUCKET, CrashCase, main
from history import History
from load import KEYS, Load
from s3 import until
from values import ABSENT, Values

SECONDS = int(os.environ.get("OSTRAKA_SECONDS", "15"))
SETTLED_WITHIN_S = 30


class Churn(CrashCase):
    def setUp(self):
        super().setUp()
        self.values, self.history = Values(self.seed), History()
        self.node = self.server(env={"OSTRAKA_API_REQUEST_TIMEOUT": "5s", "OSTRAKA_LOG_ACCESS": "off"}).start()
        with self.node.client() as client:
            client.create_bucket(BUCKET)
        self.counts: dict[str, int] = {}

    def move_drives(self, most_away: int, until_time: float) -> None:
        """Sets of up to `most_away` drives are away for a while, one after the other; in the end all are back."""
        while time.monotonic() < until_time:
            gone = self.random.sample(self.drives, self.random.randint(0, min(most_away, len(self.drives))))
            for drive in gone:
                self.take_away(drive)
            time.sleep(self.random.uniform(0.1, 1.5))  # how long they are away
            for drive in gone:
                self.give_back(drive)
            if most_away == 1:  # else a write could meet both the drive that is not yet back and the next that goes
                until(lambda: self.node.names_as_missing([]), SETTLED_WITHIN_S, "the drive is back in service")
            time.sleep(self.random.uniform(0.3, 0.7))  # until the next ones go

    def churn(self, most_away: int, seconds: float, kill: bool, number: int = 0) -> None:
        load = Load(self.node, self.values, self.history, f"{self.seed} {number}", writers=5, readers=3,
                    cut_reads=most_away > self.geometry[1])

        def move():
            self.move_drives(most_away, time.monotonic() + seconds)
            self.node.assert_alive()
            if kill:
                load.going_down.set()
                self.node.kill()
            load.stopped.set()

        self.in_threads(move, *load.threads(), within_s=seconds + 60)
        for what, count in load.counts.items():
            self.counts[what] = self.counts.get(what, 0) + count

    def settles(self) -> None:
        """With all drives back, every key can be read, holds what it may, and is listed so; and it stays so."""
        until(lambda: self.node.names_as_missing([]), SETTLED_WITHIN_S, "all drives are back in service")
        with self.node.client() as client:
            found = {}
            for key in KEYS:
                start = time.monotonic()
                value = self.values.get(client, BUCKET, key)
                self.assertIsNotNone(value, f"{key} cannot be read with all drives back")
                self.history.check_read(key, start, value)
                found[key] = value
            for key, value in found.items():
                self.history.settle(key, value)
            listed = {row["Key"]: (int(row["Size"]), row["ETag"]) for row in client.list_all(BUCKET)}
            expected = {key: (value.size, value.etag) for key, value in found.items() if value != ABSENT}
            self.assertEqual(listed, expected, "the listing differs from what the keys hold")
            for key in KEYS:
                start = time.monotonic()
                self.history.check_read(key, start, self.values.get(client, BUCKET, key))
        self.history.died()

    def report(self) -> None:
        print(", ".join(f"{what}: {count}" for what, count in sorted(self.counts.items())), flush=True)

    def test_within_parity(self):
        """One drive at a time: nothing may fail."""
        self.churn(1, SECONDS / 3, kill=False)
        self.settles()
        self.report()
        failed = {what: count for what, count in self.counts.items() if "5" in what.split()[-1]}
        self.assertEqual(failed, {}, "requests failed although a quorum was there all the time")

    def test_beyond_parity(self):
        self.churn(4, SECONDS / 3, kill=False)
        self.settles()
        self.report()

    def test_with_kills(self):
        rounds = max(2, SECONDS // 6)
        for number in range(rounds):
            self.churn(self.random.randint(2, 3), SECONDS / 3 / rounds, kill=True, number=number)
            self.history.died()
            self.node.start()
            self.settles()
        self.report()


class ChurnOfThree(Churn):
    geometry = (2, 1)
    # What is written while one drive is away has no spare shard until it is healed: the next drive to go takes it away for a while.
    test_within_parity = None


class ChurnOfTwo(Churn):
    """A write needs both drives, a read one."""

    geometry = (1, 1)
    test_within_parity = None  # with one away, writes fail


if __name__ == "__main__":
    main()
