"""kill -9 in the middle of a mixed load, again and again over the same folders; then every key is held against the oracle.

OSTRAKA_ROUNDS sets how often (default 8).
"""

import hashlib
import os
import random
import threading
import time
from dataclasses import dataclass

from harness import BUCKET, CrashCase, Server, main
from history import History, describe
from s3 import Answer, Client, NoAnswer
from values import ABSENT, KIB, PART_BYTES, SIZES, Value, Values, split, start_upload

ROUNDS = int(os.environ.get("OSTRAKA_ROUNDS", "8"))
WRITERS, READERS, KEYS = 8, 2, 48
REFUSED = (404, 409, 412)  # of conditional writes


@dataclass
class Upload:
    """All parts were acknowledged, and nobody has completed or aborted it."""
    key: str
    value: Value
    upload_id: str
    etags: list[str]


class Load:
    """Writers and readers that go on until the process dies under them."""

    def __init__(self, server: Server, values: Values, history: History, seed: str):
        self.server, self.values, self.history, self.seed = server, values, history, seed
        self.uploads: list[Upload] = []
        self.counts: dict[str, int] = {}
        self.lock = threading.Lock()
        self.killed = threading.Event()

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def settle(self, key: str, write, answer: Answer, what: str) -> None:
        if answer.status in (200, 204):
            self.history.acknowledged(write)
        elif answer.status in REFUSED and what in ("if-none-match", "if-match"):
            self.history.refused(key, write)
        elif answer.status == 503:
            self.history.in_doubt(write)
        else:
            raise AssertionError(f"{what} {key}: {answer.brief()}")
        self.count(f"{what} {answer.status}")

    def put(self, client: Client, key: str, size: int, what: str, **headers) -> None:
        value, body = self.values.new(size)
        write = self.history.begin(key, value)
        self.settle(key, write, client.put(BUCKET, key, body, x_amz_meta_version=value.number, **headers), what)

    def multipart(self, client: Client, key: str, rng: random.Random) -> None:
        value, body = self.values.new(PART_BYTES + rng.randrange(1, 300 * KIB), multipart=True)
        answer, upload_id, etags = start_upload(client, BUCKET, key, value, body)
        if answer.status != 200:
            if answer.status != 503:
                raise AssertionError(f"multipart {key}: {answer.brief()}")
            return
        if etags != [hashlib.md5(part).hexdigest() for part in split(body)]:
            raise AssertionError(f"multipart {key}: part ETags {etags}")
        fate = rng.random()
        if fate < 0.3:
            with self.lock:
                self.uploads.append(Upload(key, value, upload_id, etags))
            return
        if fate < 0.4:
            answer = client.abort_upload(BUCKET, key, upload_id)
            if answer.status not in (204, 503):
                raise AssertionError(f"abort {key}: {answer.brief()}")
            return
        write = self.history.begin(key, value)
        self.settle(key, write, client.complete_upload(BUCKET, key, upload_id, etags), "complete")

    def writer(self, number: int) -> None:
        rng = random.Random(f"{self.seed} writer {number}")
        client = self.server.client(timeout_s=60)
        while True:
            key, dice = f"key/{rng.randrange(KEYS):02d}", rng.random()
            if dice < 0.55:
                self.put(client, key, rng.choice(SIZES), "put")
            elif dice < 0.70:
                write = self.history.begin(key, ABSENT)
                self.settle(key, write, client.delete(BUCKET, key), "delete")
            elif dice < 0.78:
                self.put(client, key, rng.choice(SIZES), "if-none-match", if_none_match="*")
            elif dice < 0.88:
                etag = client.head(BUCKET, key).etag or "0" * 32
                self.put(client, key, rng.choice(SIZES), "if-match", if_match=f'"{etag}"')
            else:
                self.multipart(client, key, rng)

    def reader(self, number: int) -> None:
        rng = random.Random(f"{self.seed} reader {number}")
        client = self.server.client(timeout_s=60)
        while True:
            key, start = f"key/{rng.randrange(KEYS):02d}", time.monotonic()
            value = self.values.get(client, BUCKET, key)
            if value is not None:
                self.history.check_read(key, start, value)
            self.count("read" if value is not None else "read 5xx")

    def until_killed(self, body, number: int) -> None:
        try:
            body(number)
        except NoAnswer:
            if not self.killed.wait(5):
                raise  # nobody killed it: it died, or it dropped a connection

    def threads(self) -> list:
        return [*(lambda n=n: self.until_killed(self.writer, n) for n in range(WRITERS)),
                *(lambda n=n: self.until_killed(self.reader, n) for n in range(READERS))]


class Kill9(CrashCase):
    def setUp(self):
        super().setUp()
        self.values, self.history = Values(self.seed), History()
        self.node = self.server()

    def test_kill9(self):
        self.node.start()
        with self.node.client() as client:
            client.create_bucket(BUCKET)
        for number in range(1, ROUNDS + 1):
            counts = self.load_and_kill(number)
            began = time.monotonic()
            if number % 4 == 0:  # now and then a second kill, in the middle of the start
                self.node.launch()
                time.sleep(self.random.uniform(0, 0.5))
                self.node.kill()
            self.node.start()
            started = time.monotonic() - began
            kept = self.check()
            print(f"round {number}/{ROUNDS}: {sum(counts.values())} requests, ready after {started:.2f} s, {kept} keys; "
                  f"{', '.join(f'{what}: {count}' for what, count in sorted(counts.items()))}", flush=True)
        self.assertEqual(self.node.stop(), 0)

    def load_and_kill(self, number: int) -> dict:
        load = Load(self.node, self.values, self.history, f"{self.seed} {number}")
        seconds = self.random.uniform(0.3, 3.0)

        def killer():
            time.sleep(seconds)
            self.node.assert_alive()
            load.killed.set()
            self.node.kill()

        self.in_threads(killer, *load.threads())
        self.history.died()
        self.uploads = load.uploads
        return load.counts

    def check(self) -> int:
        """Every key holds what the oracle allows, twice the same; the listing tells the same story. Returns the number of keys."""
        keys = [f"key/{number:02d}" for number in range(KEYS)]
        found: dict[str, Value] = {}

        def read_some(lane: int) -> None:
            with self.node.client() as client:
                for key in keys[lane::4]:
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
            for key in keys:
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


if __name__ == "__main__":
    main()
