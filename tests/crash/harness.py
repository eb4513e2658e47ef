"""Starts, kills and asks the real binary. OSTRAKA_BINARY names it (ctest sets it), else build/release/bin/ostraka."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from s3 import Client, until

ROOT_USER = "crash-tests"
ROOT_PASSWORD = "not-a-secret-at-all"
BUCKET = "crash"
READY_WITHIN_S = 60  # generous: other tests run beside this one, maybe on an unoptimised build
EXIT_WITHIN_S = 45  # the shutdown itself may take up to 30 s
SKIPPED = 77  # ctest's SKIP_RETURN_CODE


def binary() -> Path:
    default = Path(__file__).resolve().parents[2] / "build" / "release" / "bin" / "ostraka"
    return Path(os.environ.get("OSTRAKA_BINARY", default))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One process over the drives given. Restart it with start() as often as needed; ports and drives stay."""

    def __init__(self, drives: list[Path], log: Path, *, erasure_set: str = "4+2", env: dict | None = None,
                 arguments: tuple = (), before_exec=None):
        self.drives, self.log_path, self.erasure_set = list(drives), log, erasure_set
        self.env, self.arguments, self.before_exec = env or {}, arguments, before_exec
        self.port, self.console_port = free_port(), free_port()
        self.process: subprocess.Popen | None = None

    def launch(self) -> None:
        """Starts the process and returns at once."""
        assert self.process is None, "already running"
        command = [str(binary()), "server", "--address", f"127.0.0.1:{self.port}",
                   "--console-address", f"127.0.0.1:{self.console_port}", "--erasure-set", self.erasure_set,
                   *self.arguments, *map(str, self.drives)]
        env = {name: value for name, value in os.environ.items() if not name.startswith("OSTRAKA_")}
        env |= {"OSTRAKA_ROOT_USER": ROOT_USER, "OSTRAKA_ROOT_PASSWORD": ROOT_PASSWORD, "NO_COLOR": "1"} | self.env
        with self.log_path.open("ab") as log:
            log.write(f"--- start {' '.join(command)}\n".encode())
            log.flush()
            self.log_start = log.tell()
            self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=self.before_exec)

    def start(self) -> "Server":
        self.launch()
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        def ready() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"exited with {self.process.returncode} instead of serving:\n{self.log_tail()}")
            return self.health("ready")[0] == 200

        try:
            until(ready, READY_WITHIN_S, "the server is ready", pause_s=0.02)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from None

    def kill(self) -> None:
        """kill -9, and waits until the process is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(EXIT_WITHIN_S)

    def wait_exit(self, seconds: float) -> int:
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            log = self.log_tail()
            self.kill()
            raise AssertionError(f"still running after {seconds:.0f} s:\n{log}") from None
        self.process = None
        return status

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def assert_alive(self) -> None:
        if not self.running():
            raise AssertionError(f"the server died with status {self.process.returncode}:\n{self.log_tail()}")

    def client(self, **options) -> Client:
        return Client(self.port, ROOT_USER, ROOT_PASSWORD, **options)

    def health(self, what: str) -> tuple[int, str]:
        """Status and body of /health/<what> on the console address; status 0 when nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.console_port}/health/{what}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def names_as_missing(self, drives: list[Path]) -> bool:
        """Whether /health/cluster tells that exactly these drives are not in service."""
        status, body = self.health("cluster")
        if status == 0:
            return False
        named = json.dumps(json.loads(body)["missing"])
        return all((f'"{drive}"' in named) == (drive in drives) for drive in self.drives)

    def log(self) -> str:
        """What the process wrote since it was started last."""
        with self.log_path.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self.log().splitlines()[-lines:])


class CrashCase(unittest.TestCase):
    """A folder of its own, a seed that is printed, servers that are gone at the end."""

    drive_count = 6

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ostraka-crash-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.seed = int(os.environ.get("OSTRAKA_SEED") or random.SystemRandom().getrandbits(32))
        self.random = random.Random(f"{self.seed} {self.id()}")
        print(f"{self.id()}: seed {self.seed} (repeat with OSTRAKA_SEED={self.seed})", flush=True)
        self.drives = [self.folder / f"d{number}" for number in range(1, self.drive_count + 1)]
        for drive in self.drives:
            drive.mkdir()
        self.servers: list[Server] = []

    def tearDown(self):
        failed = self._outcome.result.failures + self._outcome.result.errors
        for server in self.servers:
            if any(case is self for case, _ in failed) and hasattr(server, "log_start"):
                print(f"--- the log of {self.id()} ends:\n{server.log_tail()}", flush=True)
            server.kill()

    def server(self, **options) -> Server:
        """A server over self.drives, not yet started, killed at the end of the test."""
        drives = options.pop("drives", self.drives)
        server = Server(drives, self.folder / f"server{len(self.servers)}.log", **options)
        self.servers.append(server)
        return server

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
    if not binary().is_file():
        sys.exit(f"no binary at {binary()}: build the target `ostraka` or set OSTRAKA_BINARY")
    program = unittest.main(module="__main__", verbosity=2, exit=False, failfast=bool(os.environ.get("OSTRAKA_FAILFAST")))
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if result.testsRun and len(result.skipped) == result.testsRun else 0)
