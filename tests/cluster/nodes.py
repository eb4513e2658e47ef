"""Nodes of Ostraka and members of etcd as real processes, each on a host of its own (netns.py), and the test case for them.

    class Splits(ClusterCase):
        nodes, drives, etcd, erasure_set = 4, 2, 3, "6+2"

        def test_one_away(self):
            self.cluster.start()
            self.net.split(["node1"], ["node2", "node3", "node4", *self.cluster.etcd_names()])

How a node is started is in Cluster.command() alone. With one node and no member the control store is the embedded one.
"""

import http.client
import json
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path

import netns

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "crash"))
from s3 import Client  # noqa: E402: found by the line above

SOURCE = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("OSTRAKA_BINARY", SOURCE / "build/release/bin/ostraka")).resolve()
SKEWED_CLOCK = BINARY.with_name("libskewed_clock.so")
S3_PORT, CONSOLE_PORT, ETCD_PORT, ETCD_PEER_PORT = 9000, 9001, 2379, 2380
ACCESS_KEY, SECRET_KEY = "TESTACCESSKEY", "test-secret-key-0123456789"
TRUST_DOMAIN = "cluster.test"
READY_WITHIN_S = 60  # generous: other tests run beside this one, maybe on an unoptimised build
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 4 << 30 else None
KEEP = os.environ.get("OSTRAKA_KEEP")  # a folder for the logs and histories of tests that failed


def wait_for(what: Callable[[], object], description: str, seconds: float = READY_WITHIN_S, every_s: float = 0.05) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:.0f} s still not: {description}")
        time.sleep(every_s)


class Process:
    """A program on a host that is meant to run from start() to kill() or stop(); when it ends otherwise, check() fails."""

    def __init__(self, host: netns.Host, log: Path, command: Callable[[], list[str]], environment: dict[str, str]):
        self.host, self.log, self.command, self.environment = host, log, command, environment
        self.name = host.name
        self.process: subprocess.Popen | None = None
        self.paused = False

    def start(self) -> None:
        assert self.process is None, f"{self.name} was started already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.host.inside(*self.command()), env=self.environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def check(self) -> None:
        if self.process is not None and not self.running():
            raise AssertionError(f"{self.name} ended by itself with status {self.process.returncode}:\n{self.log_tail()}")

    def kill(self) -> None:
        """kill -9; also of one that is paused."""
        self.check()
        self.process.kill()
        self.process.wait()
        self.process, self.paused = None, False

    def stop(self) -> int:
        """SIGTERM; the exit status. A node of a cluster takes some seconds for it: several at once with ask_to_end() and ended()."""
        self.ask_to_end()
        return self.ended()

    def ask_to_end(self) -> None:
        self.check()
        self.process.terminate()

    def ended(self, seconds: float = 45) -> int:
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end on SIGTERM:\n{self.log_tail()}") from None
        self.process = None
        return status

    def pause(self) -> None:
        self.check()
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True
        deadline = time.monotonic() + 5  # the other processors hear of it a moment later
        while Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            assert time.monotonic() < deadline, f"{self.log} is not stopped"
            time.sleep(0.001)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else "(no log)"


class Node(Process):
    def __init__(self, *arguments, skew_file: Path | None):
        super().__init__(*arguments)
        self.skew_file = skew_file

    def skew(self, seconds: float) -> None:
        """From now on its wall clock is so much ahead (negative: behind)."""
        with self.skew_file.open("r+b") as file, mmap.mmap(file.fileno(), 8) as mapped:
            mapped[:] = round(seconds * 1e9).to_bytes(8, "little", signed=True)

    def get(self, path: str, timeout_s: float = 10) -> tuple[int, str]:
        """GET on the console address, from the lab; status 0 when nothing answers."""
        connection = http.client.HTTPConnection(self.host.address, CONSOLE_PORT, timeout=timeout_s)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def ready(self) -> bool:
        self.check()
        return self.get("/health/ready", timeout_s=2)[0] == 200

    def cluster_health(self) -> dict:
        return json.loads(self.get("/health/cluster")[1] or "{}")

    def endpoint(self) -> str:
        return f"http://{self.host.address}:{S3_PORT}"

    def admin(self, *words: str) -> dict:
        """What `ostraka admin WORDS --json` says of it."""
        done = subprocess.run([str(BINARY), "admin", *words, "--json", "--url", f"http://{self.host.address}:{CONSOLE_PORT}"],
                              env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"admin {' '.join(words)} at {self.name}: {done.stderr or done.stdout}")
        return json.loads(done.stdout)

    def client(self, **options) -> Client:
        return Client(S3_PORT, ACCESS_KEY, SECRET_KEY, host=self.host.address, **options)


