"""The command line from outside: refusals that name the setting, the addresses, TLS, and export and import of the control store."""

import http.client
import json
import os
import ssl
import subprocess
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from server import BINARY, Server, ServerTest, main


def ostraka(*arguments: str, env: dict | None = None, text: str | None = None) -> subprocess.CompletedProcess:
    environment = {"PATH": os.environ["PATH"], "OSTRAKA_ROOT_USER": "someone", "OSTRAKA_ROOT_PASSWORD": "a-long-secret"}
    return subprocess.run([BINARY, *arguments], env=environment | (env or {}), input=text, capture_output=True, text=True,
                          timeout=60, check=False)


class RefusalTest(unittest.TestCase):
    def refused(self, expected: str, *arguments: str, env: dict | None = None):
        done = ostraka("server", *arguments, env=env)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(expected, done.stderr)
        self.assertNotIn("a-long-secret", done.stdout + done.stderr)

    def test_what_is_wrong_is_named(self):
        self.refused("OSTRAKA_ROOT_USER is not set", "/tmp/none", env={"OSTRAKA_ROOT_USER": ""})
        self.refused("OSTRAKA_ROOT_PASSWORD: it must have 8", "/tmp/none", env={"OSTRAKA_ROOT_PASSWORD": "short"})
        self.refused("it names no port", "http://node{1...4}/d1")
        self.refused("setting control.store: it is not given, and http://node1:9000/d1 is a drive of a cluster", "http://node{1...4}:9000/d1")
        self.refused('setting erasure_set (from --erasure-set): "2+4"', "--erasure-set", "2+4", "/tmp/none")
        self.refused("setting threads (from OSTRAKA_THREADS)", "/tmp/none", env={"OSTRAKA_THREADS": "0"})
        self.refused("no drives")
        self.refused("--config /nonexistent.toml", "--config", "/nonexistent.toml", "/tmp/none")

    def test_version_and_help(self):
        self.assertRegex(ostraka("version").stdout, r"^ostraka \d+\.\d+\.\d+\n$")
        self.assertIn("--api-requests-max", ostraka("server", "--help").stdout)
        self.assertNotEqual(ostraka().returncode, 0)


