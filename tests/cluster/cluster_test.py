"""The topology of docker-compose.yml on hosts of its own: 4 nodes with 2 drives each (6+2), 3 members of etcd, mutual TLS, the balancer.

    cluster_test.py Quick Stopping Balancer  what is in the default suite
    cluster_test.py Long                     the rest
    cluster_test.py Long.test_two_killed     one scenario

Needs boto3: the interpreter of build/clients-venv.
"""

import hashlib
import http.client
import os
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import nodes
from nodes import Node, wait_for
from recorder import BUCKET as RECORDED
from recorder import CLIENT_TIMEOUT_S, Load, Recorder, check, read_all
from sdk_load import SdkLoad, percentile, s3, status_of

CHECKER = Path(os.environ.get("OSTRAKA_CHECKER", nodes.BINARY.with_name("linear_checker")))
BUCKET = "cluster"
COUNTED_WITHIN_S = 5  # what a write has missed
REQUEST_TIMEOUT_S = 30  # api.request_timeout
LEASE_S = 10  # of a node's membership (control/)
WITHOUT_LEASE_S = 30  # in which a node without it goes on as before
NORMAL_AGAIN_S = 5  # after a node died
COMPARED_CALLS = 500  # by the hundred
IN_DOUBT_S = 180  # in which what a lost writer left behind is old enough to be settled, and is healed


