"""Flipped bytes, torn and missing files: what was damaged is never served, and two drives' worth of damage hurts no read."""

from pathlib import Path

from contents import Contents
from harness import CrashCase, main
from values import KIB

# Enough small objects that each drive's index has flushed tables and blob files beside its log.
SMALL_OBJECTS, SMALL_BYTES = 900, 120 * KIB


def files_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 0)


class BitRot(CrashCase):
    def setUp(self):
        super().setUp()
        self.contents = Contents(self.seed)
        self.node = self.server(env={"OSTRAKA_MEMORY_INDEX": "16MiB", "OSTRAKA_LOG_ACCESS": "off"}).start()
        with self.node.client() as client:
            self.contents.fill(client)

    def flip(self, path: Path, offset: int | None = None) -> None:
        """Changes one bit of one byte of the file, in place."""
        size = path.stat().st_size
        offset = self.random.randrange(size) if offset is None else offset
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1 << self.random.randrange(8)]))

    def two_drives(self) -> list[Path]:
        return sorted(self.random.sample(self.drives, 2))

    def check(self) -> None:
        with self.node.client() as client:
            self.contents.check(client)

    def test_shard_files_while_serving(self):
        damaged = self.two_drives()
        shards = [path for drive in damaged for path in files_under(drive / "data")]
        self.assertGreater(len(shards), 10, "no shard files to damage")
        for path in shards:
            self.flip(path)
        self.check()
        self.assertIn("corrupt", self.node.said(), "no damage was met")
        for path in shards:  # where they end, is the footer
            self.flip(path, path.stat().st_size - 1 - self.random.randrange(min(64, path.stat().st_size)))
        self.check()
        with self.node.client() as client:
            self.contents.change(client)
        self.check()

    def test_torn_and_missing_shard_files(self):
        for path in (path for drive in self.two_drives() for path in files_under(drive / "data")):
            fate = self.random.randrange(4)
            if fate == 0:
                path.unlink()
            elif fate == 1:
                with path.open("r+b") as file:
                    file.truncate(self.random.randrange(path.stat().st_size))
            elif fate == 2:
                path.write_bytes(b"")
            else:
                with path.open("ab") as file:
                    file.write(b"\0" * 4096)
        self.check()
        self.assertEqual(self.node.stop(), 0)
        self.node.start()
        self.check()

    def test_shards_beyond_parity(self):
        """Three of the six shards of every stripe: right bytes or an error, and the process lives."""
        for drive in self.random.sample(self.drives, 3):
            for path in files_under(drive / "data"):
                self.flip(path)
        with self.node.client() as client:
            counts = self.contents.check_never_wrong(client)
        self.assertGreater(counts["failed"], 0, "nothing failed, so nothing was damaged")
        self.node.assert_alive()

    def add_small_objects(self) -> None:
        def lane(number: int) -> None:
            with self.node.client() as client:
                for index in range(number, SMALL_OBJECTS, 4):
                    self.contents.put(client, f"inline/{index:04d}", SMALL_BYTES)

        self.in_threads(*(lambda number=number: lane(number) for number in range(4)))

    def index_files(self, drive: Path, *patterns: str) -> list[Path]:
        return sorted(path for pattern in patterns for path in (drive / "index").rglob(pattern)
                      if path.is_file() and path.stat().st_size > 0)

    def damage_index(self, drives: list[Path], patterns: tuple, flips: int) -> None:
        if "*.log" in patterns:
            self.node.kill()  # a clean stop leaves no log behind
        else:
            self.assertEqual(self.node.stop(), 0)
        for drive in drives:
            found = self.index_files(drive, *patterns)
            self.assertTrue(found, f"no {patterns} in {drive}/index: {files_under(drive / 'index')}")
            for path in found:
                for _ in range(flips):
                    self.flip(path)

    def test_index_tables_and_blobs(self):
        self.add_small_objects()
        for patterns in (("*.blob",), ("*.sst",)):
            with self.subTest(files=patterns):
                drives = self.two_drives() if patterns == ("*.blob",) else self.damaged
                self.damaged = drives  # the same two again: no more than parity mends
                self.damage_index(drives, patterns, flips=20)
                self.node.start()
                self.check()
                self.assertRegex(self.node.said(), "(?i)corrupt|checksum", "no damage was met")
                with self.node.client() as client:
                    self.contents.change(client)
                self.check()

    def test_index_log_and_manifest(self):
        drives = self.two_drives()
        for patterns in (("*.log",), ("MANIFEST-*",), ("CURRENT",)):
            with self.subTest(files=patterns):
                self.damage_index(drives, patterns, flips=3)
                self.node.start()
                self.check()
                with self.node.client() as client:
                    self.contents.change(client)
                self.check()


if __name__ == "__main__":
    main()
