"""The real binary as a fixture: temporary drives, free ports, a credential, and clients that see no configuration of the caller's.

    class PutTest(ServerTest):            # one server a class
        def test_put(self):
            self.run_ok(self.aws("s3", "mb", "s3://b"))
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("OSTRAKA_BINARY", str(SOURCE / "build/release/bin/ostraka"))
READY_SECONDS = 30
ROOMY_BYTES = 8 << 30
COMMAND_SECONDS = 300


def test_root() -> str | None:
    """Memory where there is plenty of it: what these tests look at is the clients, and a disk shared by many tests is slow."""
    try:
        memory = os.statvfs("/dev/shm")
        if memory.f_bavail * memory.f_frsize >= ROOMY_BYTES and os.access("/dev/shm", os.W_OK):
            return "/dev/shm"
    except OSError:
        pass
    return None


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


class Server:
    """One server process over folders of its own. stop() and start() keep drives, ports and credential."""

    def __init__(self, drives: int = 6, erasure_set: str = "4+2", flags: tuple[str, ...] = (), scheme: str = "http",
                 root: Path | None = None):
        self.root = root or Path(tempfile.mkdtemp(prefix="ostraka-test-", dir=test_root()))
        self.drives = [self.root / f"d{i + 1}" for i in range(drives)]
        self.erasure_set = erasure_set
        self.flags = flags
        self.scheme = scheme
        self.port, self.console_port = free_ports(2)
        self.access_key, self.secret_key = "TESTACCESSKEY", "test-secret-key-0123456789"
        self.log = self.root / "server.log"
        self.process: subprocess.Popen | None = None

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        sizes = ["--erasure-set", self.erasure_set] if self.erasure_set else []
        return [BINARY, "server", "--address", f"127.0.0.1:{self.port}", "--console-address", f"127.0.0.1:{self.console_port}",
                *sizes, *self.flags, *map(str, self.drives)]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "OSTRAKA_ROOT_USER": self.access_key, "OSTRAKA_ROOT_PASSWORD": self.secret_key,
                **{k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "TSAN_"))}}

    def start(self, wait: bool = True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = READY_SECONDS):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with status {self.process.returncode}:\n{self.log_tail()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.console("/health/ready")[0] == 200:
                    return
            time.sleep(0.01)
        raise AssertionError(f"the server was not ready within {seconds} s:\n{self.log_tail()}")

    def console(self, path: str) -> tuple[int, str]:
        """GET on the console address: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.console_port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def cluster_health(self) -> tuple[int, dict]:
        status, body = self.console("/health/cluster")
        return status, json.loads(body)

    def wait_for(self, what, description: str, seconds: float = 30):
        """Polls until what() is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if what():
                return
            time.sleep(0.05)
        raise AssertionError(f"after {seconds} s still not: {description}\n{self.log_tail()}")

    def stop(self) -> int:
        """SIGTERM and a graceful end; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=45)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end on SIGTERM:\n{self.log_tail()}") from error

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def log_tail(self, lines: int = 30) -> str:
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def client_environment(self) -> dict[str, str]:
        """What client programs see: nothing of the caller's AWS, proxy or certificate settings."""
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def boto3_client(self, **config):
        """A client with boto3's default settings, unless config says otherwise."""
        import boto3
        import botocore.config

        for name in [n for n in os.environ if n.startswith("AWS_") or n.lower().endswith("_proxy")]:
            del os.environ[name]
        os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/nonexistent"
        session = boto3.session.Session(aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key,
                                        region_name="us-east-1")
        return session.client("s3", endpoint_url=self.endpoint, config=botocore.config.Config(**config) if config else None)


class ServerTest(unittest.TestCase):
    """Starts one server for the class; a failed test is followed by the end of the server's log."""

    server_arguments: dict = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(**cls.server_arguments)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        cls.work = cls.server.root / "work"
        cls.work.mkdir()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            print(f"--- end of the server's log after {self.id()}\n{self.server.log_tail()}\n---", file=sys.stderr)

    def execute(self, command: list[str], **options) -> subprocess.CompletedProcess:
        options.setdefault("timeout", COMMAND_SECONDS)
        options.setdefault("env", self.server.client_environment())
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                              stdin=subprocess.DEVNULL, **options)

    def run_ok(self, command: list[str], **options) -> str:
        """Runs the command, expects success, gives its standard output."""
        done = self.execute(command, **options)
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def run_fails(self, command: list[str], expected: str, **options):
        """Runs the command, expects failure and the text in its output."""
        done = self.execute(command, **options)
        self.assertNotEqual(done.returncode, 0, f"{' '.join(command)} did not fail:\n{done.stdout[-2000:]}")
        self.assertIn(expected, done.stdout + done.stderr)

    def aws(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).parent / "aws"), "--endpoint-url", self.server.endpoint, *arguments]

    def aws_json(self, *arguments: str) -> dict:
        """`aws s3api ...`, its answer parsed."""
        out = self.run_ok(self.aws("s3api", *arguments, "--output", "json"))
        return json.loads(out) if out.strip() else {}

    def file(self, name: str, content: bytes) -> Path:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


def digest_of(path: Path) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def random_file(path: Path, size: int) -> Path:
    """Incompressible bytes; made in pieces, so that its size may be large."""
    with open(path, "wb") as file:
        left = size
        while left > 0:
            piece = os.urandom(min(left, 4 << 20))
            file.write(piece)
            left -= len(piece)
    return path


def main():
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"{BINARY} is not there: build it first (scripts/test.sh does)")
    unittest.main(verbosity=2)
