"""The file system that forgets (forgetful_fs.cc), mounted for a test."""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

import harness
from s3 import until

PROGRAM = Path(os.environ.get("OSTRAKA_FORGETFUL_FS") or Path(harness.clients.BINARY).with_name("forgetful_fs"))
LYING_SYNC = Path(os.environ.get("OSTRAKA_LYING_SYNC") or Path(harness.clients.BINARY).with_name("liblying_sync.so"))


class Power:
    """A mounted file system whose power can be cut. Skips the test where FUSE cannot be used."""

    def __init__(self, case: unittest.TestCase, folder: Path):
        if not PROGRAM.exists():
            case.skipTest(f"{PROGRAM} is not built (target `tests`; it needs libfuse3-dev)")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK) or shutil.which("fusermount3") is None:
            case.skipTest("FUSE cannot be used here: /dev/fuse or fusermount3 is missing")
        self.folder = folder
        folder.mkdir()
        self.process = subprocess.Popen([PROGRAM, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        case.addCleanup(self.end)
        if self.process.stdout.readline() != "mounted\n":
            case.skipTest(f"FUSE cannot be used here: {self.process.stderr.read().strip()}")

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        self.process.stderr.close()

    def ask(self, command: str) -> str:
        print(command, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().strip()
        if answer in ("", "what?"):
            raise AssertionError(f"the file system answers {answer!r} to {command!r}")
        return answer

    def freeze(self, after_changes: int, how: str) -> None:
        self.ask(f"freeze {after_changes} {how}")

    def away(self, drive: Path) -> None:
        """From now on everything in this folder fails, until it is back or the power was cut."""
        self.ask(f"away {drive.name}")

    def back(self, drive: Path) -> None:
        self.ask(f"back {drive.name}")

    def frozen_at(self) -> float | None:
        """The time.monotonic() since when nothing changes any more."""
        words = self.ask("state").split()
        return float(words[1]) if words[0] == "frozen" else None

    def wait_frozen(self, seconds: float) -> float:
        return until(self.frozen_at, seconds, "the file system froze", pause_s=0.005)

    def cut(self, seed: int, how: str) -> str:
        """Forgets what was not synced; whoever used the file system must be dead. Tells the losses."""
        return self.ask(f"cut {seed} {how}")
