"""Starting with folders that are missing, unreadable, swapped, foreign, too new or in use: a message that names the folder and
the cause, no folder formatted anew, and the rest serves."""

import ctypes
import fcntl
import json
import os
import re
import resource
import shutil
import time
from pathlib import Path

from at_rest import AtRest
from contents import Contents
from harness import BUCKET, CrashCase, Server, main
from s3 import until

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def without_rights_over_all_files() -> None:
    """Before exec: even root then meets permissions like anybody else."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and os.geteuid() == 0:
            raise OSError(ctypes.get_errno(), "prctl")


class FirstStart(CrashCase):
    def test_killed_while_formatting(self):
        """kill -9 at any moment of the very first start: the next one forms the same store of six drives, without a person."""
        formatted = []
        for _ in range(12):
            for drive in self.drives:
                shutil.rmtree(drive)
                drive.mkdir()
            node = self.server()
            node.launch()
            # The moments that matter: some folders have their format.json, others have not.
            wanted, deadline = self.random.randrange(1, 7), time.monotonic() + 30
            while sum((drive / "format.json").exists() for drive in self.drives) < wanted and time.monotonic() < deadline:
                pass
            node.kill()
            formatted.append(sum((drive / "format.json").exists() for drive in self.drives))
            node.start()
            until(lambda: node.names_as_missing([]), 20, f"six drives after a kill with {formatted[-1]} of 6 formatted: "
                                                         f"{node.health('cluster')[1]}")
            contents = Contents(self.seed)
            with node.client() as client:
                client.create_bucket(BUCKET)
                contents.change(client)
                contents.check(client)
            node.kill()
        print(f"formatted at the kill: {formatted} of 6", flush=True)


class Startup(CrashCase):
    def setUp(self):
        super().setUp()
        self.contents = Contents(self.seed)
        self.node = self.server()
        self.make(self.node, self.contents)

    def make(self, node: Server, contents: Contents) -> None:
        node.start()
        with node.client() as client:
            contents.fill(client)
        self.assertEqual(node.stop(), 0)

    def formats(self) -> dict[Path, bytes | None]:
        return {drive: (drive / "format.json").read_bytes() if (drive / "format.json").is_file() else None for drive in self.drives}

    def serves_without(self, bad: list[Path], cause: str) -> None:
        """Starts; the log names each bad folder and the cause in one line; all works; no format.json was touched."""
        before = self.formats()
        self.node.start()
        for drive in bad:
            lines = [line for line in self.node.said().splitlines() if re.search(re.escape(str(drive)) + r"\b", line)]
            self.assertTrue(any(re.search(cause, line, re.IGNORECASE) for line in lines),
                            f"no line names {drive} and /{cause}/:\n{self.node.log_tail()}")
        with self.node.client() as client:
            self.contents.check(client)
            self.contents.change(client)
            self.contents.check(client)
        self.assertEqual(self.formats(), before, "a format.json was changed")
        self.assertLessEqual(self.node.said().count("control document not written"), len(bad))
        until(lambda: self.node.names_as_missing(bad), 10, f"/health/cluster names {bad}: {self.node.health('cluster')}")

    def fills_anew(self, bad: list[Path], cause: str) -> None:
        """Starts; the log names each bad folder and the cause; all works, and the drives are made anew and filled from the others."""
        self.node.start()
        for drive in bad:
            self.assertRegex(self.node.said(), re.compile(rf"{re.escape(str(drive))}\b.*({cause})", re.IGNORECASE))
        with self.node.client() as client, AtRest(self.node) as rest:
            self.contents.check(client)
            self.contents.change(client)
            rest.wait_refilled()
            self.contents.check(client)

    def comes_back(self) -> None:
        """With the folders as they were, all six serve, at the latest after a restart."""
        self.assertEqual(self.node.stop(), 0)
        self.node.start()
        with self.node.client() as client:
            self.contents.check(client)
        until(lambda: self.node.names_as_missing([]), 10, f"all drives are back: {self.node.health('cluster')}")

    def bad_one(self) -> Path:
        return self.random.choice(self.drives)

    def test_missing_folders(self):
        bad = sorted(self.random.sample(self.drives, 2))
        for drive in bad:
            shutil.rmtree(drive)
        self.fills_anew(bad, "missing|no such|not there|does not exist|not exist")

    def test_emptied_folder(self):
        bad = self.bad_one()
        shutil.rmtree(bad)
        bad.mkdir()
        self.fills_anew([bad], "empty|format")

    def test_folders_with_something_else(self):
        bad = sorted(self.random.sample(self.drives, 2))
        for drive in bad:
            self.take_away(drive)
        self.serves_without(bad, "not empty")
        for drive in bad:
            self.give_back(drive)
        self.comes_back()

    def test_a_file_in_place_of_a_folder(self):
        bad = self.bad_one()
        shutil.rmtree(bad)
        bad.write_text("not a folder")
        self.serves_without([bad], "not a (folder|directory)")

    def test_unreadable_folder(self):
        bad = self.bad_one()
        bad.chmod(0)
        self.addCleanup(lambda: bad.is_dir() and bad.chmod(0o755))
        self.node.before_exec = without_rights_over_all_files
        before = (bad / "format.json").read_bytes() if os.geteuid() == 0 else None
        self.node.start()
        lines = [line for line in self.node.said().splitlines() if str(bad) in line]
        self.assertTrue(any("ermission" in line for line in lines), self.node.log_tail())
        with self.node.client() as client:
            self.contents.check(client)
            self.contents.change(client)
        bad.chmod(0o755)
        if before is not None:
            self.assertEqual((bad / "format.json").read_bytes(), before)
        self.comes_back()

    def test_swapped_folders(self):
        first, second = sorted(self.random.sample(self.drives, 2))
        self.swap(first, second)
        self.node.start()
        with self.node.client() as client:
            self.contents.check(client)
            self.contents.change(client)
            self.contents.check(client)
        log = self.node.said()
        for drive in (first, second):
            self.assertRegex(log, re.compile(rf"{re.escape(str(drive))}\b.*(slot|swapped|place|position|belongs)", re.IGNORECASE))
        self.assertEqual(self.node.stop(), 0)
        self.swap(first, second)
        self.node.start()
        with self.node.client() as client:
            self.contents.check(client)

    def swap(self, first: Path, second: Path) -> None:
        between = first.with_name("between")
        first.rename(between)
        second.rename(first)
        between.rename(second)

    def test_folder_of_another_deployment(self):
        others = [self.folder / f"other{number}" for number in range(6)]
        for drive in others:
            drive.mkdir()
        self.make(self.server(drives=others), Contents(self.seed + 1))
        bad = self.bad_one()
        shutil.rmtree(bad)
        shutil.copytree(others[self.drives.index(bad)], bad)
        self.serves_without([bad], "another deployment|other deployment|deployment")

    def test_format_of_a_newer_version(self):
        bad = self.bad_one()
        document = json.loads((bad / "format.json").read_text())
        names = [name for name in document if "version" in name.lower() and isinstance(document[name], int)]
        self.assertEqual(len(names), 1, f"which is the version? {document}")
        document[names[0]] += 1000
        (bad / "format.json").write_text(json.dumps(document))
        self.serves_without([bad], "newer|version")

    def test_broken_formats(self):
        good = (self.drives[0] / "format.json").read_bytes()
        bad = self.bad_one()
        for broken in (b"", b"{", good[:len(good) // 2], b"\0" * len(good), b"[]", good.replace(b":", b";")):
            with self.subTest(format=broken[:40]):
                (bad / "format.json").write_bytes(broken)
                self.serves_without([bad], "format")
                self.assertEqual(self.node.stop(), 0)

    def test_drive_in_use(self):
        """A second process gets none of the drives, and says why; the first does not notice."""
        self.node.start()
        second = self.server()
        second.launch()
        status = second.wait_exit(30)
        self.assertNotEqual(status, 0)
        for drive in self.drives:
            self.assertRegex(second.said(), rf"{re.escape(str(drive))}\b.*(lock|in use|another process)")
        with self.node.client() as client:
            self.contents.check(client)
            self.contents.change(client)

    def test_one_locked_drive(self):
        bad = self.bad_one()
        locks = [path for path in bad.iterdir() if "lock" in path.name.lower()]
        self.assertEqual(len(locks), 1, f"which is the lock? {sorted(bad.iterdir())}")
        with locks[0].open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.serves_without([bad], "lock|in use|another process")
        self.comes_back()

    def start_with_three_of_six(self) -> list[Path]:
        """Starts, and gives the folders that it waits for."""
        away = sorted(self.random.sample(self.drives, 3))
        for drive in away:
            drive.rename(drive.with_name(drive.name + ".away"))
        self.node.launch()
        until(lambda: self.node.health("live")[0] == 200, 30, f"it lives: {self.node.log_tail()}")
        return away

    def test_too_few_folders(self):
        """Three of six: it says which it waits for, formats nothing, and serves as soon as enough are there."""
        away = self.start_with_three_of_six()
        before = self.formats()
        until(lambda: self.node.names_as_missing(away), 10, f"/health/cluster names {away}")
        status, text = self.node.health("ready")
        self.assertEqual((status, text[:19]), (503, "Waiting for drives:"))
        until(lambda: "waiting for drives" in self.node.said(), 10, "the log tells")
        for drive in away:
            self.assertRegex(self.node.said(), rf"waiting for drives.*{re.escape(str(drive))}\b")
        with self.node.client() as client:
            self.contents.check_never_wrong(client)
            self.assertEqual(client.put(BUCKET, "early", b"too early").status, 503)
        time.sleep(2.5)  # it has tried again by now
        self.assertEqual(self.node.said().count("waiting for drives"), 1)
        self.assertEqual(self.formats(), before)
        for drive in away:
            drive.with_name(drive.name + ".away").rename(drive)
        until(lambda: self.node.health("ready")[0] == 200, 30, "it serves once the drives are there")
        until(lambda: self.node.names_as_missing([]), 30, "all drives are back")
        with self.node.client() as client:
            self.contents.check(client)

    def test_stopped_while_it_waits(self):
        self.start_with_three_of_six()
        self.assertEqual(self.node.stop(), 0)

    def test_what_no_mount_can_mend_ends_the_start(self):
        """Three folders hold something else than their drives: nothing to wait for."""
        for drive in self.random.sample(self.drives, 3):
            (drive / "format.json").write_bytes(b"damaged")
        self.node.launch()
        self.assertNotEqual(self.node.wait_exit(30), 0)
        self.assertIn("4 drives must answer", self.node.said())

    def test_a_low_limit_of_files_is_told(self):
        self.node.start()
        self.assertNotIn("RLIMIT_NOFILE", self.node.said())
        self.assertEqual(self.node.stop(), 0)
        self.node.before_exec = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1000))
        self.node.start()
        self.assertIn("only 1000 files may be open", self.node.said())


if __name__ == "__main__":
    main()
