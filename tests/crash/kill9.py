"""The process goes down in the middle of a mixed load, again and again over the same folders; then every key is held against the
oracle. Mostly it is kill -9, now and then SIGTERM, and sometimes a second kill -9 in the middle of the start.

OSTRAKA_ROUNDS sets how often (default 8), half of them on a disk, where syncs take long, half in memory, where much happens; and
as often again with a single drive, which nothing can help out.
"""

import os
import time

from harness import BUCKET, CrashCase, main
from history import History, describe
from load import KEYS, Load, Upload
from s3 import Client
from values import ABSENT, Value, Values

ROUNDS = int(os.environ.get("OSTRAKA_ROUNDS", "8"))


class Kill9InMemory(CrashCase):
    def setUp(self):
        super().setUp()
        self.values, self.history = Values(self.seed), History()
        self.node = self.server()

    def test_kill9(self):
        self.node.start()
        with self.node.client() as client:
            client.create_bucket(BUCKET)
        rounds = (ROUNDS + 1) // 2
        for number in range(1, rounds + 1):
            counts = self.load_and_down(number)
            began = time.monotonic()
            if self.random.random() < 0.3:
                self.node.launch()
                time.sleep(self.random.uniform(0, 0.5))  # the moment of the second kill
                self.node.kill()
            self.node.start()
            started = time.monotonic() - began
            kept = self.check()
            print(f"round {number}/{rounds}: {sum(counts.values())} requests, ready after {started:.2f} s, {kept} keys; "
                  f"{', '.join(f'{what}: {count}' for what, count in sorted(counts.items()))}", flush=True)
        self.assertEqual(self.node.stop(), 0)

    def load_and_down(self, number: int) -> dict:
        load = Load(self.node, self.values, self.history, f"{self.seed} {number}")
        seconds, gracefully = self.random.uniform(0.3, 3.0), self.random.random() < 0.2

        def down():
            time.sleep(seconds)  # the moment of the kill
            self.node.assert_alive()
            load.going_down.set()
            if gracefully:
                self.assertEqual(self.node.stop(), 0)
            else:
                self.node.kill()

        self.in_threads(down, *load.threads())
        self.history.died()
        self.uploads = load.uploads
        return load.counts

    def check(self) -> int:
        """Every key holds what the oracle allows, twice the same; the listing tells the same story. Returns the number of keys."""
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
            for upload in self.uploads:
                self.complete(client, upload)
            for key in KEYS:
                start = time.monotonic()
                self.history.check_read(key, start, self.read(client, key))
        return len(listed)

    def read(self, client: Client, key: str) -> Value:
        value = self.values.get(client, BUCKET, key)
        self.assertIsNotNone(value, f"{key} cannot be read with all drives there")
        return value

    def complete(self, client: Client, upload: Upload) -> None:
        """Acknowledged parts survive: the upload can be completed after the crash."""
        write = self.history.begin(upload.key, upload.value)
        answer = client.complete_upload(BUCKET, upload.key, upload.upload_id, upload.etags)
        self.assertEqual(answer.status, 200, f"completing {upload.key} after the crash: {answer.brief()}")
        self.history.acknowledged(write)
        value = self.read(client, upload.key)
        self.assertEqual(value, upload.value, f"{upload.key} shows {describe(value)} after completing")


class Kill9OnDisk(Kill9InMemory):
    on_disk = True


class Kill9OneDrive(Kill9InMemory):
    geometry = (1, 0)


if __name__ == "__main__":
    main()