class Case(nodes.ClusterCase):
    nodes, drives, etcd, erasure_set = 4, 2, 3, "6+2"
    balancer = True

    def setUp(self):
        super().setUp()
        self.clients = self.net.add("clients")
        self.node = {node.name: node for node in self.cluster.nodes}

    def start(self) -> None:
        self.cluster.start()
        s3(self.cluster.nodes[0].endpoint()).create_bucket(Bucket=BUCKET)

    def balanced(self) -> str:
        return f"http://{self.cluster.balancer.host.address}:{nodes.S3_PORT}"

    def load(self, **options) -> SdkLoad:
        """Through the balancer, as soon as it knows that every node serves."""
        wait_for(lambda: status_of(s3(self.balanced(), retries=False).head_bucket, Bucket=BUCKET) == 200, "the balancer serves")
        load = SdkLoad(self.balanced(), BUCKET, str(self.seed), enter=self.clients.enter, **options)
        self.addCleanup(lambda: print(load.table(), flush=True))
        return load

    def put_some(self, count: int, prefix: str, through: str) -> dict[str, str]:
        """Their MD5s, by key."""
        client, out = s3(through), {}
        for number in range(count):
            body = self.random.randbytes((300, 40_000, 1_500_000, (1 << 20) + 100)[number % 4])
            client.put_object(Bucket=BUCKET, Key=f"{prefix}/{number}", Body=body)
            out[f"{prefix}/{number}"] = hashlib.md5(body).hexdigest()
        return out

    def assert_there(self, objects: dict[str, str], through: str) -> None:
        client = s3(through)
        for key, digest in objects.items():
            body = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            self.assertEqual(hashlib.md5(body).hexdigest(), digest, f"{key} at {through}")
        listed = {entry["Key"]: entry["ETag"].strip('"') for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
        self.assertEqual({key: listed.get(key) for key in objects}, objects, f"the listing at {through}")

    def wait_healed(self, seconds: float = 60, *, under_load: bool = False) -> None:
        """No node knows of anything that waits for a drive; under load: but what was written since. What a write has missed a moment ago is written
        down up to a second later, and counted after that: nothing waits when that is so for some seconds on end, as docs/cluster.md tells operators."""
        since_ms, busy = time.time() * 1000, []
        at_rest_since = None

        def healed() -> bool:
            for node in self.cluster.nodes:
                if not node.running():
                    continue
                status = node.admin("heal", "status")
                queue = status["queue"]
                waits = (queue["oldest_ms"] or since_ms) < since_ms if under_load else queue["entries"] or status["in_flight"]
                if waits or status["refills"]:
                    busy[:] = [node.name, queue, status["refills"], status["in_flight"]]
                    return False
            return True

        def stays_healed() -> bool:
            nonlocal at_rest_since
            if not healed():
                at_rest_since = None
                return False
            at_rest_since = at_rest_since or time.monotonic()
            return under_load or time.monotonic() - at_rest_since >= COUNTED_WITHIN_S
        try:
            wait_for(stays_healed, "all is healed", seconds, every_s=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}: {busy}") from None

    def answered(self, node: str, method: str, key: str, body: bytes = b"") -> int:
        """The status that one request gets, without a retry."""
        with self.node[node].client(timeout_s=REQUEST_TIMEOUT_S + 15) as client:
            answer = client.put(BUCKET, key, body) if method == "PUT" else client.request(method, BUCKET, key)
            return answer.status

    def documents_can_be_changed(self, node: str = "node1") -> bool:
        status = status_of(s3(self.node[node].endpoint(), retries=False).create_bucket, Bucket=f"new-{time.monotonic_ns()}")
        self.assertIn(status, (200, 503))
        return status == 200


class Quick(Case):
    def test_any_order_any_node(self):
        """Started in any order, etcd last; every node serves what any other has written; stopped and started, it is all there."""
        order = self.random.sample(self.cluster.nodes, 4)
        order[0].start()
        wait_for(lambda: "waiting for the cluster" in order[0].log_tail(), "a node alone waits")
        self.assertFalse(order[0].ready())
        for process in [*order[1:], self.cluster.balancer, *self.cluster.etcd]:
            process.start()
        self.cluster.wait_ready()

        s3(order[0].endpoint()).create_bucket(Bucket=BUCKET)
        objects = {}
        for node in self.cluster.nodes:
            objects |= self.put_some(3, node.name, node.endpoint())
        for node in self.cluster.nodes:
            self.assert_there(objects, node.endpoint())
        one, other = (s3(node.endpoint()) for node in self.random.sample(self.cluster.nodes, 2))
        one.delete_object(Bucket=BUCKET, Key="node1/0")
        self.assertEqual(status_of(other.get_object, Bucket=BUCKET, Key="node1/0"), 404)
        del objects["node1/0"]
        self.assertEqual(status_of(other.put_object, Bucket=BUCKET, Key="node2/0", Body=b"", IfNoneMatch="*"), 412)

        for node in self.cluster.nodes:
            node.ask_to_end()
        for node in self.cluster.nodes:
            self.assertEqual(node.ended(), 0)
        for node in self.random.sample(self.cluster.nodes, 4):
            node.start()
        self.cluster.wait_ready()
        for node in self.cluster.nodes:
            self.assert_there(objects, node.endpoint())

    def test_one_killed_under_load(self):
        """No client notices more than its SDK retries; moments later all is as fast as before; what the node missed it gets by itself."""
        self.start()
        victim, other = self.random.sample(self.cluster.nodes, 2)
        with self.load() as load:
            load.wait_for_calls(60)
            began = time.monotonic()
            load.wait_for_calls(COMPARED_CALLS, 120)
            killed = time.monotonic()
            victim.kill()
            settled = killed + NORMAL_AGAIN_S
            wait_for(lambda: time.monotonic() > settled, "time passes", NORMAL_AGAIN_S + 1)
            load.wait_for_calls(COMPARED_CALLS, 120)
            ended = time.monotonic()
            victim.start()
            self.cluster.wait_ready()
            load.wait_for_calls(60)
        load.check()
        before, meanwhile, after = (load.latencies(*times) for times in ((began, killed), (killed, settled), (settled, ended)))
        for name, took in (("before", before), (f"the next {NORMAL_AGAIN_S} s", meanwhile), ("after", after)):
            print(f"{name:12} {len(took):4} calls, p50 {percentile(took, 50) * 1000:4.0f} ms, p99 {percentile(took, 99) * 1000:4.0f} ms, slowest "
                  f"{max(took) * 1000:4.0f} ms, of each hundred {self.usually_slowest(took) * 1000:4.0f} ms", flush=True)
        self.assertLess(self.usually_slowest(after), 1.5 * self.usually_slowest(before) + 0.05, "p99 is normal again")
        self.assertLess(percentile(after, 50), 1.5 * percentile(before, 50) + 0.02, "so is the median")
        self.wait_healed()
        other.kill()  # now every object needs what the first one has been given
        load.assert_all_there(victim.endpoint())
        other.start()
        self.cluster.wait_ready()

    @staticmethod
    def usually_slowest(took: list[float]) -> float:
        """Of a hundred calls, in the middle of all the hundreds: a dead node would be met in each, a machine that is busy for a second in one."""
        return statistics.median_low(max(took[first:first + 100]) for first in range(0, max(1, len(took) - 99), 100))


class Stopping(Case):
    nodes, drives, etcd, erasure_set = 2, 1, 1, "1+1"
    balancer = False

    def leaving(self) -> Node:
        self.start()
        node = self.random.choice(self.cluster.nodes)
        node.ask_to_end()
        wait_for(lambda: node.get("/health/ready")[0] == 503, f"{node.name} says that it is not ready")
        return node

    def test_serves_on_until_balancers_know(self):
        node = self.leaving()
        connection = http.client.HTTPConnection(node.host.address, nodes.S3_PORT, timeout=10)
        self.addCleanup(connection.close)
        connection.request("GET", "/health/ready")
        ready = connection.getresponse()
        self.assertEqual((ready.status, ready.getheader("Connection")), (503, "close"))
        ready.read()
        client = s3(node.endpoint(), retries=False)
        answer = client.put_object(Bucket=BUCKET, Key="late", Body=b"x" * 300_000)["ResponseMetadata"]
        self.assertEqual((answer["HTTPStatusCode"], answer["HTTPHeaders"].get("connection")), (200, "close"))
        self.assertEqual(client.get_object(Bucket=BUCKET, Key="late")["Body"].read(), b"x" * 300_000)
        self.assertEqual(node.ended(), 0)

    def test_a_second_signal_ends_it(self):
        node = self.leaving()
        node.ask_to_end()
        self.assertEqual(node.ended(), -signal.SIGTERM)


class Balancer(Case):
    nodes, drives, etcd, erasure_set = 1, 2, 0, "1+1"

    def test_an_answer_before_the_body(self):
        """botocore uses a connection again whose last body it never sent, since the answer came first: the balancer ends it."""
        for number in (2, 3, 4):
            self.net.add(f"node{number}")  # names that the balancer can look up; nobody answers there
        self.start()
        wait_for(lambda: status_of(s3(self.balanced(), retries=False).head_bucket, Bucket=BUCKET) == 200, "the balancer serves")
        connection = http.client.HTTPConnection(self.cluster.balancer.host.address, nodes.S3_PORT, timeout=10)
        self.addCleanup(connection.close)
        connection.putrequest("PUT", f"/{BUCKET}/unsigned")
        connection.putheader("Expect", "100-continue")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders()
        answer = connection.getresponse()
        self.assertEqual((answer.status, answer.getheader("Connection")), (403, "close"))
        client = s3(self.balanced(), retries=False)
        for body in (b"short", b"x" * 1_000_000):
            for bucket, status in (("missing", 404), (BUCKET, 200)) * 3:
                self.assertEqual(status_of(client.put_object, Bucket=bucket, Key="key", Body=body), status)


class Long(Case):
    def test_two_killed(self):
        """Neither reads nor writes have their quorum: a clean 503 within the request's time, and nothing is lost."""
        self.start()
        objects = self.put_some(12, "before", self.balanced_or_first())
        two, left = self.cluster.nodes[1:3], [self.cluster.nodes[0], self.cluster.nodes[3]]
        for node in two:
            node.kill()
        for node in left:
            wait_for(lambda which=node: which.get("/health/ready")[0] == 503, f"{node.name} is not ready")
            for method, key in (("GET", "before/2"), ("PUT", "meanwhile"), ("PUT", "before/1"), ("DELETE", "before/0")):
                began = time.monotonic()
                self.assertEqual(self.answered(node.name, method, key, b"x" * 5000), 503, f"{method} {key} at {node.name}")
                self.assertLess(time.monotonic() - began, REQUEST_TIMEOUT_S + 10)
        for node in two:
            node.start()
        self.cluster.wait_ready()
        kept = {key: digest for key, digest in objects.items() if key not in ("before/0", "before/1")}  # the others are in doubt
        self.wait_healed()
        for node in self.cluster.nodes:
            self.assert_there(kept, node.endpoint())
        after = self.put_some(6, "after", self.cluster.nodes[0].endpoint())
        self.assert_there(kept | after, self.cluster.nodes[3].endpoint())

    def balanced_or_first(self) -> str:
        wait_for(lambda: status_of(s3(self.balanced(), retries=False).head_bucket, Bucket=BUCKET) == 200, "the balancer serves")
        return self.balanced()

    # The network split, in every way. What all clients saw together must be one history.
    def split(self, begin: Callable[[], None], during: Callable[[], None], seconds: float = 8) -> None:
        self.start()
        with self.cluster.nodes[0].client() as client:
            client.create_bucket(RECORDED)
        objects = self.put_some(6, "before", self.cluster.nodes[0].endpoint())
        recorder = Recorder()
        load = Load(recorder, str(self.seed), self.connect)
        load.start()
        try:
            time.sleep(2)  # of load on a whole cluster
            begin()
            during()
            time.sleep(seconds)  # of load on one that is split
        finally:
            self.net.heal()
            print(recorder.table(), flush=True)
        self.cluster.wait_ready()
        load.stop()
        last = self.connect()
        for client in last:
            self.addCleanup(client.close)
        read_all(recorder, last, str(self.seed))
        history = self.folder / "history.jsonl"
        recorder.write(history)
        status, said = check(history, CHECKER)
        self.assertEqual(status, 0, said)
        for node in self.cluster.nodes:
            self.assert_there(objects, node.endpoint())
        self.wait_healed(IN_DOUBT_S)

    def connect(self) -> list:
        return [node.client(timeout_s=CLIENT_TIMEOUT_S) for node in self.cluster.nodes]

    def refuses(self, node: str, key: str) -> None:
        """Neither reads nor writes; a node may need a moment to notice."""
        self.assertEqual(self.answered(node, "PUT", f"{key}-{node}", b"x" * 5000), 503)
        self.assertEqual(self.answered(node, "GET", "before/2"), 503)

    def serves(self, node: str, key: str) -> None:
        wait_for(lambda: self.answered(node, "PUT", f"{key}-{node}", b"x" * 5000) == 200, f"{node} takes writes", REQUEST_TIMEOUT_S)
        self.assertEqual(self.answered(node, "GET", f"{key}-{node}"), 200)

    def test_one_away(self):
        rest = ["node1", "node2", "node3", *self.cluster.etcd_names()]

        def during():
            for node in rest[:3]:
                self.serves(node, "away")
            self.refuses("node4", "away")
            self.assertEqual(self.node["node4"].get("/health/ready")[0], 503, "the balancer leaves it alone")
        self.split(lambda: self.net.split(["node4"], rest), during)

    def test_two_and_two(self):
        members = self.cluster.etcd_names()

        def during():
            for node in self.node:
                self.refuses(node, "halves")
                self.assertEqual(self.node[node].get("/health/ready")[0], 503)
        self.split(lambda: self.net.split(["node1", "node2", *members[:2]], ["node3", "node4", members[2]]), during)

    def test_one_way_deaf(self):
        """node2 hears nobody, and everybody hears it."""
        def begin():
            for other in [*self.cluster.node_names(), *self.cluster.etcd_names()]:
                if other != "node2":
                    self.net.cut_one_way(other, "node2")

        def during():
            for node in ("node1", "node3", "node4"):
                self.serves(node, "deaf")
            self.refuses("node2", "deaf")
        self.split(begin, during)

    def test_one_way_between_two(self):
        """node3 does not hear node1; everybody else hears everybody: all serve."""
        def during():
            for node in self.node:
                self.serves(node, "between")
        self.split(lambda: self.net.cut_one_way("node1", "node3"), during)

    def test_etcd_away(self):
        """Objects are read and written for as long as it lasts; documents cannot be changed until it is back."""
        def during():
            for node in self.node:
                self.serves(node, "early")
            wait_for(lambda: not self.documents_can_be_changed(), "documents cannot be changed")
            time.sleep(LEASE_S + WITHOUT_LEASE_S + 5)  # a time that the rules name: from then on a majority of peers has to agree
            for node in self.node:
                self.serves(node, "late")
            self.assertFalse(self.documents_can_be_changed())
        self.split(lambda: self.net.split(self.cluster.node_names(), self.cluster.etcd_names()), during)
        wait_for(self.documents_can_be_changed, "documents can be changed again")

    def test_etcd_away_from_one(self):
        """It asks its peers, and serves on."""
        def during():
            time.sleep(LEASE_S + WITHOUT_LEASE_S + 5)
            for node in self.node:
                self.serves(node, "late")
        self.split(lambda: self.net.split(["node1"], self.cluster.etcd_names()), during)

    def test_a_member_killed(self):
        self.start()
        self.cluster.etcd[0].kill()
        wait_for(self.documents_can_be_changed, "documents can be changed with two of three members")
        self.cluster.etcd[0].start()
        self.cluster.etcd[1].kill()
        wait_for(self.documents_can_be_changed, "documents can be changed with the other two")

    def test_rolling_restart_under_load(self):
        """As docs/cluster.md says: the next node when nothing waits to be healed. No request fails for a client with default retries."""
        self.start()
        with self.load() as load:
            load.wait_for_calls(60)
            for node in self.random.sample(self.cluster.nodes, 4):
                self.assertEqual(node.stop(), 0)
                load.wait_for_calls(40)
                node.start()
                wait_for(node.ready, f"{node.name} is ready")
                self.wait_healed(under_load=True)
            load.wait_for_calls(60)
        load.check()
        for node in self.cluster.nodes:
            load.assert_all_there(node.endpoint())

    def test_bodies_pass_the_balancer(self):
        """Large ones, up and down, without being kept there."""
        self.start()
        client = s3(self.balanced_or_first())
        body = self.random.randbytes(64 << 20)
        client.put_object(Bucket=BUCKET, Key="large", Body=body)
        self.assertEqual(hashlib.md5(client.get_object(Bucket=BUCKET, Key="large")["Body"].read()).digest(), hashlib.md5(body).digest())
        status = Path(f"/proc/{self.cluster.balancer.process.pid}/status").read_text()
        (peak_kib,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
        self.assertLess(peak_kib, 48 << 10, "the balancer holds a buffer, not the body")


if __name__ == "__main__":
    nodes.main()
