"""What docs/cluster.md promises for bad days, with the cluster of cluster_test.py: a node replaced, etcd lost or restored, a wrong list
of drives, wrong clocks. Needs boto3 as that does, and etcdctl."""

import shutil
import time

import netns
import nodes
from cluster_test import BUCKET, LEASE_S, Case
from nodes import wait_for
from sdk_load import s3, status_of

REFILLED_S = 300


class Recovery(Case):
    def etcdctl(self, *words: str) -> None:
        netns.execute("env", "ETCDCTL_API=3", "etcdctl", *words)

    def ends_by_itself(self, node: nodes.Node, seconds: float = 60) -> tuple[int, str]:
        """Its status and the end of its log."""
        wait_for(lambda: not node.running(), f"{node.name} gives up", seconds)
        status, node.process = node.process.returncode, None
        return status, node.log_tail(5)

    def test_a_node_replaced(self):
        """Another machine with the same name and certificate, and empty folders: all that the old one had is made again."""
        self.start()
        objects = self.put_some(20, "before", self.cluster.nodes[0].endpoint())
        self.wait_healed()  # a write that one drive missed has no more to lose than the other drive of a node
        lost, other = self.random.sample(self.cluster.nodes, 2)
        lost.kill()
        for drive in (self.folder / lost.name).iterdir():
            shutil.rmtree(drive)
            drive.mkdir()
        objects |= self.put_some(6, "meanwhile", other.endpoint())
        lost.start()
        self.cluster.wait_ready()
        wait_for(lambda: all((drive / "format.json").exists() for drive in (self.folder / lost.name).iterdir()), "its drives are formatted")
        self.wait_healed(REFILLED_S)
        other.kill()  # every object needs the new drives now
        left = next(node for node in self.cluster.nodes if node not in (lost, other))
        self.assert_there(objects, left.endpoint())
        other.start()
        self.cluster.wait_ready()

    def test_a_difference_is_named(self):
        """A node that was told otherwise than the cluster refuses to start, and says what differs."""
        self.start()
        node = self.cluster.nodes[3]
        told = node.command
        for change, named in ((lambda word: word.replace("d{1...2}", "d{2...3}"), "d1"),
                              (lambda word: "4+4" if word == "6+2" else word, "4+4")):
            self.assertEqual(node.stop(), 0)
            node.command = lambda how=change: [how(word) for word in told()]
            node.start()
            status, said = self.ends_by_itself(node)
            self.assertNotEqual(status, 0)
            self.assertIn(named, said)
            node.command = told
            node.start()
            self.cluster.wait_ready()
        self.assertEqual(node.stop(), 0)
        node.command = lambda: [*told(), "--region", "elsewhere-1"]
        node.start()
        wait_for(lambda: 'setting region: node' in node.log_tail(5), "it says which setting differs, and waits")
        self.assertFalse(node.ready())
        node.kill()
        node.command = told
        node.start()
        self.cluster.wait_ready()

    def test_a_name_is_one_nodes(self):
        """A second machine with a node's certificate waits while the first one runs, and changes nothing."""
        self.start()
        first, machine = self.cluster.nodes[1], self.cluster.nodes[2]
        told = machine.command
        self.assertEqual(machine.stop(), 0)
        machine.command = first.command
        machine.start()
        wait_for(lambda: f"another process runs as {first.name}" in machine.log_tail(5), "it finds the first one")
        self.assertFalse(machine.ready())
        self.assertTrue(first.ready())
        machine.kill()
        # The name leads that machine to itself, so only etcd tells it; and it has drives of its own, empty ones.
        hosts, drives = self.folder / "names of its own", self.folder / "copy"
        hosts.write_text("".join(f"{node.host.address if node is not first else machine.host.address} {node.name}\n" for node in self.cluster.nodes)
                         + "".join(f"{member.host.address} {member.name}\n" for member in self.cluster.etcd))
        for drive in range(1, self.drives + 1):
            (drives / f"d{drive}").mkdir(parents=True)
        machine.command = lambda: ["sh", "-c", 'mount --bind "$0" "$1" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"', str(drives),
                                   str(self.cluster.data), str(hosts), *self.cluster.command(first.name)]
        machine.start()
        refused = f"another process is the member {first.name}"
        wait_for(lambda: refused in machine.log_tail(10), "it finds the first one in etcd")
        objects = self.put_some(6, "meanwhile", first.endpoint())
        time.sleep(LEASE_S)  # the first one's lease is renewed, and the machine's drives stay as they are
        self.assertFalse(machine.ready())
        self.assertTrue(first.ready())
        self.assertEqual([str(file) for file in drives.rglob("format.json")], [])
        machine.kill()
        # One that is killed has its own name back at once.
        first.kill()
        first.start()
        wait_for(first.ready, "the first one is back")
        self.assertNotIn(refused, first.log_tail(100))
        machine.command = told
        machine.start()
        self.cluster.wait_ready()
        objects |= self.put_some(3, "after", first.endpoint())
        self.assert_there(objects, machine.endpoint())

    def test_etcd_restored(self):
        """From a snapshot: what was known then is known again; a bucket made since is not, and its name may be used again."""
        self.start()
        objects = self.put_some(6, "before", self.cluster.nodes[0].endpoint())
        snapshot = self.folder / "snapshot.db"
        self.etcdctl("--endpoints", f"http://etcd1:{nodes.ETCD_PORT}", "snapshot", "save", str(snapshot))
        s3(self.cluster.nodes[1].endpoint()).create_bucket(Bucket="since")
        objects |= self.put_some(6, "since", self.cluster.nodes[1].endpoint())
        for node in self.cluster.nodes:
            self.assertEqual(node.stop(), 0)
        for member in self.cluster.etcd:
            member.kill()
            shutil.rmtree(self.cluster.etcd_data(member.name))
            self.etcdctl("snapshot", "restore", str(snapshot), "--name", member.name, "--initial-cluster", self.cluster.initial_cluster(),
                         "--initial-cluster-token", "restored", "--data-dir", str(self.cluster.etcd_data(member.name)),
                         "--initial-advertise-peer-urls", f"http://{member.host.address}:{nodes.ETCD_PEER_PORT}")
            member.start()
        for node in self.cluster.nodes:
            node.start()
        self.cluster.wait_ready()
        for node in self.cluster.nodes:
            self.assert_there(objects, node.endpoint())
        self.assertEqual(status_of(s3(self.cluster.nodes[2].endpoint()).create_bucket, Bucket="since"), 200)

    def test_etcd_emptied(self):
        """Nodes that run serve on; one that starts refuses, and founds no second cluster over drives with data."""
        self.start()
        objects = self.put_some(6, "before", self.cluster.nodes[0].endpoint())
        for member in self.cluster.etcd:
            member.kill()
            shutil.rmtree(self.cluster.etcd_data(member.name))
        for member in self.cluster.etcd:
            member.start()
        node = self.cluster.nodes[0]
        self.assertEqual(node.stop(), 0)
        node.start()
        status, said = self.ends_by_itself(node)
        self.assertNotEqual(status, 0)
        self.assertIn("Disaster recovery", said)
        self.assert_there(objects, self.cluster.nodes[1].endpoint())


class Clocks(Case):
    skewed_clocks = True

    def test_wrong_clocks(self):
        """Up to a minute nobody notices; a node whose clock is far ahead cannot write, and the others can. Set right, it is restarted."""
        self.start()
        wrong, right = self.cluster.nodes[1], self.cluster.nodes[2]
        for error_s in (40, -40):
            wrong.skew(error_s)
            objects = self.put_some(3, f"{error_s}", wrong.endpoint()) | self.put_some(3, f"{error_s} right", right.endpoint())
            self.assert_there(objects, wrong.endpoint())
            self.assert_there(objects, right.endpoint())
        wrong.skew(200)
        wait_for(lambda: status_of(s3(wrong.endpoint(), retries=False).put_object, Bucket=BUCKET, Key="future", Body=b"x") == 503,
                 "drives refuse what comes from the future")
        after = self.put_some(3, "after", right.endpoint())
        self.assert_there(after, wrong.endpoint())
        wrong.skew(0)  # what it has promised lies ahead still: it begins anew
        self.assertEqual(wrong.stop(), 0)
        wrong.start()
        self.cluster.wait_ready()
        self.assert_there(self.put_some(3, "set right", wrong.endpoint()), right.endpoint())


if __name__ == "__main__":
    nodes.main()
