"""A server for the rough treatment of these tests, and the test case they share. The process itself is that of ../clients/server.py."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
import server as clients  # noqa: E402: found by the line above

from s3 import Client  # noqa: E402

BUCKET = "crash"
READY_WITHIN_S = 60  # generous: other tests run beside this one, maybe on an unoptimised build
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 4 << 30 else None
SKIPPED = 77  # ctest's SKIP_RETURN_CODE


class Server(clients.Server):
    """One process over the drives given; its ports, drives and environment stay over restarts."""

    def __init__(self, drives: list[Path], log: Path, erasure_set: str, *, env: dict | None = None, before_exec=None):
        super().__init__(drives=len(drives), erasure_set=erasure_set, root=log.parent)
        self.drives, self.log = list(drives), log
        self.env, self.before_exec = env or {}, before_exec
        self.log_start = 0
        self.clients: list[Client] = []

    def environment(self) -> dict[str, str]:
        return super().environment() | self.env

    def launch(self) -> None:
        """Starts the process and returns at once."""
        assert not self.running(), "already running"
        with self.log.open("ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(self.command(), env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=self.before_exec)

    def start(self) -> "Server":
        self.launch()
        self.wait_ready(READY_WITHIN_S)
        return self

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_exit(self, seconds: float) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {seconds:.0f} s:\n{self.log_tail()}") from None

    def assert_alive(self) -> None:
        if not self.running():
            raise AssertionError(f"the server died with status {self.process.returncode}:\n{self.log_tail()}")

    def client(self, **options) -> Client:
        client = Client(self.port, self.access_key, self.secret_key, **options)
        self.clients.append(client)  # closed at the end of the test, if not before
        return client

    def health(self, what: str) -> tuple[int, str]:
        """Status and body of /health/<what> on the console address; status 0 when nothing answers."""
        try:
            return self.console(f"/health/{what}")
        except OSError:
            return 0, ""

    def names_as_missing(self, drives: list[Path]) -> bool:
        """Whether /health/cluster tells that exactly these drives are not in service."""
        status, body = self.health("cluster")
        return status != 0 and {drive["path"] for drive in json.loads(body)["missing"]} == {str(drive) for drive in drives}

    def said(self) -> str:
        """What the process wrote since it was started last."""
        with self.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")


class CrashCase(unittest.TestCase):
    """A folder of its own, a seed that is printed, servers that are gone at the end."""

    geometry = (4, 2)  # data and parity shards
    on_disk = False  # in memory, where there is: a drive has hundreds of folders, slow to make and to remove on a disk

    def setUp(self):
        self.began = time.monotonic()
        self.folder = Path(tempfile.mkdtemp(prefix="ostraka-crash-", dir=None if self.on_disk else MEMORY))
        self.addCleanup(lambda: print(f"{self.id()}: {time.monotonic() - self.began:.1f} s", flush=True))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.seed = int(os.environ.get("OSTRAKA_SEED") or random.SystemRandom().getrandbits(32))
        self.random = random.Random(f"{self.seed} {self.id()}")
        print(f"{self.id()}: seed {self.seed} (repeat with OSTRAKA_SEED={self.seed})", flush=True)
        self.drives = [self.folder / f"d{number}" for number in range(1, sum(self.geometry) + 1)]
        for drive in self.drives:
            drive.mkdir()
        self.servers: list[Server] = []

    def end(self, server: Server) -> None:
        result = self._outcome.result
        if any(case is self for case, _ in result.failures + result.errors) and server.process is not None:
            print(f"--- the log of {self.id()} ends:\n{server.log_tail()}", flush=True)
        if server.running():
            server.kill()
        for client in server.clients:
            client.close()

    def server(self, **options) -> Server:
        """A server over self.drives, not yet started, killed at the end of the test."""
        drives = options.pop("drives", self.drives)
        server = Server(drives, self.folder / f"server{len(self.servers)}.log", "+".join(map(str, self.geometry)), **options)
        self.servers.append(server)
        self.addCleanup(self.end, server)  # not in tearDown, which is left out when setUp fails
        return server

    def take_away(self, drive: Path) -> None:
        """As if it were unmounted, over a folder with something in it: an empty or missing folder would be taken for a new drive."""
        drive.rename(drive.with_name(drive.name + ".away"))
        drive.mkdir()
        (drive / "no drive").touch()

    def give_back(self, drive: Path) -> None:
        shutil.rmtree(drive)
        drive.with_name(drive.name + ".away").rename(drive)

    def in_threads(self, *bodies, within_s: float = 120) -> None:
        """Runs the functions at once; the first exception of any of them fails the test."""
        failures: list[BaseException] = []

        def run(body):
            try:
                body()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run, args=(body,), daemon=True) for body in bodies]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + within_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if failures:
            raise failures[0]
        self.assertFalse(any(thread.is_alive() for thread in threads), f"a client still waits after {within_s} s")


def main() -> None:
    if not os.access(clients.BINARY, os.X_OK):
        sys.exit(f"{clients.BINARY} is not there: build the target `ostraka` or set OSTRAKA_BINARY")
    result = unittest.main(module="__main__", verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if result.testsRun and len(result.skipped) == result.testsRun else 0)
