"""A mixed load whose every answer is told to the oracle: puts of all sizes, overwrites, conditional puts, deletes, multipart, reads."""

import hashlib
import random
import threading
import time
from dataclasses import dataclass

from harness import BUCKET, Server
from history import History
from s3 import Answer, Client, NoAnswer
from values import ABSENT, KIB, PART_BYTES, SIZES, Value, Values, split, start_upload

KEYS = [f"key/{number:02d}" for number in range(48)]
REFUSED = (404, 409, 412)  # of conditional writes


@dataclass
class Upload:
    """All parts were acknowledged, and nobody has completed or aborted it."""
    key: str
    value: Value
    upload_id: str
    etags: list[str]


class Load:
    """Writers and readers on the same keys that go on until stop(), or until the process goes down under them (going_down())."""

    def __init__(self, server: Server, values: Values, history: History, seed: str, *, writers: int = 8, readers: int = 2,
                 cut_reads: bool = False):
        self.server, self.values, self.history, self.seed = server, values, history, seed
        self.writers, self.readers = writers, readers
        self.cut_reads = cut_reads  # so much is broken that an answer that has begun may have to be cut off
        self.uploads: list[Upload] = []
        self.counts: dict[str, int] = {}
        self.lock = threading.Lock()
        self.going_down = threading.Event()
        self.stopped = threading.Event()

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
        while not self.stopped.is_set():
            key, dice = rng.choice(KEYS), rng.random()
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
        while not self.stopped.is_set():
            key, start = rng.choice(KEYS), time.monotonic()
            try:
                value = self.values.get(client, BUCKET, key)
            except NoAnswer:
                if not self.cut_reads or self.going_down.is_set():
                    raise
                value = None
            if value is not None:
                self.history.check_read(key, start, value)
            self.count("read" if value is not None else "read 5xx")

    def until_the_end(self, body, number: int) -> None:
        """Lost connections end a thread when the process is known to go down, else they are failures."""
        try:
            body(number)
        except NoAnswer:
            if not self.going_down.wait(5):
                raise

    def threads(self) -> list:
        return [*(lambda n=n: self.until_the_end(self.writer, n) for n in range(self.writers)),
                *(lambda n=n: self.until_the_end(self.reader, n) for n in range(self.readers))]
