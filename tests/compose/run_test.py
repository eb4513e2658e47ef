"""The whole of docker-compose.yml on a Docker engine, with both images built from Debian's packages (engine.py)."""

import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import engine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))
import netns  # noqa: E402: found by the line above

NODES = [f"node{number}" for number in range(1, 5)]
MEMBERS = [f"e{number}" for number in range(1, 4)]
ACCESS_KEY, SECRET_KEY = "COMPOSETEST", "compose-test-secret-0123456789"
AWS = Path(sys.executable).with_name("aws")  # of the same virtual environment
HEALTHY_WITHIN_S = 240
SERVER_MIB_MAX = 100  # what the image adds to its base, without the packages that the test's own base has already


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class WholeFile(unittest.TestCase):
    """One cluster for all steps, since starting it takes most of the time."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ostraka-compose-", dir=engine.CACHE))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / "empty").mkdir()
        if os.getpid() == 1:  # under netns.isolate()
            own = engine.OwnEngine(self.folder)
            self.addCleanup(own.close)
        self.port, console = free_port(), free_port()
        self.project = engine.Project(self.folder, engine.make_base(), {
            "OSTRAKA_ROOT_USER": ACCESS_KEY, "OSTRAKA_ROOT_PASSWORD": SECRET_KEY,
            "OSTRAKA_LISTEN": f"127.0.0.1:{self.port}", "OSTRAKA_CONSOLE_LISTEN": f"127.0.0.1:{console}"})
        self.addCleanup(self.project.close)
        self.addCleanup(self.tell_of_failure)

    def tell_of_failure(self):
        result = self._outcome.result
        if any(case is self for case, _ in result.failures + result.errors):
            print(self.project.log_tail(), flush=True)

    def aws(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return engine.run(str(AWS), "--endpoint-url", f"http://127.0.0.1:{self.port}", *words, check=check, env=kept | {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true"})

    def put(self, key: str, size: int) -> str:
        """Its MD5."""
        body = random.Random(key).randbytes(size)
        file = self.folder / "up"
        file.write_bytes(body)
        self.aws("s3", "cp", "--only-show-errors", str(file), f"s3://first/{key}")
        return hashlib.md5(body).hexdigest()

    def assert_there(self, objects: dict[str, str]) -> None:
        for key, digest in objects.items():
            self.aws("s3", "cp", "--only-show-errors", f"s3://first/{key}", str(self.folder / "down"))
            self.assertEqual(hashlib.md5((self.folder / "down").read_bytes()).hexdigest(), digest, key)
        listed = self.aws("s3", "ls", "s3://first").stdout
        self.assertEqual({line.split()[-1] for line in listed.splitlines()}, set(objects))

    def wait_healthy(self, *services: str) -> None:
        for service in services:
            engine.wait_for(lambda name=service: self.project.healthy(name), f"{service} is healthy", HEALTHY_WITHIN_S)

    def test_it_serves_and_goes_on(self):
        self.project.compose("build")
        self.assert_images()
        self.project.compose("up", "--detach")
        self.wait_healthy(*MEMBERS, *NODES, "balancer")
        self.assert_containers()
        self.aws("s3", "mb", "s3://first")
        objects = {"small": self.put("small", 1000), "large": self.put("large", 80 << 20)}  # the large one in parts
        self.assert_there(objects)

        with self.subTest("a node killed"):
            self.project.compose("kill", "node2")
            objects |= {f"without-node2-{number}": self.put(f"without-node2-{number}", 3 << 20) for number in range(5)}
            self.assert_there(objects)
            self.project.compose("start", "node2")
            self.wait_healthy("node2")
        with self.subTest("a member of etcd killed"):
            self.project.compose("kill", "e1")
            self.aws("s3", "mb", "s3://second")
            self.project.compose("start", "e1")
            self.wait_healthy("e1")
        with self.subTest("certificates made twice"):
            done = self.project.compose("run", "--rm", "certificates")
            self.assertIn("are there", done.stdout)
        with self.subTest("all removed but the volumes"):
            self.project.compose("down", "--timeout=60")
            self.project.compose("up", "--detach")
            self.wait_healthy(*MEMBERS, *NODES, "balancer")
            self.assert_there(objects)

    def assert_images(self) -> None:
        sizes = {image: int(engine.run("docker", "image", "inspect", "--format", "{{.Size}}", image).stdout)
                 for image in (engine.BASE_IMAGE, "ostraka:local", "ostraka-balancer:local")}
        print({image: f"{size / (1 << 20):.0f} MiB" for image, size in sizes.items()}, flush=True)
        self.assertLess(sizes["ostraka:local"] - sizes[engine.BASE_IMAGE], SERVER_MIB_MAX << 20)

    def assert_containers(self) -> None:
        self.assertEqual(self.project.state("certificates")["State"]["ExitCode"], 0)
        for service in (*NODES, "balancer"):
            process = self.project.state(service)["State"]["Pid"]
            self.assertNotEqual(Path(f"/proc/{process}").stat().st_uid, 0, f"{service} runs as root")


def main() -> None:
    if os.getpid() != 1:
        if not os.access(engine.BINARY, os.X_OK) and not engine.COMPILE:
            sys.exit(f"{engine.BINARY} is not there: build the target `ostraka` or set OSTRAKA_BINARY")
        if not engine.have("docker-compose"):
            engine.skip("the Debian package docker-compose is not here")
        if not engine.own_engine_is_possible():
            if not engine.engine_answers():
                engine.skip("no Docker engine is here, and no dockerd to start one (Debian package docker.io)")
            engine.make_base()
            unittest.main(verbosity=2)
        engine.make_base()
    netns.isolate()
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
