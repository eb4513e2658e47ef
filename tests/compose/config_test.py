"""docker-compose.yml as docker-compose 1.29 and Compose v2 read it: is the topology in it the one that docs/cluster.md promises?

Needs no engine: `docker-compose config` (Debian's), and the library of Compose v2 (v2/).
"""

import json
import os
import re
import subprocess
import unittest
from pathlib import Path

import yaml

SOURCE = Path(__file__).resolve().parents[2]
FILE = SOURCE / "docker-compose.yml"
COMPOSE_V2 = os.environ.get("OSTRAKA_COMPOSE_V2", "")
CREDENTIAL = {"OSTRAKA_ROOT_USER": "someone", "OSTRAKA_ROOT_PASSWORD": "it$ long secret"}
NODES = [f"node{number}" for number in range(1, 5)]
MEMBERS = [f"e{number}" for number in range(1, 4)]
DRIVES = ["/data/d1", "/data/d2"]


def environment(**variables: str) -> dict[str, str]:
    """Of the caller's nothing but where programs are: a .env file or a variable of ours must not decide."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}


def as_pairs(values: list | dict | None) -> dict:
    return values if isinstance(values, dict) else dict(value.split("=", 1) for value in values or [])


class Topology:
    """What both readers agree on must be asked in one way: here."""

    def __init__(self, document: dict):
        self.services: dict[str, dict] = document["services"]
        self.volumes = set(document["volumes"])
        self.networks = document["networks"]

    def mounts(self, service: str) -> dict[str, tuple[str, bool]]:
        """Where, and of which volume, and whether it may be written."""
        out = {}
        for volume in self.services[service].get("volumes") or []:
            if isinstance(volume, str):
                source, target, *mode = volume.split(":")
                out[target] = (source, mode != ["ro"])
            else:
                out[volume["target"]] = (volume["source"], not volume.get("read_only", False))
        return out

    def published(self, service: str) -> list[tuple[str, str, int]]:
        """Address, port outside, port inside."""
        out = []
        for port in self.services[service].get("ports") or []:
            if isinstance(port, str):
                address, outside, inside = port.split("/")[0].rsplit(":", 2)
                out.append((address, outside, int(inside)))
            else:
                out.append((port.get("host_ip", ""), str(port["published"]), int(port["target"])))
        return sorted(out)

    def environment(self, service: str) -> dict:
        return as_pairs(self.services[service].get("environment"))

    def options(self, service: str) -> dict[str, str]:
        """Of a node's command line; "" is the drives' pattern."""
        verb, *words = self.services[service]["command"]
        assert verb == "server", verb
        return {name: value for name, _, value in (word.partition("=") if word.startswith("--") else ("", "", word) for word in words)}

    def on(self, network: str) -> set[str]:
        return {name for name, service in self.services.items() if network in (service.get("networks") or {})}


def expand(pattern: str) -> list[str]:
    """http://node{1...4}:9000/data/d{1...2} into the eight URLs."""
    found = re.search(r"\{(\d+)\.\.\.(\d+)\}", pattern)
    if not found:
        return [pattern]
    return [url for number in range(int(found[1]), int(found[2]) + 1)
            for url in expand(pattern[:found.start()] + str(number) + pattern[found.end():])]


