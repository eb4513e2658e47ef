"""A node whose documents are in etcd (Debian's etcd-server): it serves, restarts, goes on without etcd, and its documents move there."""

import contextlib
import shutil
import signal
import subprocess
import time
import unittest
import urllib.request
from pathlib import Path

import botocore.exceptions

from server import BINARY, Server, free_ports, main


class Etcd:
    """One member. stop() and start() keep data and ports."""

    def __init__(self, root: Path):
        if shutil.which("etcd") is None:
            raise AssertionError("there is no etcd to test with: apt-get install etcd-server")
        self.root = root
        self.port, self.peer_port = free_ports(2)
        self.process: subprocess.Popen | None = None

    @property
    def setting(self) -> str:
        return f"etcd://127.0.0.1:{self.port}"

    def start(self):
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.port, self.peer_port))
        self.process = subprocess.Popen(
            ["etcd", f"--data-dir={self.root / 'etcd'}", f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
             f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
             "--heartbeat-interval=20", "--election-timeout=200", "--logger=zap", f"--log-outputs={self.root / 'etcd.log'}"],
            stdin=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not self.well():
            if time.monotonic() > end:
                raise AssertionError(f"etcd did not start: {self.root / 'etcd.log'}")
            time.sleep(0.01)

    def well(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2).status == 200
        return False

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class EtcdTest(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)
        self.etcd = Etcd(self.server.root)
        self.addCleanup(self.etcd.kill)
        self.etcd.start()

    def keep_in_etcd(self, *flags: str):
        self.server.flags = ("--control-store", self.etcd.setting, *flags)

    def client(self):
        return self.server.boto3_client(retries={"max_attempts": 0, "mode": "standard"}, connect_timeout=5, read_timeout=40)

    def buckets(self) -> list[str]:
        return [bucket["Name"] for bucket in self.client().list_buckets()["Buckets"]]

    def body(self, bucket: str, key: str) -> bytes:
        return self.client().get_object(Bucket=bucket, Key=key)["Body"].read()

    def ostraka(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([BINARY, *arguments, *map(str, self.server.drives)], env=self.server.environment(),
                              capture_output=True, text=True, timeout=60, check=False)

    def refuses_to_start(self, expected: str):
        self.server.start(wait=False)
        try:
            status = self.server.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.fail(f"the server did not end:\n{self.server.log_tail()}")
        self.assertEqual(status, 1)
        self.assertIn(expected, self.server.log_tail())

    def test_serves_and_goes_on_without_etcd(self):
        self.keep_in_etcd()
        self.server.start()
        self.client().create_bucket(Bucket="first")
        self.client().put_object(Bucket="first", Key="a", Body=b"1" * 300_000)
        self.server.stop()
        self.server.start()
        self.assertEqual(self.buckets(), ["first"])
        self.assertEqual(len(self.body("first", "a")), 300_000)

        self.etcd.kill()
        self.client().put_object(Bucket="first", Key="b", Body=b"2")
        self.assertEqual(self.body("first", "b"), b"2")
        self.client().delete_object(Bucket="first", Key="a")
        self.assertEqual(self.buckets(), ["first"])
        with self.assertRaises(botocore.exceptions.ClientError) as refused:
            self.client().create_bucket(Bucket="second")
        self.assertEqual(refused.exception.response["ResponseMetadata"]["HTTPStatusCode"], 503)
        self.assertIn(str(self.etcd.port), self.server.log_tail(60))

        self.etcd.start()
        self.client().create_bucket(Bucket="second")
        self.assertEqual(self.buckets(), ["first", "second"])
        self.server.kill()
        self.server.start()
        self.assertEqual(self.buckets(), ["first", "second"])
        self.assertEqual(self.body("first", "b"), b"2")

    def test_waits_for_etcd_when_it_starts(self):
        self.keep_in_etcd()
        self.server.start()
        self.client().create_bucket(Bucket="kept")
        self.server.stop()
        self.etcd.kill()
        self.server.start(wait=False)
        self.server.wait_for(lambda: f"127.0.0.1:{self.etcd.port}" in self.server.log_tail(5), "the log names etcd")
        self.assertEqual(self.server.console("/health/live")[0], 200)
        self.assertEqual(self.server.console("/health/ready")[0], 503)
        self.etcd.start()
        self.server.wait_ready()
        self.assertEqual(self.buckets(), ["kept"])
        # An etcd without the documents is none, whatever became of them.
        self.server.stop()
        self.etcd.kill()
        shutil.rmtree(self.server.root / "etcd")
        self.etcd.start()
        self.refuses_to_start("holds no control store")

    def test_moves_documents_into_etcd(self):
        self.server.start()
        self.client().create_bucket(Bucket="moved")
        self.client().put_object(Bucket="moved", Key="a", Body=b"1")
        self.server.stop()
        self.keep_in_etcd()
        self.refuses_to_start("ostraka admin control-store migrate")

        done = self.ostraka("admin", "control-store", "migrate", "--control-store", self.etcd.setting)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("--control-store", done.stdout)
        again = self.ostraka("admin", "control-store", "migrate", "--control-store", self.etcd.setting)
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("kept in etcd", again.stderr)
        self.assertIn("kept in etcd", self.ostraka("admin", "control-store", "export").stderr)

        self.server.start()
        self.assertEqual(self.buckets(), ["moved"])
        self.assertEqual(self.body("moved", "a"), b"1")
        self.client().create_bucket(Bucket="new")
        self.server.stop()
        self.keep_in_etcd("--control-cluster", "other")
        self.refuses_to_start("setting control.cluster")
        self.server.flags = ()
        self.refuses_to_start("kept in etcd")

        # Another deployment does not get in between these documents.
        other = Server()
        self.addCleanup(other.close)
        other.start()
        other.boto3_client().create_bucket(Bucket="of-another")
        other.stop()
        self.server, mine = other, self.server
        refused = self.ostraka("admin", "control-store", "migrate", "--control-store", self.etcd.setting)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("another deployment", refused.stderr)
        done = self.ostraka("admin", "control-store", "migrate", "--control-store", self.etcd.setting, "--control-cluster", "other")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.keep_in_etcd("--control-cluster", "other")
        self.server.start()
        self.assertEqual(self.buckets(), ["of-another"])
        self.server = mine

    def test_an_emptied_drive_is_filled_again(self):
        self.keep_in_etcd()
        self.server.start()
        self.client().create_bucket(Bucket="kept")
        self.client().put_object(Bucket="kept", Key="a", Body=b"1" * 300_000)
        self.server.stop()
        shutil.rmtree(self.server.drives[0])
        self.server.drives[0].mkdir()
        self.server.start()
        self.server.wait_for(lambda: (self.server.drives[0] / "format.json").exists(), "the folder is formatted anew")
        self.server.wait_for(lambda: self.server.cluster_health()[1]["status"] == "ok", "all is well again")
        self.server.stop()
        self.server.start()
        self.assertEqual(len(self.body("kept", "a")), 300_000)
        self.assertEqual(self.server.cluster_health()[1]["status"], "ok")

    def test_an_etcd_that_hangs_holds_up_no_object(self):
        self.keep_in_etcd()
        self.server.start()
        self.client().create_bucket(Bucket="first")
        self.etcd.process.send_signal(signal.SIGSTOP)
        self.client().put_object(Bucket="first", Key="a", Body=b"1")
        self.assertEqual(self.body("first", "a"), b"1")
        began = time.monotonic()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - began, 10)


if __name__ == "__main__":
    main()
