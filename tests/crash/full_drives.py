"""Drives that fill up: 507, no damage, and deletes that always work. Needs small file systems, hence root and mount(8)."""

import os
import shutil
import subprocess

from contents import Contents
from harness import BUCKET, CrashCase, main
from s3 import until, xml
from values import ABSENT, KIB, MIB, PART_BYTES

DRIVE_MIB = 160  # of which the store keeps 64 MiB in reserve
FULL, FULL_CODE = 507, "InsufficientStorage"
AGAIN_WITHIN_S = 30


class FullDrives(CrashCase):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or shutil.which("mount") is None:
            self.skipTest("mounting small file systems needs root")
        for drive in self.drives:
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DRIVE_MIB}m", "tmpfs", drive],
                                     capture_output=True, text=True, check=False)
            if mounted.returncode != 0:
                self.skipTest(f"mount is not permitted here: {mounted.stderr.strip()}")
            self.addCleanup(subprocess.run, ["umount", "-l", drive], check=False)
        self.contents = Contents(self.seed)
        self.node = self.server(env={"OSTRAKA_MEMORY_INDEX": "16MiB", "OSTRAKA_LOG_ACCESS": "off"}).start()
        self.client = self.node.client()
        self.contents.fill(self.client)

    def try_put(self, key: str, size: int) -> bool:
        """Whether it was stored; a refusal must be a clean 507."""
        value, answer = self.contents.values.put(self.client, BUCKET, key, size)
        if answer.status == 200:
            self.contents.is_known(key, value)
            return True
        self.assertEqual((answer.status, answer.code), (FULL, FULL_CODE), f"PUT {key}: {answer.brief()}")
        return False

    def fill_up(self, name: str, size: int) -> int:
        """Puts objects until the store is full; how many went in."""
        for number in range(20_000):
            if not self.try_put(f"{name}/{number:05d}", size):
                return number
        self.fail("never full")

    def delete_some(self, prefix: str, keep: int) -> None:
        keys = [key for key, value in self.contents.holds.items() if key.startswith(prefix) and value != ABSENT]
        for key in keys[keep:]:
            self.contents.delete(self.client, key)

    def free_bytes(self) -> list[int]:
        return [os.statvfs(drive).f_bavail * os.statvfs(drive).f_frsize for drive in self.drives]

    def test_fill_delete_and_write_again(self):
        large = self.fill_up("large", 3 * MIB)
        small = self.fill_up("small-ones", 100 * KIB)
        print(f"full after {large} large and {small} small objects; free MiB: {[n // MIB for n in self.free_bytes()]}", flush=True)
        self.assertGreater(large, 20)
        self.assertGreater(min(self.free_bytes()), 16 * MIB, "the reserve is used up by writes")
        for size in (0, 2 * MIB):  # overwriting needs space as well; what cannot be stored leaves the old object
            self.try_put("plain/00", size)
        answer = self.client.create_upload(BUCKET, "multipart/full")
        if answer.status == 200:
            answer = self.client.put_part(BUCKET, "multipart/full", xml(answer.body)["UploadId"], 1, b"x" * PART_BYTES)
        self.assertEqual((answer.status, answer.code), (FULL, FULL_CODE))
        self.contents.check(self.client)

        self.assertEqual(self.node.stop(), 0)
        self.node.start()  # on full drives
        self.client = self.node.client()
        self.contents.check(self.client)

        self.delete_some("large/", keep=large // 2)
        self.delete_some("small-ones/", keep=small // 2)
        self.contents.check(self.client)
        until(lambda: self.try_put("again/large", 3 * MIB), AGAIN_WITHIN_S, "writes work after deletes", pause_s=0.2)
        self.contents.change(self.client)
        self.contents.check(self.client)
        self.node.kill()
        self.node.start()
        self.client = self.node.client()
        self.contents.check(self.client)

    def test_deletes_alone_empty_a_full_store(self):
        """Tombstones of every object fit into the reserve."""
        self.fill_up("small-ones", 120 * KIB)
        self.delete_some("", keep=0)
        self.contents.check(self.client)
        self.assertEqual(self.client.list_all(BUCKET), [])
        until(lambda: self.try_put("after", 3 * MIB), AGAIN_WITHIN_S, "writes work after deletes", pause_s=0.2)

    def test_someone_else_fills_the_drives(self):
        """Not a byte is left, not even the reserve: clean errors, no damage, and all is well when there is space again."""
        fillers = []
        for drive in self.drives:
            filler = drive / "someone-elses-file"
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"\xff" * (64 * KIB))
                except OSError:
                    pass
            fillers.append(filler)
        until(lambda: self.small_put_is_refused(), AGAIN_WITHIN_S, "the drives notice that they are full", pause_s=0.05)
        for number, size in enumerate((100, 64 * KIB, 3 * MIB) * 3):
            key = f"doubt/{number}"
            _, answer = self.contents.values.put(self.client, BUCKET, key, size)
            self.assertIn((answer.status, answer.code), ((FULL, FULL_CODE), (503, "SlowDown"), (503, "ServiceUnavailable")),
                          f"PUT of {size} bytes: {answer.brief()}")
            self.contents.is_doubtful(key)
        for key in ("small/05", "plain/10"):
            answer = self.client.delete(BUCKET, key)
            self.assertIn(answer.status, (204, FULL, 503), f"DELETE {key}: {answer.brief()}")
            if answer.status == 204:
                self.contents.is_known(key, ABSENT)
            else:
                self.contents.is_doubtful(key)
        self.node.assert_alive()
        self.contents.check(self.client)
        for filler in fillers:
            filler.unlink()
        until(lambda: self.writes_work(), AGAIN_WITHIN_S, "writes work when there is space again", pause_s=0.2)
        self.contents.change(self.client)
        self.contents.check(self.client)
        self.assertEqual(self.node.stop(), 0)
        self.node.start()
        self.client = self.node.client()
        self.contents.check(self.client)

    def small_put_is_refused(self) -> bool:
        """A drive asks for its free space five times a second: what fits until then is taken, and kept."""
        value, answer = self.contents.values.put(self.client, BUCKET, "soon-full", 100)
        if answer.status == 200:
            self.contents.is_known("soon-full", value)
        else:
            self.contents.is_doubtful("soon-full")
        return answer.status != 200

    def writes_work(self) -> bool:
        value, answer = self.contents.values.put(self.client, BUCKET, "again", 3 * MIB)
        if answer.status == 200:
            self.contents.is_known("again", value)
            return True
        self.assertIn(answer.status, (FULL, 503), answer.brief())
        self.contents.is_doubtful("again")
        return False


if __name__ == "__main__":
    main()