class ByDockerCompose(unittest.TestCase):
    """docker-compose 1.29."""

    @classmethod
    def read(cls, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run(["docker-compose", "-f", str(FILE), "config"], env=environment(**variables), cwd="/", capture_output=True,
                              text=True, check=False)

    @staticmethod
    def parse(text: str) -> dict:
        return yaml.safe_load(text)

    @staticmethod
    def as_given(secret: str) -> str:
        return secret.replace("$", "$$")  # what it prints is a compose file again

    @classmethod
    def topology(cls, **variables: str) -> Topology:
        done = cls.read(**CREDENTIAL | variables)
        assert done.returncode == 0, done.stderr
        return Topology(cls.parse(done.stdout))

    @classmethod
    def setUpClass(cls):
        cls.there = cls.topology()

    def test_services(self):
        self.assertEqual(set(self.there.services), {*NODES, *MEMBERS, "balancer", "certificates"})

    def test_four_nodes_with_two_drives(self):
        for node in NODES:
            options = self.there.options(node)
            self.assertEqual(expand(options[""]), [f"http://{name}:9000{drive}" for name in NODES for drive in DRIVES])
            self.assertEqual((options["--erasure-set"], options["--address"]), ("6+2", ":9000"))
            self.assertEqual(options["--control-store"], "etcd://" + ",".join(f"{member}:2379" for member in MEMBERS))
            self.assertEqual(self.there.services[node]["hostname"], node)
        commands = {json.dumps(self.there.services[node]["command"]) for node in NODES}
        self.assertEqual(len(commands), 1, "nodes with different command lines refuse each other")

    def test_every_drive_is_a_volume_of_its_own(self):
        drives = [self.there.mounts(node)[drive] for node in NODES for drive in DRIVES]
        self.assertEqual(len({volume for volume, _ in drives}), 8)
        self.assertTrue(all(writable for _, writable in drives))
        used = {volume for service in self.there.services for volume, _ in self.there.mounts(service).values()}
        self.assertEqual(used, self.there.volumes, "named volumes, and all of them used")

    def test_three_members_of_etcd(self):
        everyone = ",".join(f"{member}=http://{member}:2380" for member in MEMBERS)
        for member in MEMBERS:
            told = self.there.environment(member)
            self.assertEqual((told["ETCD_NAME"], told["ETCD_INITIAL_CLUSTER"]), (member, everyone))
            self.assertEqual(told["ETCD_ADVERTISE_CLIENT_URLS"], f"http://{member}:2379")
            self.assertEqual(told["ETCD_INITIAL_ADVERTISE_PEER_URLS"], f"http://{member}:2380")
            folder = Path(told["ETCD_DATA_DIR"])
            self.assertTrue(any(Path(target) in folder.parents for target in self.there.mounts(member)), "its data outlive the container")

    def test_certificates(self):
        verb, *words = [*self.there.services["certificates"]["entrypoint"], *self.there.services["certificates"]["command"]]
        self.assertEqual((verb, words), ("make_certificates.sh", ["/authority", "/nodes", *NODES]))
        makes = self.there.mounts("certificates")
        for node in NODES:
            self.assertEqual(self.there.options(node)["--cluster-certs-dir"], "/certs")
            self.assertEqual(self.there.mounts(node)["/certs"], (makes[f"/nodes/{node}"][0], False), "its own folder, and only to read")
            self.assertEqual(self.there.services[node]["depends_on"]["certificates"]["condition"], "service_completed_successfully")
        authority = makes["/authority"][0]
        holders = [service for service in self.there.services for volume, _ in self.there.mounts(service).values() if volume == authority]
        self.assertEqual(holders, ["certificates"], "whoever has the authority's key can make a node")

    def test_start_order_does_not_matter(self):
        for node in NODES:
            self.assertEqual(set(self.there.services[node]["depends_on"]), {"certificates"})
        for service in (*MEMBERS, "balancer"):
            self.assertFalse(self.there.services[service].get("depends_on"))

    def test_credential_has_no_default(self):
        for missing in CREDENTIAL:
            for value in ({}, {missing: ""}):
                done = self.read(**{name: text for name, text in CREDENTIAL.items() if name != missing}, **value)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(missing, done.stderr)
        for node in NODES:
            told = self.there.environment(node)
            self.assertEqual({name: told[name] for name in CREDENTIAL}, {name: self.as_given(text) for name, text in CREDENTIAL.items()})
        for service in (*MEMBERS, "balancer", "certificates"):
            self.assertFalse(CREDENTIAL.keys() & self.there.environment(service).keys())

    def test_only_the_balancer_is_published(self):
        self.assertEqual(self.there.published("balancer"), [("127.0.0.1", "9000", 9000), ("127.0.0.1", "9001", 9001)])
        for service in (*NODES, *MEMBERS, "certificates"):
            self.assertEqual(self.there.published(service), [])
        other = self.topology(OSTRAKA_LISTEN="0.0.0.0:80")
        self.assertIn(("0.0.0.0", "80", 9000), other.published("balancer"))

    def test_networks(self):
        self.assertEqual(self.there.on("control"), {*NODES, *MEMBERS})
        self.assertEqual(self.there.on("cluster"), {*NODES, "balancer"})
        self.assertTrue(self.there.networks["control"]["internal"])

    def test_health_checks(self):
        for service in (*NODES, *MEMBERS, "balancer"):
            self.assertEqual(self.there.services[service]["healthcheck"]["test"][0], "CMD", service)
            self.assertEqual(self.there.services[service]["restart"], "unless-stopped", service)
        for node in NODES:
            self.assertIn("/health/ready", self.there.services[node]["healthcheck"]["test"])

    def test_images_are_arguments(self):
        other = self.topology(BASE_IMAGE="registry.example/debian:12", ETCD_IMAGE="registry.example/etcd:1", OSTRAKA_IMAGE="ostraka:9")
        for service in ("balancer", "certificates"):
            self.assertEqual(as_pairs(other.services[service]["build"]["args"]), {"BASE_IMAGE": "registry.example/debian:12"})
            self.assertEqual(as_pairs(self.there.services[service]["build"]["args"]), {"BASE_IMAGE": "debian:12-slim"})
        self.assertEqual({other.services[member]["image"] for member in MEMBERS}, {"registry.example/etcd:1"})
        self.assertEqual({other.services[node]["image"] for node in (*NODES, "certificates")}, {"ostraka:9"})

    def test_what_is_built(self):
        stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (SOURCE / "Dockerfile").read_text(), re.MULTILINE))
        for service in ("balancer", "certificates"):
            self.assertIn(self.there.services[service]["build"]["target"], stages)
        built = {service["image"] for service in self.there.services.values() if "build" in service}
        for node in NODES:
            self.assertIn(self.there.services[node]["image"], built)
            self.assertEqual(self.there.services[node]["pull_policy"], "never", "an image that is built here is not asked of a registry")


@unittest.skipUnless(COMPOSE_V2, "Go is not here, and without it nothing of Compose v2")
class ByComposeV2(ByDockerCompose):
    """The library of Compose v2."""

    @classmethod
    def read(cls, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run([COMPOSE_V2, str(FILE)], env=environment(**variables), cwd="/", capture_output=True, text=True, check=False)

    @staticmethod
    def parse(text: str) -> dict:
        return json.loads(text)

    @staticmethod
    def as_given(secret: str) -> str:
        return secret


if __name__ == "__main__":
    unittest.main(verbosity=2)