class ServingTest(ServerTest):
    def get(self, path: str, headers: dict | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode()

    def test_the_banner_tells_how_to_connect_and_no_secret(self):
        text = self.server.log.read_text()
        for expected in ("4+2", *map(str, self.server.drives), self.server.endpoint, str(self.server.console_port), "aws --endpoint-url"):
            self.assertIn(expected, text)
        self.assertNotIn(self.server.secret_key, text)

    def test_probes_on_both_addresses(self):
        for path in ("/health/live", "/health/ready", "/health/cluster", "/metrics"):
            status, text = self.get(path)
            self.assertEqual(status, 200, path)
            self.assertNotIn(str(self.server.root), text, f"{path} on the S3 address names a folder")
            self.assertEqual(self.server.console(path)[0], 200, path)
        self.assertEqual(self.get("/api/status")[0], 403)
        self.assertEqual(self.get("/")[0], 403)
        self.assertEqual(self.server.console("/health/else")[0], 404)

    def test_a_bucket_may_be_named_like_a_probe(self):
        s3 = self.server.boto3_client()
        for bucket, key in (("health", "live"), ("metrics", "x")):
            s3.create_bucket(Bucket=bucket)
            s3.put_object(Bucket=bucket, Key=key, Body=b"an object")
            self.assertEqual(s3.get_object(Bucket=bucket, Key=key)["Body"].read(), b"an object")
            self.assertEqual(len(s3.list_objects(Bucket=bucket)["Contents"]), 1)

    def test_metrics_tell_what_happened(self):
        s3 = self.server.boto3_client()
        s3.create_bucket(Bucket="counted")
        s3.put_object(Bucket="counted", Key="x", Body=b"y" * 1000)
        text = self.server.console("/metrics")[1]
        for name in ('ostraka_s3_requests_total{operation="PutObject",status="200"}', 'ostraka_s3_request_seconds_bucket{operation="PutObject"',
                     "ostraka_s3_received_bytes_total", "ostraka_s3_requests_in_flight", 'ostraka_drive_call_seconds_bucket{drive="0",call="commit"',
                     'ostraka_drive_errors_total{drive="5"}', 'ostraka_drive_heal_queue{drive="0"}', 'ostraka_drive_free_bytes{drive="0"}',
                     'ostraka_buffer_limit_bytes{shard="0"}', "process_resident_memory_bytes", "ostraka_uptime_seconds"):
            self.assertIn(name, text)

    def test_an_address_in_use_is_named(self):
        second = Server(drives=1, erasure_set="1+0")
        self.addCleanup(second.close)
        second.port = self.server.port
        second.start(wait=False)
        self.assertNotEqual(second.process.wait(timeout=30), 0)
        self.assertIn(f"127.0.0.1:{self.server.port}", second.log_tail())


class ControlStoreTest(unittest.TestCase):
    def test_export_and_import(self):
        first, second = Server(drives=4, erasure_set="2+2"), Server(drives=4, erasure_set="2+2")
        for server in (first, second):
            self.addCleanup(server.close)
            server.start()
        first.boto3_client().create_bucket(Bucket="kept-bucket")
        running = ostraka("admin", "control-store", "export", *map(str, first.drives))
        self.assertNotEqual(running.returncode, 0)
        for server in (first, second):
            self.assertEqual(server.stop(), 0)
        pattern = str(first.root / "d{1...4}")
        exported = ostraka("admin", "control-store", "export", pattern)
        self.assertEqual(exported.returncode, 0, exported.stderr)
        documents = json.loads(exported.stdout)["documents"]
        self.assertIn("bucket/kept-bucket", [document["name"] for document in documents])

        wanted = {"version": 1, "documents": [d for d in documents if d["name"].startswith("bucket/")]}
        done = ostraka("admin", "control-store", "import", *map(str, second.drives), text=json.dumps(wanted))
        self.assertEqual(done.returncode, 0, done.stderr)
        second.start()
        self.assertEqual([b["Name"] for b in second.boto3_client().list_buckets()["Buckets"]], ["kept-bucket"])

        broken = ostraka("admin", "control-store", "import", pattern, text="{")
        self.assertNotEqual(broken.returncode, 0)
        nothing = ostraka("admin", "control-store", "export", str(first.root / "elsewhere"))
        self.assertNotEqual(nothing.returncode, 0)
        self.assertFalse((first.root / "elsewhere").exists())


class TlsTest(unittest.TestCase):
    def make_certificate(self, name: str):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.certs / "private.key",
                        "-out", self.certs / "public.crt"], check=True, capture_output=True)

    def served_certificate(self, server: Server) -> str:
        return ssl.get_server_certificate(("127.0.0.1", server.port))

    def test_https_and_a_renewed_certificate(self):
        server = Server(drives=2, erasure_set="1+1", scheme="https")
        self.addCleanup(server.close)
        self.certs = Path(server.root) / "certs"
        self.certs.mkdir()
        self.make_certificate("first")
        server.flags = ("--tls-certs-dir", str(self.certs))
        server.start(wait=False)
        trusting = ssl.create_default_context(cafile=str(self.certs / "public.crt"))

        def ready() -> bool:
            try:
                with urllib.request.urlopen(f"https://127.0.0.1:{server.console_port}/health/ready", context=trusting, timeout=5) as answer:
                    return answer.status == 200
            except (OSError, urllib.error.URLError):
                return False

        server.wait_for(ready, "ready over https")
        import boto3

        s3 = boto3.client("s3", endpoint_url=server.endpoint, verify=str(self.certs / "public.crt"), region_name="us-east-1",
                          aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key)
        s3.create_bucket(Bucket="secure")
        body = os.urandom(6_000_000)
        s3.put_object(Bucket="secure", Key="x", Body=body)
        self.assertEqual(s3.get_object(Bucket="secure", Key="x")["Body"].read(), body)

        before = self.served_certificate(server)
        self.make_certificate("second")
        end = time.monotonic() + 30
        while self.served_certificate(server) == before:
            self.assertLess(time.monotonic(), end, "the new certificate is not served")
            time.sleep(0.2)
        self.assertEqual(self.served_certificate(server).split(), (self.certs / "public.crt").read_text().split())


if __name__ == "__main__":
    main()
