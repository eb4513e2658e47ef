"""What the tests share that take the process down in the middle of a mixed load, again and again over the same folders: the load,
and what must hold after each restart."""

import os
import time

from at_rest import AtRest
from harness import BUCKET, CrashCase
from history import describe
from history import History
from load import KEYS, THERE, Load, Upload
from s3 import Client, NoAnswer
from values import ABSENT, Value, Values

SCAN = os.environ.get("OSTRAKA_SCAN") == "1"  # in the end; takes minutes
WRITERS_GONE_S = 125  # kUploadRowAge in erasure/limits.h, and something


class CrashRounds(CrashCase):
    doubtful = (503,)  # what requests may be answered on the way down
    patience_s = 0.0  # with a key that cannot be read

    def setUp(self):
        super().setUp()
        self.values, self.history = Values(self.seed), History()
        self.rounds_done = 0

    def make_node(self) -> None:
        self.node = self.server(env={"OSTRAKA_LOG_ACCESS": "off"})

    def new_load(self, **options) -> Load:
        self.rounds_done += 1
        self.load = Load(self.node, self.values, self.history, f"{self.seed} {self.rounds_done}", doubtful=self.doubtful, **options)
        return self.load

    def make_bucket(self) -> None:
        with self.node.client() as client:
            client.create_bucket(BUCKET)

    def load_until(self, down, within_s: float = 120) -> None:
        """Runs the load until down(load) returns, with the process gone."""
        load = self.load

        def take_down():
            try:
                down(load)
            finally:
                load.going_down.set()
                load.stopped.set()

        self.in_threads(take_down, *load.threads(), within_s=within_s)
        self.history.died()
        load.buckets.died()

    def say(self, what: str, started_s: float, kept: int) -> None:
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(self.load.counts.items()))
        print(f"round {self.rounds_done}: {what}; {sum(self.load.counts.values())} requests, ready after {started_s:.2f} s, "
              f"{kept} keys; {counts}", flush=True)

    def restart(self) -> float:
        """Starts the process and gives the seconds until it was ready."""
        began = time.monotonic()
        self.node.start()
        return time.monotonic() - began

    def check(self) -> int:
        """Every key holds what the oracle allows, twice the same; listing, uploads and buckets tell the same story. Returns the
        number of keys."""
        found: dict[str, Value] = {}

        def read_some(lane: int) -> None:
            with self.node.client() as client:
                for key in KEYS[lane::4]:
                    start = time.monotonic()
                    value = self.read(client, key)
                    self.history.check_read(key, start, value)
                    self.history.settle(key, value)  # from here on, nothing else
                    found[key] = value

        self.in_threads(*(lambda lane=lane: read_some(lane) for lane in range(4)))
        with self.node.client() as client:
            listed = {row["Key"]: (int(row["Size"]), row["ETag"]) for row in client.list_all(BUCKET, page=self.random.choice((7, 1000)))}
            expected = {key: (value.size, value.etag) for key, value in found.items() if value != ABSENT}
            self.assertEqual(listed, expected, "the listing differs from what the keys hold")
            self.check_uploads(client)
            self.check_buckets(client)
            for key in KEYS:
                start = time.monotonic()
                self.history.check_read(key, start, self.read(client, key))
        return len(listed)

    def finish(self) -> None:
        """After the last round, with the process running."""
        if SCAN:
            time.sleep(WRITERS_GONE_S)  # what they left undone is nobody's only then
            with AtRest(self.node) as rest, self.node.client() as client:
                print("the scan: " + ", ".join(f"{name}: {count}" for name, count in rest.check(client).items()), flush=True)
        self.assertEqual(self.node.stop(), 0)

    def read(self, client: Client, key: str) -> Value:
        value = self.read_once(client, key)
        # What a writer left that died may stay undecided until a drive that was emptied is replaced.
        until = time.monotonic() + (self.patience_s if self.history.undecided(key) else 0)
        while value is None and time.monotonic() < until:
            time.sleep(0.2)
            value = self.read_once(client, key)
        self.assertIsNotNone(value, f"{key} cannot be read with all drives there")
        return value

    def read_once(self, client: Client, key: str) -> Value | None:
        try:
            return self.values.get(client, BUCKET, key)
        except NoAnswer as broken_off:  # after a beginning that could be read
            self.node.assert_alive()
            print(f"{key}: {broken_off}", flush=True)
            return None

    def check_uploads(self, client: Client) -> None:
        """Acknowledged parts survive: the upload can be completed after the crash. What was aborted stays so."""
        while self.load.uploads:
            self.complete(client, self.load.uploads.pop())
        for upload in self.load.aborted:
            answer = client.request("GET", BUCKET, upload.key, query={"uploadId": upload.upload_id})
            self.assertEqual(answer.code, "NoSuchUpload", f"the parts of an aborted upload of {upload.key}: {answer.brief()}")

    def complete(self, client: Client, upload: Upload) -> None:
        write = self.history.begin(upload.key, upload.value)
        answer = client.complete_upload(BUCKET, upload.key, upload.upload_id, upload.etags)
        self.assertEqual(answer.status, 200, f"completing {upload.key} after the crash: {answer.brief()}")
        self.history.acknowledged(write)
        value = self.read(client, upload.key)
        self.assertEqual(value, upload.value, f"{upload.key} shows {describe(value)} after completing")

    def check_buckets(self, client: Client) -> None:
        for name in self.load.buckets.keys:
            start = time.monotonic()
            status = client.request("HEAD", name).status
            self.assertIn(status, (200, 404), f"HEAD of the bucket {name}")
            self.load.buckets.check_read(name, start, THERE if status == 200 else ABSENT)
