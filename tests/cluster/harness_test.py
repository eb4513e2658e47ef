"""The harness of nodes.py with one node: on the embedded control store, and on three members of etcd."""

import re
import time

import nodes

BUCKET = "harness"


class OneNode(nodes.ClusterCase):
    nodes, drives, etcd, erasure_set = 1, 4, 0, "2+2"
    skewed_clocks = True

    def setUp(self):
        super().setUp()
        self.cluster.start()
        self.node = self.cluster.nodes[0]
        self.client = self.node.client(timeout_s=30)
        self.addCleanup(self.client.close)
        self.client.create_bucket(BUCKET)
        self.put("first")

    def put(self, key: str) -> None:
        answer = self.client.put(BUCKET, key, key.encode())
        self.assertEqual(answer.status, 200, answer.brief())

    def assert_there(self, key: str) -> None:
        answer = self.client.get(BUCKET, key)
        self.assertEqual((answer.status, answer.body), (200, key.encode()), answer.brief())

    def test_killed_stopped_and_started_again(self):
        self.node.kill()
        self.client.close()
        self.node.start()
        self.cluster.wait_ready()
        self.assert_there("first")
        self.assertEqual(self.node.stop(), 0)
        self.client.close()
        self.node.start()
        self.cluster.wait_ready()
        self.assert_there("first")

    def test_paused(self):
        self.node.pause()
        self.assertEqual(self.node.get("/health/live", timeout_s=0.5)[0], 0)
        self.node.resume()
        self.cluster.wait_ready()
        self.assert_there("first")

    def test_skewed_clock(self):
        """Its objects are as old as its clock says. (It does not write while its clock is more than a minute behind where it was.)"""
        for error_s in (0, 40, -15, 300):
            with self.subTest(error_s=error_s):
                self.node.skew(error_s)
                begin = time.time()
                self.put(f"at {error_s}")
                (told,) = re.findall(rb"<LastModified>([^<]*)", self.client.request("GET", BUCKET, query={"prefix": f"at {error_s}"}).body)
                modified = time.mktime(time.strptime(told.decode()[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
                self.assertTrue(begin + error_s - 2 <= modified <= time.time() + error_s + 2, (modified - begin, error_s))

    def test_a_death_is_noticed(self):
        self.node.process.kill()  # behind the harness's back
        self.node.process.wait()
        with self.assertRaisesRegex(AssertionError, "node1 ended by itself with status -9"):
            self.cluster.check()
        self.node.process = None

    def test_cut_off_from_the_lab(self):
        self.net.cut("lab", "node1")
        self.assertEqual(self.node.get("/health/live", timeout_s=0.5)[0], 0)
        self.net.heal()
        self.assertTrue(self.node.ready())


class OneNodeOnEtcd(OneNode):
    etcd = 3

    def documents_can_be_changed(self) -> bool:
        status = self.client.request("PUT", f"new-{time.monotonic_ns()}").status
        self.assertIn(status, (200, 503))
        return status == 200

    def test_etcd_away(self):
        """Objects are served; buckets cannot be made until etcd is back (docs/configuration.md)."""
        self.net.split(["node1"], self.cluster.etcd_names())
        nodes.wait_for(lambda: not self.documents_can_be_changed(), "documents cannot be changed")
        self.put("meanwhile")
        self.assert_there("first")
        self.net.heal()
        nodes.wait_for(self.documents_can_be_changed, "documents can be changed again")
        self.assert_there("meanwhile")

    def test_a_member_killed(self):
        self.cluster.etcd[0].kill()
        nodes.wait_for(self.documents_can_be_changed, "documents can be changed with two of three members")
        self.cluster.etcd[0].start()
        self.cluster.etcd[1].kill()
        nodes.wait_for(self.documents_can_be_changed, "documents can be changed with the other two")


if __name__ == "__main__":
    nodes.main()
