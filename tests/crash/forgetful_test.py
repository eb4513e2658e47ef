"""The file system that forgets: it keeps what was synced, and nothing else is sure."""

import os
import tempfile
import time
import unittest
from pathlib import Path

from forgetful import Power
from harness import main
from s3 import until

KIB = 1024


class Forgetful(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ostraka-forgetful-")
        self.addCleanup(folder.cleanup)
        self.power = Power(self, Path(folder.name) / "power")
        self.root = self.power.folder

    def sync(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def durable(self, path: Path, content: bytes) -> Path:
        path.write_bytes(content)
        self.sync(path)
        self.sync(path.parent)
        return path

    def names(self, folder: Path | None = None) -> list[str]:
        return sorted(os.listdir(folder or self.root))

    def test_what_was_synced_stays(self):
        content = os.urandom(1000 * KIB + 17)
        self.durable(self.root / "file", content)
        (self.root / "folder").mkdir()
        self.durable(self.root / "folder" / "file", content)
        self.sync(self.root)
        for how in ("all", "some", "some"):
            self.power.cut(1, how)
            self.assertEqual((self.root / "file").read_bytes(), content)
            self.assertEqual((self.root / "folder" / "file").read_bytes(), content)

    def test_pages_that_were_not_synced_are_lost(self):
        old, new = b"o" * 64 * KIB, b"n" * 64 * KIB
        path = self.durable(self.root / "file", old)
        path.write_bytes(new + new)
        self.power.cut(1, "all")
        self.assertEqual(path.read_bytes(), old)
        with path.open("r+b") as file:
            file.write(new)
            file.truncate(10 * KIB)
        self.assertEqual(path.read_bytes(), new[:10 * KIB])
        self.power.cut(1, "all")
        self.assertEqual(path.read_bytes(), old)

    def test_pages_are_lost_by_chance(self):
        old, new = b"o" * 400 * KIB, b"n" * 400 * KIB
        path = self.durable(self.root / "file", old)
        with path.open("r+b") as file:
            file.write(new)
        losses = self.power.cut(2, "some")
        self.assertRegex(losses, "lost [1-9][0-9]* kept [1-9][0-9]* torn [1-9]")
        content = path.read_bytes()
        sectors = {content[at:at + 512] for at in range(0, len(content), 512)}
        self.assertEqual(sectors, {old[:512], new[:512]})

    def test_entries_need_a_sync_of_the_folder(self):
        lost, kept = self.root / "lost", self.durable(self.root / "kept", b"kept")
        lost.write_bytes(b"lost")
        self.sync(lost)
        kept.unlink()
        (self.root / "folder").mkdir()
        self.assertEqual(self.names(), ["folder", "lost"])
        self.power.cut(1, "all")
        self.assertEqual(self.names(), ["kept"])
        self.assertEqual(kept.read_bytes(), b"kept")

    def test_an_entry_without_its_bytes(self):
        (self.root / "file").write_bytes(b"x" * 10000)
        self.sync(self.root)
        self.power.cut(1, "all")
        self.assertEqual((self.root / "file").read_bytes(), b"")

    def test_a_rename_happens_or_not(self):
        seen = set()
        for seed in range(40):
            self.durable(self.root / "file", b"old")
            fresh = self.root / "fresh"
            fresh.write_bytes(b"new")
            self.sync(fresh)
            fresh.rename(self.root / "file")
            self.power.cut(seed, "some")
            content = (self.root / "file").read_bytes()
            seen.add((content, "fresh" in self.names()))
            if fresh.exists():
                fresh.unlink()
        # Before everything, between the two, and after both; never without either file.
        self.assertEqual(seen, {(b"old", False), (b"old", True), (b"new", False)})

    def test_frozen(self):
        path = self.durable(self.root / "file", b"old")
        self.power.freeze(1, "fail")
        path.open("r+b").close()
        began = time.monotonic()
        with path.open("r+b", buffering=0) as file:
            file.write(b"new")
            with self.assertRaises(OSError):
                os.fsync(file.fileno())
        for change in (lambda: (self.root / "a").mkdir(), path.unlink, lambda: path.rename(self.root / "b")):
            with self.assertRaises(OSError):
                change()
        self.assertLessEqual(began, self.power.frozen_at())
        self.assertLessEqual(self.power.frozen_at(), time.monotonic())
        self.power.cut(1, "all")
        self.assertIsNone(self.power.frozen_at())
        self.assertEqual(path.read_bytes(), b"old")

    def test_frozen_calls_hang_until_the_cut(self):
        self.power.freeze(0, "hang")
        child = os.fork()
        if child == 0:
            for _ in range(2):  # the one that freezes fails, the next hangs
                try:
                    (self.root / "a").mkdir()
                except OSError:
                    pass
            os._exit(0)
        self.power.wait_frozen(10)
        time.sleep(0.2)
        self.assertEqual(os.waitpid(child, os.WNOHANG), (0, 0), "it did not hang")
        self.power.cut(1, "all")
        until(lambda: os.waitpid(child, os.WNOHANG) != (0, 0), 10, "the call that hangs ends")
        self.assertEqual(self.names(), [])

    def test_a_drive_that_is_away(self):
        drives = [self.root / "d1", self.root / "d2"]
        for drive in drives:
            (drive / "folder").mkdir(parents=True)
            (drive / "folder" / "file").write_bytes(b"old")
        self.power.away(drives[0])
        for call in (lambda: (drives[0] / "folder" / "file").write_bytes(b"new"), lambda: (drives[0] / "folder" / "new").mkdir(),
                     (drives[0] / "folder" / "file").read_bytes, lambda: self.names(drives[0] / "folder"),
                     lambda: self.sync(drives[0])):
            with self.assertRaises(OSError):
                call()
        (drives[1] / "folder" / "file").write_bytes(b"new")
        self.power.back(drives[0])
        self.assertEqual((drives[0] / "folder" / "file").read_bytes(), b"old")
        self.assertEqual((drives[1] / "folder" / "file").read_bytes(), b"new")

    def test_a_deleted_file_that_is_open(self):
        with self.durable(self.root / "file", b"content").open("rb") as file:
            (self.root / "file").unlink()
            self.sync(self.root)
            self.assertEqual(file.read(), b"content")
        self.power.cut(1, "some")
        self.assertEqual(self.names(), [])


if __name__ == "__main__":
    main()
