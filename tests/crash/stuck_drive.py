"""Drives whose writes hang (a frozen file system): requests that have a quorum do not wait for them. Needs root, loop devices
and fsfreeze(8)."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from contents import Contents
from harness import CrashCase, main
from s3 import until

IMAGE_MIB = 256
ANSWERED_WITHIN_S = 4  # for a round of requests; a drive that is waited for would cost its full time-out
NOTICED_WITHIN_S = 60  # a probe every 10 s, and 15 s without an answer


class StuckDrives(CrashCase):
    on_disk = True

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("mounting and freezing file systems needs root")
        self.stuck = sorted(self.random.sample(self.drives, 2))
        for drive in self.stuck:
            image = drive.with_suffix(".img")
            with image.open("wb") as file:
                file.truncate(IMAGE_MIB << 20)
            self.command("mkfs.ext4", "-q", image)
            self.command("mount", "-o", "loop", image, drive)
            self.addCleanup(subprocess.run, ["umount", "-l", drive], check=False, capture_output=True)
            (drive / "lost+found").rmdir()
        self.contents = Contents(self.seed)
        self.node = self.server(env={"OSTRAKA_API_REQUEST_TIMEOUT": "10s", "OSTRAKA_LOG_ACCESS": "off"}).start()
        self.client = self.node.client()
        self.contents.fill(self.client)
        self.contents.check(self.client)

    def command(self, *words) -> None:
        if shutil.which(words[0]) is None:
            self.skipTest(f"{words[0]} is not installed")
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"{words[0]} is not permitted here: {done.stderr.strip()}")

    def freeze(self, drive: Path) -> None:
        self.command("fsfreeze", "-f", drive)
        # Before the process is killed: what waits for a frozen file system cannot die.
        self.addCleanup(subprocess.run, ["fsfreeze", "-u", drive], check=False, capture_output=True)

    def thaw(self, drive: Path) -> None:
        self.command("fsfreeze", "-u", drive)

    def states(self) -> dict[str, str]:
        """The state of each drive, as /api/status tells it."""
        status, body = self.node.console("/api/status")
        self.assertEqual(status, 200)
        return {Path(drive["path"]).name: drive["state"] for drive in json.loads(body)["drives"]}

    def assert_states(self, stalled: list[Path], within_s: float) -> None:
        expected = {drive.name: "stalled" if drive in stalled else "ok" for drive in self.drives}
        until(lambda: self.states() == expected, within_s, f"the states are {expected}; they are {self.states()}")
        for slot, drive in enumerate(self.drives):
            line = f'ostraka_drive_state{{drive="{slot}",state="{expected[drive.name]}"}} 1'
            until(lambda wanted=line: wanted in self.node.console("/metrics")[1], 10, f"the metrics say {line}")

    def rounds(self, what: str, number: int = 5) -> None:
        for _ in range(number):
            started = time.monotonic()
            self.contents.change(self.client)
            took = time.monotonic() - started
            print(f"{what}: a round of changes took {took:.2f} s", flush=True)
            self.assertLess(took, ANSWERED_WITHIN_S, what)
        self.contents.check(self.client)

    def test_two_stuck(self):
        for drive in self.stuck:
            self.freeze(drive)
            self.rounds(f"{drive.name} is stuck")
        until(lambda: self.node.names_as_missing(self.stuck), 40, f"/health/cluster names {self.stuck}")
        self.assert_states(self.stuck, 5)
        self.rounds("both are known to be stuck")
        self.assertIn("drive put aside, since it does not answer", self.node.said())
        for drive in self.stuck:
            self.thaw(drive)
        until(lambda: self.node.names_as_missing([]), 40, "both are back")
        self.assert_states([], 10)
        self.rounds("both are back")
        self.assertEqual(self.node.stop(), 0)
        self.node.start()
        self.client = self.node.client()
        self.contents.check(self.client)

    def test_stuck_while_idle(self):
        """Nobody writes, so nobody but the drive's own probe can notice."""
        drive = self.stuck[0]
        self.freeze(drive)
        self.assert_states([drive], NOTICED_WITHIN_S)
        self.rounds(f"{drive.name} is stuck")
        self.thaw(drive)
        self.assert_states([], 10)
        self.rounds("it is back")


if __name__ == "__main__":
    main()
