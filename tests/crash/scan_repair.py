"""Bits flipped in shard files: one pass of the scanner finds and repairs all of them, and its report names them."""

import os
from pathlib import Path

from at_rest import AtRest, shard_files
from contents import Contents
from harness import BUCKET, CrashCase, main
from s3 import until
from values import KIB, MIB

OBJECTS = int(os.environ.get("OSTRAKA_OBJECTS", "150"))
FLIPPED_SHARE = 0.01


class ScanRepair(CrashCase):
    def setUp(self):
        super().setUp()
        self.contents = Contents(self.seed)
        self.node = self.server(env={"OSTRAKA_LOG_ACCESS": "off"}).start()

    def fill(self) -> None:
        with self.node.client() as client:
            self.contents.fill(client)

        def lane(number: int) -> None:
            with self.node.client() as client:
                for index in range(number, OBJECTS, 4):
                    self.contents.put(client, f"large/{index:05d}", self.sizes[index])

        self.sizes = [self.random.randrange(130 * KIB, 3 * MIB) for _ in range(OBJECTS)]
        self.in_threads(*(lambda number=number: lane(number) for number in range(4)))

    def flip(self, path: Path) -> None:
        """One bit somewhere in the file: in a block, in the footer or in the trailer."""
        offset = self.random.randrange(path.stat().st_size)
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1 << self.random.randrange(8)]))

    def damage(self, count: int) -> dict[str, set[str]]:
        """Flips a bit in that many shard files, in no more than two of an object. Data id -> folders of drives."""
        files = [path for drive in self.drives for path in shard_files(drive)]
        self.random.shuffle(files)
        flipped: dict[str, set[str]] = {}
        for path in files:
            if sum(map(len, flipped.values())) == count:
                break
            drives = flipped.setdefault(path.name, set())
            if len(drives) < self.geometry[1]:
                self.flip(path)
                drives.add(str(path.parents[2]))
        return flipped

    def test_flipped_bits(self):
        self.fill()
        with AtRest(self.node) as admin:
            clean = admin.scan(deep=True)
            self.assertEqual(clean["pass"]["totals"]["damaged"], 0, clean["findings"][:5])
            everything = [path for drive in self.drives for path in shard_files(drive)]
            flipped = self.damage(max(8, round(len(everything) * FLIPPED_SHARE)))
            report = admin.scan(deep=True)
            totals = report["pass"]["totals"]
            shards = sum(map(len, flipped.values()))
            print(f"  {shards} of {len(everything)} shard files damaged; {totals}", flush=True)
            self.assertEqual(totals["repaired"], totals["damaged"])
            self.assertEqual((totals["unrepaired"], totals["lost"], totals["not_verified"]), (0, 0, 0))
            named = [(found["bucket"], found["key"], shard["drive"]) for found in report["findings"]
                     for shard in found["shards"]]
            self.assertEqual(len(named), shards, "each damaged shard is named once")
            self.assertEqual(sorted(drive for _, _, drive in named),
                             sorted(drive for drives in flipped.values() for drive in drives))
            for found in report["findings"]:
                self.assertEqual((found["bucket"], found["outcome"]), (BUCKET, "healed"), found)
                for shard in found["shards"]:
                    self.assertEqual((shard["state"], shard["healed"]), ("corrupt", True), found)
            again = admin.scan(deep=True)
            self.assertEqual(again["pass"]["totals"]["damaged"], 0, again["findings"][:5])
            self.assertGreater(again["pass"]["totals"]["bytes_verified"], sum(self.sizes) * 6 // 4)
        # The damaged shards are good again, so two other drives may go.
        self.node.kill()
        for drive in self.drives[:2]:
            drive.rename(drive.with_suffix(".away"))
        self.node.start()
        with self.node.client() as client:
            self.contents.check(client)

    def test_verified_since_is_told_and_survives_a_restart(self):
        self.fill()
        with AtRest(self.node) as admin:
            before = self.bucket_figures(admin)
            self.assertIsNone(before["last_verified_ms"])
            started = admin.scan(deep=True)["pass"]["started_ms"]
            self.assertEqual(self.bucket_figures(admin)["last_verified_ms"], started)
        self.node.kill()
        self.node.start()
        with AtRest(self.node) as admin:
            figures = until(lambda: self.figures_since(admin, started), 10, "the time is known again")
            self.assertTrue(figures["exact"])
            metrics = self.node.console("/metrics")[1]
            self.assertIn(f'ostraka_bucket_objects{{bucket="{BUCKET}"}} {figures["objects"]}\n', metrics)
            self.assertIn(f'ostraka_bucket_bytes{{bucket="{BUCKET}"}} {figures["bytes"]}\n', metrics)
            self.assertIn("ostraka_scanner_pass_progress", metrics)
        with self.node.client() as client:
            found = client.list_all(BUCKET)
            self.assertEqual(figures["objects"], len(found))
            self.assertEqual(figures["bytes"], sum(int(row["Size"]) for row in found))
            anybody = client.send("GET", "/metrics", {"host": "x"}, b"")
            self.assertEqual(anybody.status, 200)
            self.assertNotIn(b"ostraka_bucket_", anybody.body)

    def figures_since(self, admin: AtRest, started_ms: int) -> dict | None:
        figures = self.bucket_figures(admin)
        return figures if figures["last_verified_ms"] == started_ms else None

    def bucket_figures(self, admin: AtRest) -> dict:
        return next(row for row in admin.admin("GET", "usage")["buckets"] if row["bucket"] == BUCKET)


if __name__ == "__main__":
    main()
