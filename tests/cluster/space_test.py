"""Drives of unequal size, and drives that are full, in a cluster: file systems of some 100 MiB in memory, each mounted where a drive is.

    space_test.py Unequal Full

Needs boto3: the interpreter of build/clients-venv.
"""

import hashlib
import re
import shutil
import time

import netns
import nodes
from cluster_test import BUCKET
from growth_test import EVEN, Growth
from nodes import Node, wait_for
from s3 import Answer

KB, MIB = 1000, 1 << 20
FULL = (507, "InsufficientStorage")
BY_CHANCE = 0.06  # two standard deviations of how many of 3000 objects are in the groups of the smallest drive
TRIES = 3
ROOM_AGAIN_S = 60  # what was deleted is removed in the background, and a drive asks for its room five times a second
HEALED_S = 180


class Spaces(Growth):
    balancer = False
    sizes_mib: dict[str, list[int]] = {}  # of each node's drives; 64 MiB of each are its reserve

    def setUp(self):
        super().setUp()
        self.held: dict[str, str] = {}  # what was acknowledged: MD5s by key
        for name, sizes in self.sizes_mib.items():
            if name in self.node:
                self.mount(name)

    def mount(self, name: str) -> None:
        """Before the node is started, or started again."""
        for number, mib in enumerate(self.sizes_mib[name], 1):
            drive = self.folder / name / f"d{number}"
            if not drive.is_mount():
                drive.mkdir(exist_ok=True)
                netns.execute("mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(drive))
                self.addCleanup(netns.execute, "umount", "--lazy", str(drive))

    def put(self, node: Node, key: str, size: int) -> Answer:
        """What is acknowledged has to be there from now on. Tried again on 503 as an SDK does: a write in the midst of which its drives
        became full, some before they had its shard and some after, may be told so."""
        body = self.random.randbytes(size)
        with node.client(timeout_s=30) as client:
            for _ in range(TRIES):
                answer = client.put(BUCKET, key, body)
                if answer.status != 503:
                    break
        if answer.status == 200:
            self.held[key] = hashlib.md5(body).hexdigest()
        return answer

    def put_stored(self, node: Node, key: str, size: int) -> None:
        answer = self.put(node, key, size)
        self.assertEqual(answer.status, 200, f"PUT {key} of {size} bytes at {node.name}: {answer.brief()}")

    def delete(self, node: Node, key: str) -> None:
        with node.client(timeout_s=30) as client:
            answer = client.delete(BUCKET, key)
        self.assertEqual(answer.status, 204, f"DELETE {key} at {node.name}: {answer.brief()}")
        del self.held[key]

    def assert_all_held(self, *through: Node) -> None:
        """Nothing more and nothing less is read and listed; each object is read by one of the nodes."""
        clients = [node.client(timeout_s=30) for node in through]
        for number, (key, digest) in enumerate(sorted(self.held.items())):
            answer = clients[number % len(clients)].get(BUCKET, key)
            self.assertEqual((answer.status, hashlib.md5(answer.body).hexdigest()), (200, digest),
                             f"GET {key} at {through[number % len(clients)].name}: {answer.brief()}")
        for client, node in zip(clients, through):
            listed = {entry["Key"]: entry["ETag"].strip('"') for entry in client.list_all(BUCKET)}
            self.assertEqual(listed, self.held, f"the listing at {node.name}")
            client.close()


class Unequal(Spaces):
    erasure_set = "4+2"
    sizes_mib = {"node1": [400, 400], "node2": [400, 800], "node3": [800, 800, 400], "node4": [600, 600], "node5": [1000, 1000]}

    def setUp(self):
        super().setUp()
        self.third = f"http://node3:{nodes.S3_PORT}{self.cluster.data}/d3"

    def with_third_drive(self, node: Node) -> None:
        told = node.command
        node.command = lambda: [*told(), self.third]

    def assert_in_proportion(self, status: dict, what: str, of_drive, by_chance: float = 0) -> None:
        values = {drive["drive"]: (of_drive(drive), drive["total_bytes"]) for drive in status["drives"]}
        mean = sum(value for value, _ in values.values()) / sum(size for _, size in values.values())
        parts = {drive: value / size / mean for drive, (value, size) in values.items()}
        print(f"{what}, of what the size says: {min(parts.values()):.3f} to {max(parts.values()):.3f}", flush=True)
        for drive, part in parts.items():
            self.assertAlmostEqual(part, 1, delta=EVEN + by_chance, msg=f"{what} of {drive}: {parts}")

    def test_shares_in_proportion(self):
        """At first, and after a drive and a node were added: each drive carries what its size says, and nothing is lost."""
        self.start()
        founders = self.cluster.nodes[:]
        for number in range(3000):
            self.put_stored(founders[number % 4], f"many/{number:04d}", 300 * KB)
        status = self.wait_balanced(self.names())
        self.assertEqual([drive["total_bytes"] // MIB for drive in status["drives"]], [400, 400, 400, 800, 800, 800, 600, 600])
        self.assert_in_proportion(status, "groups at first", lambda drive: drive["groups"])
        self.assert_in_proportion(status, "bytes at first", self.shard_bytes, BY_CHANCE)

        self.cluster.nodes[0].admin("drive", "add", self.third)
        grown = self.cluster.nodes[2]
        self.assertEqual(grown.stop(), 0)
        self.mount(grown.name)
        self.with_third_drive(grown)
        grown.start()
        wait_for(grown.ready, f"{grown.name} is ready")
        node = self.cluster.grow()
        self.mount(node.name)
        self.with_third_drive(node)
        self.node[node.name] = node
        wait_for(lambda: self.growth_status().get("state") is not None, "somebody leads")
        self.cluster.nodes[1].admin("node", "add", *self.cluster.urls(node))
        node.start()
        wait_for(node.ready, f"{node.name} is ready")
        wait_for(lambda: all(drive["groups"] for drive in self.growth_status().get("drives", [{"groups": 0}])), "all drives have groups")
        status = self.wait_balanced(self.names())
        self.assertEqual(len(status["drives"]), 11)
        self.assert_in_proportion(status, "groups", lambda drive: drive["groups"])
        self.assert_in_proportion(status, "bytes", self.shard_bytes, BY_CHANCE)
        self.assert_all_held(*self.cluster.nodes)


class Full(Spaces):
    """6+2: each drive has a shard of every object, so the one that is smaller is full first."""

    sizes_mib = {"node1": [160, 224], "node2": [224, 224], "node3": [224, 224], "node4": [224, 224]}
    SIZES = (3 * MIB, 300 * KB, 20 * KB, 200)  # of several stripes, of one, and in the index

    def any_node(self) -> Node:
        return self.random.choice(self.cluster.nodes)

    def full_drives(self) -> list[str]:
        """As one node's health names them: three at most."""
        named = re.search(r"full \(([^)]*?)(?: and \d+ more)?\)", self.cluster.nodes[1].get("/health/cluster")[1])
        return named[1].split(", ") if named else []

    def fill(self, prefix: str, done) -> int:
        """Of all sizes, while they are stored: a drive that has no room for a large shard has some for small ones. How many were."""
        sizes = list(self.SIZES)
        for number in range(5000):
            if done():
                return number
            answer = self.put(self.any_node(), f"{prefix}/{number:04d}", sizes[number % len(sizes)])
            self.assertEqual(answer.status, 200, f"object {number}: {answer.brief()}")
        self.fail("never full")

    def fill_all(self) -> int:
        """The largest first, until not one byte of an object is stored; how many were."""
        count = 0
        for size in self.SIZES:
            while (answer := self.put(self.any_node(), f"all/{count:05d}", size)).status == 200:
                count += 1
            self.assertEqual((answer.status, answer.code), FULL, answer.brief())
        return count

    def test_one_drive_and_then_all(self):
        self.start()
        one = f"http://node1:{nodes.S3_PORT}{self.cluster.data}/d1"
        asked = self.cluster.nodes[2]
        began = time.monotonic()
        count = self.fill("first", lambda: "full" in asked.get("/health/cluster")[1])
        print(f"one drive is full after {count} objects and {time.monotonic() - began:.1f} s: {asked.get('/health/cluster')}", flush=True)
        self.assertEqual(self.full_drives(), [one])
        for node in self.cluster.nodes:
            def named(of=node) -> bool:
                status, said = of.get("/health/cluster")
                return status == 200 and of.cluster_health()["status"] == "degraded" and "full" in said and one in said
            wait_for(named, f"{node.name} says that {one} is full", 10)
            self.assertTrue(node.ready())
            self.assertEqual(node.cluster_health()["may_lose_and_write"], 1)
        for number, node in enumerate(self.cluster.nodes * 4):
            self.put_stored(node, f"without it/{number}", self.SIZES[number % 4])
            self.put_stored(node, f"first/{number:04d}", self.SIZES[number % 3])  # another in its place
        for number, node in enumerate(self.cluster.nodes, 20):
            self.delete(node, f"first/{number:04d}")
        self.assert_all_held(*self.cluster.nodes)

        began = time.monotonic()
        count = self.fill_all()
        print(f"all are full after {count} more and {time.monotonic() - began:.1f} s: {asked.get('/health/cluster')}; "
              f"MiB free: {self.free_mib()}", flush=True)
        self.assertIn(one, self.full_drives())
        self.assertGreater(min(self.free_mib()), 16, "the reserve is used up by writes")
        for node in self.cluster.nodes:
            for size in self.SIZES:
                answer = self.put(node, "too much", size)
                self.assertEqual((answer.status, answer.code), FULL, f"{size} bytes at {node.name}: {answer.brief()}")
            self.assertTrue(node.ready(), "it serves reads and deletes")
            self.assertIn("too few have room to write, objects can be read and deleted", node.cluster_health()["sentence"])
        self.assert_all_held(*self.cluster.nodes)

        larger = [key for key in sorted(self.held) if key.startswith("all/")][:12]
        for number, key in enumerate(larger):
            self.delete(self.cluster.nodes[number % 4], key)
        began = time.monotonic()
        for node in self.cluster.nodes:
            wait_for(lambda of=node: self.put(of, f"again/{of.name}", 3 * MIB).status == 200, f"{node.name} stores again", ROOM_AGAIN_S, 0.2)
        print(f"writes again {time.monotonic() - began:.1f} s after the deletes", flush=True)
        self.assert_all_held(*self.cluster.nodes)

        # With room for all, the small drive too gets what it has missed: two others may go then.
        for number, key in enumerate([key for key in sorted(self.held) if key.startswith("first/")][::2]):
            self.delete(self.cluster.nodes[number % 4], key)
        for number, key in enumerate([key for key in sorted(self.held) if key.startswith("all/")]):
            self.delete(self.cluster.nodes[number % 4], key)
        self.wait_healed(HEALED_S)
        self.assertEqual(self.full_drives(), [])
        for node in self.cluster.nodes:
            wait_for(lambda of=node: of.cluster_health()["status"] == "ok", f"{node.name} is content", 30)
        self.cluster.nodes[3].kill()
        self.assert_all_held(*self.cluster.nodes[:3])
        self.cluster.nodes[3].start()
        self.cluster.wait_ready()

    def free_mib(self) -> list[int]:
        return [shutil.disk_usage(self.folder / name / f"d{number}").free // MIB
                for name in self.cluster.node_names() for number in (1, 2)]


if __name__ == "__main__":
    nodes.main()