class Cluster:
    """Hosts node1... and etcd1..., not yet started."""

    def __init__(self, net: netns.Net, folder: Path, *, nodes: int, drives: int, etcd: int, erasure_set: str, skewed_clocks: bool,
                 balancer: bool = False):
        self.net, self.folder = net, folder
        self.drives, self.erasure_set = drives, erasure_set
        self.data = folder / "data"  # where each node sees its own drives
        self.data.mkdir()
        self.etcd = [self._etcd(f"etcd{number}") for number in range(1, etcd + 1)]
        self.nodes = [self._node(f"node{number}", skewed_clocks) for number in range(1, nodes + 1)]
        self.skewed_clocks = skewed_clocks
        self.balancer = self._balancer() if balancer else None
        self.certificates = folder / "certificates" if nodes > 1 else None
        if self.certificates:
            self._make_certificates()

    def grow(self) -> Node:
        """One node more, not yet started, which the cluster has yet to be told of: admin("node", "add", *urls(node))."""
        node = self._node(f"node{len(self.nodes) + 1}", self.skewed_clocks)
        self.nodes.append(node)
        self._make_node_certificates(node.name)
        return node

    def urls(self, node: Node) -> list[str]:
        return [f"http://{node.name}:{S3_PORT}{self.data}/d{drive}" for drive in range(1, self.drives + 1)]

    def node_names(self) -> list[str]:
        return [node.name for node in self.nodes]

    def etcd_names(self) -> list[str]:
        return [member.name for member in self.etcd]

    def _node(self, name: str, skewed_clocks: bool) -> Node:
        host = self.net.add(name)
        for drive in range(1, self.drives + 1):
            (self.folder / name / f"d{drive}").mkdir(parents=True)
        environment = {"PATH": netns.search_path(), "OSTRAKA_ROOT_USER": ACCESS_KEY, "OSTRAKA_ROOT_PASSWORD": SECRET_KEY,
                       **{k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "TSAN_", "OSTRAKA_SABOTAGE"))}}
        skew_file = None
        if skewed_clocks:
            skew_file = self.folder / f"{name}.skew"
            skew_file.write_bytes(bytes(8))
            environment["OSTRAKA_SKEW_FILE"] = str(skew_file)
        return Node(host, self.folder / f"{name}.log", lambda: self._with_own_drives(name, self.command(name), skewed_clocks),
                    environment, skew_file=skew_file)

    def _with_own_drives(self, name: str, command: list[str], skewed_clock: bool) -> list[str]:
        """Each process on a host has mounts of its own: the same path leads each node to its own drives."""
        preload = ["env", f"LD_PRELOAD={SKEWED_CLOCK}"] if skewed_clock else []
        return ["sh", "-c", 'mount --rbind "$0" "$1" && shift && exec "$@"', str(self.folder / name), str(self.data), *preload, *command]

    def command(self, name: str) -> list[str]:
        """How a node is started."""
        drives = f"{self.data}/d{{1...{self.drives}}}" if self.drives > 1 else f"{self.data}/d1"
        words = [str(BINARY), "server", "--address", f":{S3_PORT}", "--console-address", f":{CONSOLE_PORT}",
                 "--erasure-set", self.erasure_set]
        if self.etcd:
            words += ["--control-store", "etcd://" + ",".join(f"{name}:{ETCD_PORT}" for name in self.etcd_names())]
        if len(self.nodes) > 1:
            words += ["--cluster-certs-dir", str(self.certificates / name)]
            drives = f"http://node{{1...{len(self.nodes)}}}:{S3_PORT}{drives}"
        return [*words, drives]

    def _make_certificates(self) -> None:
        authority = str(self.folder / "authority")
        netns.execute(str(BINARY), "admin", "certs", "ca", "--out", authority, "--trust-domain", TRUST_DOMAIN)
        self._make_node_certificates(*self.node_names())

    def _make_node_certificates(self, *names: str) -> None:
        netns.execute(str(BINARY), "admin", "certs", "node", "--ca", str(self.folder / "authority"), "--out", str(self.certificates), *names)

    def _etcd(self, name: str) -> Process:
        host = self.net.add(name)
        return Process(host, self.folder / f"{name}.log", lambda: self._etcd_command(host), {"PATH": netns.search_path()})

    def initial_cluster(self) -> str:
        return ",".join(f"{member.name}=http://{member.host.address}:{ETCD_PEER_PORT}" for member in self.etcd)

    def etcd_data(self, name: str) -> Path:
        return self.folder / f"{name}.data"

    def _etcd_command(self, host: netns.Host) -> list[str]:
        # Elections take twice the time of etcd's defaults: the machine is small, and all members are on it.
        return ["etcd", "--name", host.name, "--data-dir", str(self.etcd_data(host.name)),
                "--listen-client-urls", f"http://{host.address}:{ETCD_PORT}",
                "--advertise-client-urls", f"http://{host.address}:{ETCD_PORT}",
                "--listen-peer-urls", f"http://{host.address}:{ETCD_PEER_PORT}",
                "--initial-advertise-peer-urls", f"http://{host.address}:{ETCD_PEER_PORT}",
                "--initial-cluster", self.initial_cluster(), "--initial-cluster-token", "ostraka-test", "--logger", "zap",
                "--heartbeat-interval", "200", "--election-timeout", "2000"]

    def _balancer(self) -> Process:
        """That of docker-compose.yml. Nobody answers its questions for names: it stays with /etc/hosts."""
        host = self.net.add("balancer")
        nobody = self.folder / "resolv.conf"
        nobody.write_text(f"nameserver {self.net.lab.address}\n")
        command = ["sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec haproxy -db -f "$1"', str(nobody), str(SOURCE / "deploy/haproxy.cfg")]
        return Process(host, self.folder / "balancer.log", lambda: command, {"PATH": netns.search_path()})

    def processes(self) -> list[Process]:
        return [*self.etcd, *self.nodes, *([self.balancer] if self.balancer else [])]

    def start(self) -> None:
        """All of it, and waits until every node is ready."""
        for process in self.processes():
            process.start()
        self.wait_ready()

    def wait_ready(self, seconds: float = READY_WITHIN_S) -> None:
        for node in self.nodes:
            wait_for(node.ready, f"{node.name} is ready", seconds)

    def check(self) -> None:
        for process in self.processes():
            process.check()

    def close(self) -> None:
        for process in self.processes():
            if process.running():
                process.kill()


class ClusterCase(unittest.TestCase):
    """A cluster that is not started yet as self.cluster; at the end, none of its processes may have ended by itself."""

    nodes, drives, etcd, erasure_set = 4, 2, 3, "6+2"
    relays = False
    skewed_clocks = False
    balancer = False  # one is started beside them

    def setUp(self):
        began = time.monotonic()
        self.folder = Path(tempfile.mkdtemp(prefix="ostraka-cluster-", dir=MEMORY))
        self.addCleanup(lambda: print(f"{self.id()}: {time.monotonic() - began:.1f} s", flush=True))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.cluster: Cluster | None = None
        self.addCleanup(self.tell_of_failure)
        self.seed = int(os.environ.get("OSTRAKA_SEED") or random.SystemRandom().getrandbits(32))
        self.random = random.Random(f"{self.seed} {self.id()}")
        print(f"{self.id()}: seed {self.seed} (repeat with OSTRAKA_SEED={self.seed})", flush=True)
        self.net = netns.Net(self.folder, relays=self.relays)
        self.addCleanup(self.net.close)
        self.cluster = Cluster(self.net, self.folder, nodes=self.nodes, drives=self.drives, etcd=self.etcd,
                               erasure_set=self.erasure_set, skewed_clocks=self.skewed_clocks, balancer=self.balancer)
        self.addCleanup(self.cluster.close)
        self.addCleanup(self.cluster.check)

    def tell_of_failure(self) -> None:
        result = self._outcome.result
        if not any(case is self for case, _ in result.failures + result.errors):
            return
        for process in self.cluster.processes() if self.cluster else []:
            print(f"--- the log of {process.name} ends:\n{process.log_tail()}", flush=True)
        if KEEP:
            kept = Path(tempfile.mkdtemp(prefix=f"{self.id()}-", dir=KEEP))
            for file in self.folder.iterdir():
                if file.is_file():
                    shutil.copy(file, kept)
            print(f"--- logs and histories are kept in {kept}", flush=True)


def main() -> None:
    """Instead of unittest.main(): in namespaces of its own."""
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"{BINARY} is not there: build the target `ostraka` or set OSTRAKA_BINARY")
    netns.isolate()
    unittest.main(module="__main__", verbosity=2)
