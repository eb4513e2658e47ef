"""Is a store under faults linearizable, key by key? Recorded by recorder.py, decided by linear/ (porcupine).

OSTRAKA_NODES     1 (the default): one node of 4 drives, 2+2, embedded control store; more: so many nodes of two drives, and 3 of etcd
OSTRAKA_ETCD      members of etcd, if not 0 for one node and 3 for more
OSTRAKA_SET       the erasure set, if not 2+2 for one node and 6+2 for more
OSTRAKA_SECONDS   how long it is under load (20)
OSTRAKA_MIX       contended: all clients want two keys, on condition, and nothing is broken meanwhile
OSTRAKA_EXPECT    violation: the store is a broken one, and one that passes is a failure. The load then pauses every few seconds, for the
                  checker to look at what there is so far, and ends when that is enough
"""

import os
import time
from pathlib import Path

import nodes
from faults import Faults
from recorder import ALL_KINDS, BUCKET, CLIENT_TIMEOUT_S, CONTENDED, Load, Recorder, check, read_all

CHECKER = Path(os.environ.get("OSTRAKA_CHECKER", nodes.BINARY.with_name("linear_checker")))
SECONDS = float(os.environ.get("OSTRAKA_SECONDS", 20))
NODES = int(os.environ.get("OSTRAKA_NODES", 1))
BRIEF_S = 120
MIX = {"contended": CONTENDED, "all": ALL_KINDS}[os.environ.get("OSTRAKA_MIX", "all")]
VIOLATION = os.environ.get("OSTRAKA_EXPECT") == "violation"
LOOK_EVERY_S = 4 if VIOLATION else SECONDS
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
        recorder = Recorder(MIX)
        faults = Faults(self.cluster, clients.name, self.random, brief=SECONDS < BRIEF_S)
        if MIX is CONTENDED:
            faults.kinds = {"nothing": lambda: faults.nothing}
        under_load = 0.0
        while under_load < SECONDS:
            under_load += self.load_for(min(LOOK_EVERY_S, SECONDS - under_load), recorder, faults, f"{self.seed} {under_load}")
            if VIOLATION and self.noticed(recorder):
                print(f"{recorder.table()}\nnoticed after {under_load:.1f} s under load", flush=True)
                return
        for node in self.cluster.nodes:
            node.skew(0)
        self.cluster.wait_ready()
        last = self.connect()
        for client in last:
            self.addCleanup(client.close)
        read_all(recorder, last, str(self.seed))
        self.decide(recorder)

    def load_for(self, seconds: float, recorder: Recorder, faults: Faults, seed: str) -> float:
        """How long it was; every operation has ended."""
        load = Load(recorder, seed, self.connect, enter=self.net.hosts["clients"].enter)
        began = time.monotonic()
        load.start()
        try:
            faults.run(lambda: time.monotonic() > began + seconds or load.stopped.is_set())
        finally:
            print(f"{faults.table()}\n{recorder.table()}", flush=True)
            recorder.write(self.folder / "history.jsonl")  # to look at, if this ends here
        took = time.monotonic() - began
        load.stop()
        return took

    def noticed(self, recorder: Recorder) -> bool:
        """By the checker, in what there is so far."""
        history = self.folder / "history.jsonl"
        recorder.write(history)
        status, said = check(history, CHECKER)
        print(said, flush=True)
        return status == 1

    def connect(self) -> list:
        return [node.client(timeout_s=CLIENT_TIMEOUT_S) for node in self.cluster.nodes]

    def decide(self, recorder: Recorder) -> None:
        history = self.folder / "history.jsonl"
        recorder.write(history)
        status, said = check(history, CHECKER)
        print(f"with the last reads:\n{recorder.table()}\n{said}", flush=True)
        if VIOLATION:
            self.assertEqual(status, 1, "nobody noticed that the store is broken")
            return
        self.assertEqual(status, 0, said)
        answered = sum(count for (_, outcome), count in recorder.counts.items() if outcome in ("ok", "404", "412", "truncated"))
        self.assertGreater(answered, MIN_ANSWERED * SECONDS)


if __name__ == "__main__":
    nodes.main()
