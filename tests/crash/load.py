"""A mixed load whose every answer is told to the oracle: puts of all sizes, overwrites, conditional puts, copies, deletes one by one
and many at once, multipart uploads with parts sent and copied, buckets that come and go, reads."""

import hashlib
import random
import threading
import time
from dataclasses import dataclass

from harness import BUCKET, Server
from history import History
from s3 import Answer, Client, NoAnswer, xml
from values import ABSENT, KIB, PART_BYTES, SIZES, Value, Values, split, start_upload

KEYS = [f"key/{number:02d}" for number in range(48)]
REFUSED = (404, 409, 412)  # of conditional writes and copies
THERE = Value(-2, 0, "", "")  # what a bucket's name holds while there is such a bucket


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
                 cut_reads: bool = False, doubtful: tuple[int, ...] = (503,)):
        self.server, self.values, self.history, self.seed = server, values, history, seed
        self.writers, self.readers = writers, readers
        self.cut_reads = cut_reads  # so much is broken that an answer that has begun may have to be cut off
        self.doubtful = doubtful  # statuses that say: nobody knows
        self.buckets = History()  # keys: names of buckets, each made and deleted at most once
        self.uploads: list[Upload] = []
        self.aborted: list[Upload] = []
        self.failures: list[tuple[float, str]] = []  # when which request was answered by one of `doubtful`
        # Of these, those that first had to know what the key holds, where a writer that died has left that undecided: it may stay so
        # until an emptied drive is replaced.
        self.undecided: list[tuple[float, str]] = []
        self.counts: dict[str, int] = {}
        self.lock = threading.Lock()
        self.going_down = threading.Event()
        self.stopped = threading.Event()

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def failed(self, what: str, answer: Answer, key: str = "", undecided: bool = False) -> bool:
        """Whether it was answered by one of the statuses that a broken store may give."""
        if answer.status not in self.doubtful:
            return False
        self.count(f"{what} {answer.status}")
        with self.lock:
            (self.undecided if undecided else self.failures).append((time.monotonic(), f"{what} {key}: {answer.brief()}"))
        return True

    def settle(self, key: str, write, answer: Answer, what: str, history: History | None = None, *, undecided: bool = False) -> None:
        history = history or self.history
        if self.failed(what, answer, key, undecided):
            history.in_doubt(write)
            return
        if answer.status in (200, 204):
            history.acknowledged(write)
        elif answer.status in REFUSED and what in ("if-none-match", "if-match", "copy"):
            history.refused(key, write)
        else:
            raise AssertionError(f"{what} {key}: {answer.brief()}")
        self.count(f"{what} {answer.status}")

    def must(self, what: str, answer: Answer, status: int) -> bool:
        """Whether it succeeded; nothing else may happen to it than to fail as a broken store does."""
        if answer.status == status:
            self.count(f"{what} {status}")
            return True
        if not self.failed(what, answer):
            raise AssertionError(f"{what}: {answer.brief()}")
        return False

    def put(self, client: Client, key: str, size: int, what: str, **headers) -> None:
        value, body = self.values.new(size)
        undecided = what.startswith("if-") and self.history.undecided(key)
        write = self.history.begin(key, value)
        answer = client.put(BUCKET, key, body, x_amz_meta_version=value.number, **headers)
        self.settle(key, write, answer, what, undecided=undecided)

    def source(self, client: Client, rng: random.Random) -> tuple[str, Value | None]:
        """A key and what it holds, for a copy."""
        key = rng.choice(KEYS)
        number = client.head(BUCKET, key).headers.get("x-amz-meta-version")
        return key, self.values.made[int(number)] if number else None

    def copy(self, client: Client, key: str, rng: random.Random) -> None:
        source, held = self.source(client, rng)
        if held is None:
            return
        value = self.values.copy_of(held)
        write = self.history.begin(key, value)
        self.settle(key, write, client.copy(BUCKET, source, key, held.etag, x_amz_meta_version=value.number), "copy")

    def delete_many(self, client: Client, rng: random.Random) -> None:
        writes = {key: self.history.begin(key, ABSENT) for key in rng.sample(KEYS, 3)}
        answer, fates = client.delete_many(BUCKET, list(writes))
        for key, write in writes.items():
            if answer.status == 200 and fates[key] == "":
                self.history.acknowledged(write)
            elif self.failed("delete-many", answer if answer.status != 200 else Answer(503, body=fates[key].encode()), key):
                self.history.in_doubt(write)
            else:
                raise AssertionError(f"delete-many {key}: {answer.brief()}")
        self.count(f"delete-many {answer.status}")

    def copied_upload(self, client: Client, key: str, rng: random.Random) -> tuple[Upload | None, bool]:
        """Parts that are all copied from one object; False when that changed meanwhile or a request failed."""
        source, held = self.source(client, rng)
        if held is None or held.size == 0:
            return None, False
        body = self.values.body(held.number, held.size)
        copy = self.values.copy_of(held)
        etags = [hashlib.md5(part).hexdigest() for part in split(body)]
        value = Value(copy.number, copy.size, copy.md5, hashlib.md5(b"".join(bytes.fromhex(e) for e in etags)).hexdigest() +
                      f"-{len(etags)}")
        self.values.made[value.number] = value
        answer = client.create_upload(BUCKET, key, x_amz_meta_version=value.number)
        if not self.must("create-upload", answer, 200):
            return None, False
        upload = Upload(key, value, xml(answer.body)["UploadId"], etags)
        for number, etag in enumerate(etags, 1):
            start = (number - 1) * PART_BYTES
            end = min(start + PART_BYTES, held.size) - 1
            answer = client.copy_part(BUCKET, key, upload.upload_id, number, source, held.etag, start, end)
            if answer.status in REFUSED or not self.must("copy-part", answer, 200):
                return upload, False
            if answer.etag != etag:
                raise AssertionError(f"a copied part of {key} has ETag {answer.etag}, expected {etag}")
        return upload, True

    def sent_upload(self, client: Client, key: str, rng: random.Random) -> tuple[Upload | None, bool]:
        value, body = self.values.new(PART_BYTES + rng.randrange(1, 300 * KIB), multipart=True)
        answer, upload_id, etags = start_upload(client, BUCKET, key, value, body)
        upload = Upload(key, value, upload_id, etags) if upload_id else None
        if not self.must("multipart", answer, 200):
            return upload, False
        if etags != [hashlib.md5(part).hexdigest() for part in split(body)]:
            raise AssertionError(f"multipart {key}: part ETags {etags}")
        return upload, True

    def multipart(self, client: Client, key: str, rng: random.Random) -> None:
        upload, whole = (self.copied_upload if rng.random() < 0.3 else self.sent_upload)(client, key, rng)
        if upload is None:
            return
        fate = rng.random()
        if not whole or fate < 0.2:
            if self.must("abort", client.abort_upload(BUCKET, key, upload.upload_id), 204):
                with self.lock:
                    self.aborted.append(upload)
        elif fate < 0.5:
            with self.lock:
                self.uploads.append(upload)
        else:
            write = self.history.begin(key, upload.value)
            self.settle(key, write, client.complete_upload(BUCKET, key, upload.upload_id, upload.etags), "complete")

    def bucket(self, client: Client, rng: random.Random) -> None:
        """A bucket of its own, now and then with an object, and mostly deleted again."""
        name = f"side-{rng.getrandbits(48)}"
        write = self.buckets.begin(name, THERE)
        answer = client.request("PUT", name)
        self.settle(name, write, answer, "create-bucket", self.buckets)
        if answer.status != 200 or rng.random() < 0.3:
            return
        if rng.random() < 0.5:
            if not self.must("side put", client.put(name, "k", b"v"), 200):
                return
            if not self.must("side delete", client.delete(name, "k"), 204):
                return
        write = self.buckets.begin(name, ABSENT)
        self.settle(name, write, client.request("DELETE", name), "delete-bucket", self.buckets)

    def one_write(self, client: Client, rng: random.Random) -> None:
        key, dice = rng.choice(KEYS), rng.random()
        if dice < 0.48:
            self.put(client, key, rng.choice(SIZES), "put")
        elif dice < 0.58:
            write = self.history.begin(key, ABSENT)
            self.settle(key, write, client.delete(BUCKET, key), "delete")
        elif dice < 0.60:
            self.delete_many(client, rng)
        elif dice < 0.67:
            self.copy(client, key, rng)
        elif dice < 0.75:
            self.put(client, key, rng.choice(SIZES), "if-none-match", if_none_match="*")
        elif dice < 0.84:
            etag = client.head(BUCKET, key).etag or "0" * 32
            self.put(client, key, rng.choice(SIZES), "if-match", if_match=f'"{etag}"')
        elif dice < 0.87:
            self.bucket(client, rng)
        else:
            self.multipart(client, key, rng)

    def writer(self, number: int) -> None:
        rng = random.Random(f"{self.seed} writer {number}")
        client = self.server.client(timeout_s=60)
        while not self.stopped.is_set():
            self.one_write(client, rng)

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
