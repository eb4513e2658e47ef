"""Is a store under faults linearizable, key by key? Recorded by recorder.py, decided by linear/ (porcupine).

OSTRAKA_NODES     1 (the default): one node of 4 drives, 2+2, embedded control store; more: so many nodes of two drives, and 3 of etcd
OSTRAKA_ETCD      members of etcd, if not 0 for one node and 3 for more
OSTRAKA_SET       the erasure set, if not 2+2 for one node and 6+2 for more
OSTRAKA_SECONDS   how long it is under load (20)
OSTRAKA_EXPECT    violation: the store is a broken one, and one that passes is a failure
"""

import os
import time
from pathlib import Path

import nodes
from faults import Faults
from recorder import BUCKET, CLIENT_TIMEOUT_S, Load, Recorder, check, read_all

CHECKER = Path(os.environ.get("OSTRAKA_CHECKER", nodes.BINARY.with_name("linear_checker")))
SECONDS = float(os.environ.get("OSTRAKA_SECONDS", 20))
NODES = int(os.environ.get("OSTRAKA_NODES", 1))
BRIEF_S = 120
MIN_ANSWERED = 5  # operations a second; fewer show nothing


class Linearizability(nodes.ClusterCase):
    nodes = NODES
    drives = 4 if NODES == 1 else 2
    etcd = int(os.environ.get("OSTRAKA_ETCD", 0 if NODES == 1 else 3))
    erasure_set = os.environ.get("OSTRAKA_SET", "2+2" if NODES == 1 else "6+2")
    relays = True
    skewed_clocks = True

    def test_history(self):
        clients = self.net.add("clients")
        self.cluster.start()
        with self.cluster.nodes[0].client() as client:
            client.create_bucket(BUCKET)
        recorder = Recorder()
        load = Load(recorder, str(self.seed), self.connect, enter=clients.enter)
        faults = Faults(self.cluster, clients.name, self.random, brief=SECONDS < BRIEF_S)
        load.start()
        end = time.monotonic() + SECONDS
        try:
            faults.run(lambda: time.monotonic() > end or load.stopped.is_set())
        finally:
            print(f"{faults.table()}\n{recorder.table()}", flush=True)
            recorder.write(self.folder / "history.jsonl")  # to look at, if this ends here
        load.stop()
        for node in self.cluster.nodes:
            node.skew(0)
        self.cluster.wait_ready()
        last = self.connect()
        for client in last:
            self.addCleanup(client.close)
        read_all(recorder, last, str(self.seed))
        self.decide(recorder)

    def connect(self) -> list:
        return [node.client(timeout_s=CLIENT_TIMEOUT_S) for node in self.cluster.nodes]

    def decide(self, recorder: Recorder) -> None:
        history = self.folder / "history.jsonl"
        recorder.write(history)
        status, said = check(history, CHECKER)
        print(f"with the last reads:\n{recorder.table()}\n{said}", flush=True)
        if os.environ.get("OSTRAKA_EXPECT") == "violation":
            self.assertEqual(status, 1, "nobody noticed that the store is broken")
            return
        self.assertEqual(status, 0, said)
        answered = sum(count for (_, outcome), count in recorder.counts.items() if outcome in ("ok", "404", "412", "truncated"))
        self.assertGreater(answered, MIN_ANSWERED * SECONDS)


if __name__ == "__main__":
    nodes.main()
