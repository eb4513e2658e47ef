"""A bucket with objects of every kind, what each must hold, and the requests that check or change them."""

import random

from harness import BUCKET
from history import describe
from s3 import Answer, Client, NoAnswer
from values import ABSENT, KIB, MIB, PART_BYTES, SIZES, Value, Values, start_upload


class Contents:
    """Every request must succeed, unless the method's name says otherwise. Threads may share it
    as long as each has its own keys."""

    def __init__(self, seed: int):
        self.values = Values(seed)
        self.random = random.Random(f"{seed} contents")
        self.holds: dict[str, Value] = {}
        self.doubtful: set[str] = set()  # keys with a write that failed: either value, or 503 while nobody can know

    def expect(self, answer: Answer, status: int, what: str) -> None:
        if answer.status != status:
            raise AssertionError(f"{what}: {answer.brief()}, expected {status}")

    def is_known(self, key: str, value: Value) -> None:
        self.holds[key] = value
        self.doubtful.discard(key)

    def is_doubtful(self, key: str) -> None:
        self.holds.pop(key, None)
        self.doubtful.add(key)

    def put(self, client: Client, key: str, size: int) -> None:
        value, answer = self.values.put(client, BUCKET, key, size)
        self.expect(answer, 200, f"PUT {key} of {size} bytes")
        self.is_known(key, value)

    def delete(self, client: Client, key: str) -> None:
        self.expect(client.delete(BUCKET, key), 204, f"DELETE {key}")
        self.is_known(key, ABSENT)

    def multipart(self, client: Client, key: str, size: int) -> None:
        value, body = self.values.new(size, multipart=True)
        answer, upload_id, etags = start_upload(client, BUCKET, key, value, body)
        self.expect(answer, 200, f"parts of {key}")
        self.expect(client.complete_upload(BUCKET, key, upload_id, etags), 200, f"completing {key}")
        self.is_known(key, value)

    def fill(self, client: Client) -> None:
        """Small and large, single and multipart, overwritten and deleted."""
        client.create_bucket(BUCKET)
        for number, size in enumerate((*SIZES, 7 * MIB + 5)):
            self.put(client, f"plain/{number:02d}", size)
        for number in range(20):
            self.put(client, f"small/{number:02d}", self.random.randrange(1, 16 * KIB))
        self.multipart(client, "multipart/two", PART_BYTES + 77 * KIB)
        self.multipart(client, "multipart/one", 300 * KIB)
        for key, size in (("plain/03", 2 * MIB), ("plain/12", 10 * KIB), ("small/00", 3000)):
            self.put(client, key, size)
        for key in ("plain/04", "plain/13", "small/01"):
            self.delete(client, key)

    def change(self, client: Client) -> None:
        """A round of new keys, overwrites, deletes and a multipart upload."""
        self.put(client, f"new/{self.random.getrandbits(40)}", 5000)
        self.put(client, f"new/{self.random.getrandbits(40)}", 2 * MIB + 1)
        self.put(client, f"plain/{self.random.randrange(len(SIZES)):02d}", self.random.choice(SIZES))
        self.delete(client, f"small/{self.random.randrange(20):02d}")
        self.multipart(client, f"new/{self.random.getrandbits(40)}", PART_BYTES + 1)

    def check(self, client: Client) -> None:
        """Every object reads back whole, also in ranges and by HEAD; the listing agrees."""
        for key, value in self.holds.items():
            seen = self.values.get(client, BUCKET, key)
            if seen is None:
                raise AssertionError(f"GET {key}: 5xx")
            if seen != value:
                raise AssertionError(f"{key} shows {describe(seen)}, not {describe(value)}")
        for key, value in self.holds.items():
            if value != ABSENT and value.size > MIB:
                self.check_range(client, key, value)
        self.check_listing(client)

    def check_range(self, client: Client, key: str, value: Value) -> None:
        start = self.random.randrange(value.size)
        end = min(value.size, start + self.random.randrange(1, 2 * MIB)) - 1
        answer = client.get(BUCKET, key, start=start, end=end)
        self.expect(answer, 206, f"GET {key} bytes {start}-{end}")
        if answer.body != self.values.body(value.number, value.size)[start:end + 1]:
            raise AssertionError(f"GET {key} bytes {start}-{end}: wrong bytes")

    def check_listing(self, client: Client) -> None:
        listed = {row["Key"]: (int(row["Size"]), row["ETag"]) for row in client.list_all(BUCKET)
                  if row["Key"] not in self.doubtful}
        expected = {key: (value.size, value.etag) for key, value in self.holds.items() if value != ABSENT}
        if listed != expected:
            differ = sorted(set(listed.items()) ^ set(expected.items()))
            raise AssertionError(f"the listing differs from what was written: {differ}")

    def check_never_wrong(self, client: Client) -> dict[str, int]:
        """More is broken than parity mends: each read is right or a clean error, never another value. Counts both."""
        counts = {"read": 0, "failed": 0}
        for key, value in self.holds.items():
            try:
                seen = self.values.get(client, BUCKET, key)
            except NoAnswer:  # cut off in the middle, as an answer that has begun must be
                seen = None
            if seen is not None and seen != value:
                raise AssertionError(f"{key} shows {describe(seen)}, not {describe(value)}")
            counts["failed" if seen is None else "read"] += 1
        return counts
