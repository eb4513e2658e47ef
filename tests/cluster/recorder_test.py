"""Recorder and checker together on a toy store: a correct one passes though its answers are often in doubt, each fault is noticed."""

import os
import shutil
import sys
import tempfile
import time
import unittest
from pathlib import Path

import toy_store
from recorder import CLIENT_TIMEOUT_S, Load, Recorder, check, read_all
from s3 import Client

CHECKER = Path(os.environ.get("OSTRAKA_CHECKER", Path(__file__).resolve().parents[2] / "build/release/bin/linear_checker"))
GOOD_S, LONGEST_S = 3, 30


class ToyStore(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ostraka-recorder-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def record(self, fault: str, seconds: float, seed: int) -> tuple[int, str]:
        servers = toy_store.serve_two(fault, seed)

        def connect():
            return [Client(server.server_address[1], "key", "secret", timeout_s=CLIENT_TIMEOUT_S) for server in servers]

        recorder = Recorder()
        load = Load(recorder, str(seed), connect, clients=6)
        load.start()
        time.sleep(seconds)
        load.stop()
        clients = connect()
        read_all(recorder, clients, str(seed))
        for client in clients:
            client.close()
        for server in servers:
            server.shutdown()
            server.server_close()
        history = self.folder / "history.jsonl"
        recorder.write(history)
        print(f"{fault or 'correct'}:\n{recorder.table()}", flush=True)
        status, said = check(history, CHECKER)
        print(said, flush=True)
        return status, said

    def test_correct(self):
        status, said = self.record("", GOOD_S, 1)
        self.assertEqual(status, 0, said)
        self.assertNotIn(" 0 of unknown outcome", said)

    def test_faults_are_noticed(self):
        for seed, fault in enumerate(toy_store.FAULTS):
            with self.subTest(fault=fault):
                began, status, seconds = time.monotonic(), 0, 1
                while status == 0 and time.monotonic() - began < LONGEST_S:
                    status, said = self.record(fault, seconds, seed)
                    seconds *= 2
                self.assertEqual(status, 1, said)
                self.assertIn("NOT linearizable", said)
                self.assertTrue((self.folder / "history.html").exists())


if __name__ == "__main__":
    if not CHECKER.exists():
        sys.exit(f"{CHECKER} is not there: build the target `tests` or set OSTRAKA_CHECKER")
    unittest.main(verbosity=2)
