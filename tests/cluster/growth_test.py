"""A loaded cluster grows and shrinks: clients notice nothing, data ends up evenly spread, and whoever dies in the middle, it goes on.

    growth_test.py Quick               what is in the default suite
    growth_test.py Long LongDeaths     more data, and deaths in the middle
    growth_test.py HandOver            a death that leaves groups without a spare shard; by hand: what was written in the moment before it was sealed may lack a shard

Needs boto3: the interpreter of build/clients-venv.
"""

import json
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import nodes
from cluster_test import BUCKET, Case
from nodes import Node, wait_for
from sdk_load import SdkLoad, s3

EVEN = 0.1  # how far a drive may be from the mean
MOVED_WITHIN_S = 240  # on an unoptimised build, beside other tests


class Growth(Case):
    def growth_status(self) -> dict:
        """Of the first node that answers; {}: none does just now, or nobody leads."""
        for node in self.cluster.nodes:
            if node.running() and not node.paused:
                try:
                    return node.admin("rebalance", "status")
                except AssertionError:
                    continue
        return {}

    def refused(self, *words: str) -> str:
        """The reason that an operator is told."""
        node = self.cluster.nodes[0]
        done = subprocess.run([str(nodes.BINARY), "admin", *words, "--url", f"http://{node.host.address}:{nodes.CONSOLE_PORT}"],
                              env=node.environment, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr

    def wait_balanced(self, wanted: set[str], seconds: float = MOVED_WITHIN_S) -> dict:
        """Until data lies on the drives of these nodes alone, and nothing is left to be moved."""
        last: dict = {}

        def balanced() -> bool:
            status = self.growth_status()
            last.update(status)
            on = {drive["node"] for drive in status.get("drives", []) if drive["groups"] > 0}
            return status.get("state") == "balanced" and on == wanted and status["slots_left"] == 0
        began = time.monotonic()
        try:
            wait_for(balanced, f"data is spread over {sorted(wanted)}", seconds, every_s=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}: {json.dumps(last)}") from None
        print(f"spread over {len(wanted)} nodes after {time.monotonic() - began:.1f} s", flush=True)
        return last

    def assert_even(self, status: dict, what: str, of_drive) -> None:
        values = {drive["drive"]: of_drive(drive) for drive in status["drives"] if drive["state"] == "in_service"}
        mean = sum(values.values()) / len(values)
        for drive, value in values.items():
            self.assertAlmostEqual(value / mean, 1, delta=EVEN, msg=f"{what} of {drive}: {values}")

    def shard_bytes(self, drive: dict) -> int:
        """In the shard files of a drive."""
        folder = self.folder / drive["node"] / Path(drive["drive"]).name / "data"
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    def add_node(self) -> Node:
        node = self.cluster.grow()
        self.node[node.name] = node
        self.cluster.nodes[1].admin("node", "add", *self.cluster.urls(node))
        self.assertIn(f"{node.name} was added and has never been started", self.refused("node", "add", "http://node9:9000/data/d1"))
        node.start()
        return node

    def assert_all_there(self, load: SdkLoad, objects: dict[str, str]) -> None:
        """What was there before, and what the load has written: read and listed at every node."""
        for node in self.cluster.nodes:
            self.assert_there(objects, node.endpoint())
        client = s3(self.cluster.nodes[0].endpoint())
        for key in objects:
            client.delete_object(Bucket=BUCKET, Key=key)
        for node in self.cluster.nodes:
            load.assert_all_there(node.endpoint())

    def names(self) -> set[str]:
        return {node.name for node in self.cluster.nodes}


class Quick(Growth):
    def test_a_node_comes_and_goes(self):
        """Nobody notices; each drive gets its share, and what was added is removed without a trace."""
        self.start()
        objects = self.put_some(30, "before", self.cluster.nodes[0].endpoint())
        founders = self.names()
        with self.load(clients=2) as load:
            load.wait_for_calls(20)
            self.assertIn("the cluster has no node node9", self.refused("node", "drain", "node9"))
            self.assertIn("6 drives would stay", self.refused("node", "drain", "node1"))
            node = self.add_node()
            wait_for(node.ready, f"{node.name} is ready")
            status = self.wait_balanced(self.names())
            self.assert_even(status, "groups", lambda drive: drive["groups"])
            self.assert_there(objects, node.endpoint())
            self.assertIn("drain it first", self.refused("node", "remove", node.name))

            self.cluster.nodes[2].admin("node", "drain", node.name)
            status = self.wait_balanced(founders)
            self.assert_even(status, "groups", lambda drive: drive["groups"])
            self.assertEqual(self.cluster.nodes[3].admin("node", "remove", node.name)["drives"], self.cluster.urls(node))
            wait_for(lambda: not node.ready(), f"balancers leave {node.name} alone", 10)
            load.wait_for_calls(20)
        load.check()
        table = self.growth_status()["drives"]
        self.assertEqual([drive["state"] for drive in table], ["in_service"] * 8 + ["removed"] * 2)
        self.assertEqual(sum(drive["groups"] for drive in table[8:]), 0)
        node.stop()
        self.cluster.nodes.remove(node)
        self.assert_all_there(load, objects)


class Long(Growth):
    def put_many(self, count: int, size: int) -> None:
        client = s3(self.cluster.nodes[0].endpoint())
        for number in range(count):
            client.put_object(Bucket=BUCKET, Key=f"many/{number:04d}", Body=self.random.randbytes(size))

    def test_bytes_are_even(self):
        """Not groups alone, but what lies on the drives."""
        self.start()
        self.put_many(1000, 400_000)
        self.add_node()
        self.assert_even(self.wait_balanced(self.names()), "bytes", self.shard_bytes)
        self.cluster.nodes[0].admin("node", "drain", "node5")
        status = self.wait_balanced({"node1", "node2", "node3", "node4"})
        self.assert_even(status, "bytes", self.shard_bytes)
        for drive in status["drives"][8:]:
            self.assertEqual(self.shard_bytes(drive), 0, "what has moved is removed")

    def test_taken_back_and_paused(self):
        """A drain that was begun is taken back, and paused in the middle; all is where it was, and nothing is lost."""
        self.start()
        node = self.add_node()
        objects = self.put_some(60, "before", self.cluster.nodes[0].endpoint())
        self.wait_balanced(self.names())
        self.cluster.nodes[0].admin("node", "drain", node.name)
        wait_for(lambda: self.growth_status().get("slots_done", 0) > 0, "some have moved", 60, every_s=0.1)
        self.cluster.nodes[1].admin("rebalance", "pause")
        wait_for(lambda: self.growth_status().get("state") == "paused", "it is paused", 60)
        self.cluster.nodes[2].admin("node", "drain", node.name, "--cancel")
        self.cluster.nodes[1].admin("rebalance", "resume")
        self.assert_even(self.wait_balanced(self.names()), "groups", lambda drive: drive["groups"])
        for other in self.cluster.nodes:
            self.assert_there(objects, other.endpoint())


class LongDeaths(Growth):
    """With parity for a node (two shards) and for the one that is being handed over when it dies."""

    erasure_set = "5+3"

    def test_deaths_in_the_middle(self):
        """The node that leads in moving dies, twice, and the one that is added, too: whoever leads next goes on. Clients notice nothing."""
        self.start()
        objects = self.put_some(60, "before", self.cluster.nodes[0].endpoint())
        with self.load() as load:
            load.wait_for_calls(40)
            node = self.add_node()
            deaths = defaultdict(int)
            for victim in ("leader", "added", "leader"):
                def under_way() -> bool:
                    status = self.growth_status()
                    return status.get("slots_left", 0) > 0 and bool(status.get("leader")) and bool(status.get("now"))
                wait_for(under_way, "data is being moved", 60, every_s=0.1)
                who = self.node[self.growth_status()["leader"]] if victim == "leader" else node
                who.kill()
                deaths[who.name] += 1
                for other in self.cluster.nodes:
                    if other is not who:
                        self.assertEqual(len(other.admin("drive", "list")["drives"]), 10, "whoever leads, or nobody")
                load.wait_for_calls(60)
                who.start()
                wait_for(who.ready, f"{who.name} is ready")
            print(f"killed in the middle: {dict(deaths)}", flush=True)
            status = self.wait_balanced(self.names(), 2 * MOVED_WITHIN_S)
            self.assert_even(status, "groups", lambda drive: drive["groups"])
        load.check()
        self.wait_healed(120)
        self.assert_all_there(load, objects)


class HandOver(Growth):
    """With no parity to spare once a node is dead: what it was handing over then answers nowhere."""

    LEADS_AGAIN_S = 5  # that of the lease in etcd would be 10

    def under_way(self) -> bool:
        """Data is being moved, for as long as it takes: to the new node, and away from it again."""
        status, newest = self.growth_status(), self.cluster.nodes[-1].name
        there = any(drive["node"] == newest and drive["groups"] > 0 for drive in status.get("drives", []))
        if status.get("state") == "balanced" and there != self.drains:
            self.drains = not self.drains
            self.cluster.nodes[0].admin("node", "drain", newest, *(() if self.drains else ("--cancel",)))
        return bool(status.get("now")) and bool(status.get("leader"))

    def sealed_by(self, tries: int = 60) -> Node:
        """Cut off from etcd, a leader cannot write down where groups are that it has sealed: they stay so. Not the first node, nor the last, which is new."""
        others = {node.name for node in self.cluster.nodes[1:-1]}
        for _ in range(tries):
            wait_for(self.under_way, "data is being moved", 60, every_s=0.02)
            name = self.growth_status().get("leader", "")
            if name not in self.node:
                continue
            leader = self.node[name]
            if name not in others:
                leader.stop()  # another leads
                leader.start()
                self.cluster.wait_ready()
                continue
            for member in self.cluster.etcd_names():
                self.net.cut(name, member)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                if "being handed over" in leader.admin("rebalance", "status")["now"]:
                    return leader
            self.net.heal()
        raise AssertionError("no leader was cut off in a hand-over")

    def test_leader_dies_in_a_hand_over(self):
        """Another node deposes it and ends what it began; clients have to wait for a moment."""
        self.start()
        self.drains = False
        objects = self.put_some(90, "before", self.cluster.nodes[0].endpoint())
        with self.load(clients=6) as load:
            load.wait_for_calls(100)
            self.add_node()
            leader = self.sealed_by()
            sealed = time.monotonic()
            leader.kill()
            killed = time.monotonic()
            wait_for(lambda: self.growth_status().get("leader") not in ("", None, leader.name), "another node leads", 30, every_s=0.02)
            leads = time.monotonic() - killed
            load.wait_for_calls(500)
            calls = [call for call in load.calls if call.began > sealed - 1]
            print(f"after {leader.name} died another led in {leads:.2f} s; slowest request {max(call.took for call in calls):.2f} s, "
                  f"retries {sum(call.retries for call in calls)}", flush=True)
            self.net.heal()
            leader.start()
            wait_for(leader.ready, f"{leader.name} is ready")
            if self.drains:
                self.cluster.nodes[0].admin("node", "drain", self.cluster.nodes[-1].name, "--cancel")
            self.wait_balanced(self.names(), 2 * MOVED_WITHIN_S)
        load.check()
        self.assertLess(leads, self.LEADS_AGAIN_S)
        self.assert_all_there(load, objects)


if __name__ == "__main__":
    nodes.main()
