"""Nodes of several releases in one cluster. This one speaks version 1 of the peer protocol; others are made from it (other_release.cc).

    upgrade_test.py Refusal   in the default suite
    upgrade_test.py Rolling   up and down again under load

Needs boto3: the interpreter of build/clients-venv.
"""

import os
from pathlib import Path

import nodes
from cluster_test import Case
from nodes import Node, wait_for

OTHER = Path(os.environ.get("OSTRAKA_OTHER_RELEASE", nodes.BINARY.with_name("ostraka_other_release"))).resolve()
SAID_WITHIN_S = 30


class Releases(Case):
    def setUp(self):
        super().setUp()
        self.told = {node.name: node.command for node in self.cluster.nodes}

    def install(self, node: Node, versions: str) -> None:
        """For its next start: a release that speaks these, or (with none) this one."""
        told = self.told[node.name]
        node.environment["OSTRAKA_PEER_VERSIONS"] = versions
        node.command = (lambda: [str(OTHER) if word == str(nodes.BINARY) else word for word in told()]) if versions else told

    def replace(self, node: Node, versions: str) -> None:
        self.assertEqual(node.stop(), 0)
        self.install(node, versions)
        node.start()


class Refusal(Releases):
    balancer = False

    def test_nothing_in_common(self):
        """A node that speaks no version that the others do serves nobody, all say why, and the others serve on."""
        self.start()
        *rest, stranger = self.random.sample(self.cluster.nodes, 4)
        before = self.put_some(6, "before", stranger.endpoint())
        self.replace(stranger, "2-2")
        ours, its = "versions 1 to 1 of the peer protocol, and we 2 to 2", "versions 2 to 2 of the peer protocol, and we 1 to 1"
        wait_for(lambda: ours in stranger.log.read_text(), f"{stranger.name} says what the others speak", SAID_WITHIN_S)
        for node in rest:
            wait_for(lambda of=node: its in of.log.read_text(), f"{node.name} says what {stranger.name} speaks", SAID_WITHIN_S)
            wait_for(lambda of=node: of.cluster_health()["drives_online"] == 6, f"{node.name} does without {stranger.name}", SAID_WITHIN_S)
            self.assertTrue(node.ready())
        print(next(line for line in stranger.log.read_text().splitlines() if ours in line), flush=True)
        during = self.put_some(6, "during", rest[0].endpoint())
        for node in rest:
            self.assert_there(before | during, node.endpoint())
        self.assertTrue(stranger.running())
        self.assertFalse(stranger.ready())
        stranger.kill()  # it has nothing to end

        self.install(stranger, "1-2")  # what an upgrade takes
        stranger.start()
        self.cluster.wait_ready()
        self.wait_healed()
        self.assert_there(before | during, stranger.endpoint())


class Rolling(Releases):
    def test_up_and_down_again(self):
        """Node by node as docs/cluster.md says, to a release that speaks two versions, on to one that speaks the second alone, and all the way back."""
        self.start()
        with self.load() as load:
            load.wait_for_calls(60)
            for versions in ("1-2", "2-2", "1-2", ""):
                for node in self.random.sample(self.cluster.nodes, 4):
                    self.replace(node, versions)
                    wait_for(node.ready, f"{node.name} is ready with {versions or 'this release'}")
                    self.wait_healed(under_load=True)
                    load.wait_for_calls(20)
                for node in self.cluster.nodes:
                    self.assertEqual(node.cluster_health()["drives_online"], 8)
                print(f"all with {versions or 'this release'}: {len(load.calls)} calls, {sum(call.retries for call in load.calls)} retries", flush=True)
        load.check()
        for node in self.cluster.nodes:
            load.assert_all_there(node.endpoint())


if __name__ == "__main__":
    nodes.main()
