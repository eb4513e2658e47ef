"""What the images are made of, without an engine: packages, scripts, and the load balancer's configuration."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
DEPLOY = SOURCE / "deploy"
BINARY = Path(os.environ.get("OSTRAKA_BINARY", SOURCE / "build/release/bin/ostraka")).resolve()
DAY_S = 86_400
NODES = [f"node{number}" for number in range(1, 5)]


def run(*command: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


class Dockerfile(unittest.TestCase):
    stages = re.split(r"^FROM ", (SOURCE / "Dockerfile").read_text(), flags=re.MULTILINE)

    def test_base_image_is_an_argument_of_all(self):
        self.assertIn("ARG BASE_IMAGE=debian:12-slim\n", self.stages[0])
        for stage in self.stages[1:]:
            self.assertTrue(stage.startswith("${BASE_IMAGE} AS "), stage)

    def test_nobody_is_root(self):
        users = {stage.split()[2]: re.findall(r"^USER (\S+)$", stage, re.MULTILINE) for stage in self.stages[1:]}
        self.assertEqual(users, {"source": [], "server": ["ostraka"], "balancer": ["haproxy"]})

    def test_packages_have_every_library(self):
        """Of the binary; what those need in turn, they bring with them."""
        told = run("readelf", "-d", str(BINARY))
        self.assertEqual(told.returncode, 0, told.stderr)
        libraries = set(re.findall(r"\(NEEDED\).*\[(.*)\]", told.stdout)) - {"ld-linux-x86-64.so.2"}
        where = dict(re.findall(r"^\s*(\S+) => (/\S+)", run("ldd", str(BINARY)).stdout, re.MULTILINE))
        packages = {self.package_of(where[library]) for library in libraries if library in where}
        given = run("bash", "-c", '. "$0" && echo "${runtime_packages[@]}"', str(SOURCE / "scripts/packages.sh"))
        self.assertEqual(packages - {"libc6"} - set(given.stdout.split()), set())
        self.assertGreater(len(packages), 5)

    def package_of(self, library: str) -> str:
        for path in (library, os.path.realpath(library), os.path.realpath(library).replace("/usr/lib/", "/lib/", 1)):
            found = run("dpkg", "-S", path)
            if found.returncode == 0:
                return found.stdout.split(":")[0]
        self.fail(f"no Debian package has {library}")

    def test_context_has_what_is_copied(self):
        kept = {line[1:] for line in (SOURCE / ".dockerignore").read_text().splitlines() if line.startswith("!")}
        folders = re.findall(r"^add_subdirectory\((\w+)\)$", (SOURCE / "CMakeLists.txt").read_text(), re.MULTILINE)
        self.assertEqual(set(folders) - kept, set(), "the build needs them")
        for path in kept:
            self.assertTrue((SOURCE / path).exists(), path)


class MakeCertificates(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ostraka-certificates-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.authority, self.nodes = self.folder / "authority", self.folder / "nodes"
        for folder in (self.authority, *(self.nodes / node for node in NODES)):  # as volumes are: there, and empty
            folder.mkdir(parents=True)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/ostraka").symlink_to(BINARY)

    def make(self) -> subprocess.CompletedProcess:
        return run(str(DEPLOY / "make_certificates.sh"), str(self.authority), str(self.nodes), *NODES,
                   PATH=f"{self.folder}/bin:{os.environ['PATH']}", OSTRAKA_TRUST_DOMAIN="compose.test")

    def made(self) -> dict[str, bytes]:
        done = self.make()
        self.assertEqual(done.returncode, 0, done.stderr)
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.rglob("*") if path.is_file() and
                "bin" not in path.parts}

    def assert_good(self) -> None:
        for node in NODES:
            done = run("openssl", "verify", "-CAfile", str(self.nodes / node / "ca.crt"), str(self.nodes / node / "node.crt"))
            self.assertEqual(done.returncode, 0, done.stderr)
            names = run("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", str(self.nodes / node / "node.crt")).stdout
            self.assertIn(f"spiffe://compose.test/node/{node}", names)
            self.assertEqual((self.nodes / node / "node.key").stat().st_mode & 0o777, 0o600)

    def test_twice(self):
        first = self.made()
        self.assertEqual(set(first), {"authority/ca.crt", "authority/ca.key"} |
                         {f"nodes/{node}/{name}" for node in NODES for name in ("ca.crt", "node.crt", "node.key")})
        self.assert_good()
        self.assertEqual(self.made(), first)

    def test_interrupted(self):
        for left in ("authority/ca.key", "nodes/node1/.made/node1/node.key"):
            (self.folder / left).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / left).write_text("half")
        first = self.made()
        self.assert_good()
        (self.nodes / "node3/node.crt").unlink()
        second = self.made()
        self.assert_good()
        self.assertEqual({name for name in first if first[name] != second[name]}, {"nodes/node3/node.crt", "nodes/node3/node.key"})

    def test_old_ones_are_renewed(self):
        first = self.made()
        for node, age_days in (("node1", 175), ("node2", 185)):
            at = time.time() - age_days * DAY_S
            os.utime(self.nodes / node / "node.crt", (at, at))
        second = self.made()
        self.assert_good()
        self.assertEqual({name for name in first if first[name] != second[name]}, {"nodes/node2/node.crt", "nodes/node2/node.key"})

    def test_no_second_authority(self):
        first = self.made()
        for name in ("ca.crt", "ca.key"):
            (self.authority / name).unlink()
        self.assertEqual(self.make().returncode, 0, "nothing is to be made")
        (self.nodes / "node4/node.crt").unlink()
        done = self.make()
        self.assertEqual(done.returncode, 1)
        self.assertIn("node1 node2 node3", done.stderr)
        self.assertEqual((self.nodes / "node1/node.crt").read_bytes(), first["nodes/node1/node.crt"])


class Answering(BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802: the name is http.server's
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_):
        pass


class HttpOk(unittest.TestCase):
    def ask(self, port: int, path: str) -> int:
        return run(str(DEPLOY / "http_ok.sh"), "127.0.0.1", str(port), path).returncode

    def test_answers(self):
        server = HTTPServer(("127.0.0.1", 0), Answering)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        self.assertEqual(self.ask(server.server_port, "/200"), 0)
        for status in (204, 503, 404):
            self.assertNotEqual(self.ask(server.server_port, f"/{status}"), 0)

    def test_silence(self):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            began = time.monotonic()
            self.assertNotEqual(self.ask(listening.getsockname()[1], "/200"), 0)
            self.assertLess(time.monotonic() - began, 30)

    def test_nobody(self):
        with socket.socket() as bound:  # and not listening
            bound.bind(("127.0.0.1", 0))
            self.assertNotEqual(self.ask(bound.getsockname()[1], "/200"), 0)


class Balancer(unittest.TestCase):
    configuration = (DEPLOY / "haproxy.cfg").read_text()

    def test_accepted(self):
        done = run("haproxy", "-c", "-f", str(DEPLOY / "haproxy.cfg"), PATH=os.environ["PATH"] + ":/usr/sbin")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_node(self):
        servers = re.findall(r"^    server (\S+) (\S+)$", self.configuration, re.MULTILINE)
        self.assertEqual(servers, [(node, f"{node}:{port}") for port in (9000, 9001) for node in NODES])


if __name__ == "__main__":
    unittest.main(verbosity=2)
