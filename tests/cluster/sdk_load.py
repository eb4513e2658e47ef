"""Clients as people have them: boto3 with its default retries, which put, get, list and delete, and note how long each call took.

Each client has keys of its own, so that it knows what a read must give: what it wrote last, or, after a call that failed, what it tried
to write. What a call needed in all, retries included, is its latency; a call that failed after them is an error.
"""

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import boto3
import botocore.config
import botocore.exceptions

from nodes import ACCESS_KEY, SECRET_KEY

SIZES, SIZE_WEIGHTS = (200, 20_000, 300_000, 2_500_000), (40, 35, 20, 5)  # in the index, in shard files, of more than one stripe
OPERATIONS = {"put": 35, "get": 45, "list": 12, "delete": 8}
KEYS = 40  # of one client
CALLS_A_SECOND = 12  # of one client: the machine has to serve four nodes, etcd and all clients with two cores


def s3(endpoint: str, *, retries: bool = True, timeout_s: float = 60):
    """retries: as boto3 has them by default; without, an answer is what the server said."""
    options = {} if retries else {"retries": {"total_max_attempts": 1}}
    return boto3.session.Session().client(
        "s3", endpoint_url=endpoint, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name="us-east-1",
        config=botocore.config.Config(connect_timeout=timeout_s, read_timeout=timeout_s, s3={"addressing_style": "path"}, **options))


def status_of(call: Callable, **arguments) -> int:
    """What a client without retries is told; 0: nothing."""
    try:
        return call(**arguments)["ResponseMetadata"]["HTTPStatusCode"]
    except botocore.exceptions.ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    except (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError):
        return 0


@dataclass
class Call:
    began: float
    took: float
    what: str
    retries: int
    error: str = ""


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class SdkLoad:
    def __init__(self, endpoint: str, bucket: str, seed: str, *, clients: int = 4, enter: Callable[[], None]):
        """enter is called first in each client's thread (Host.enter)."""
        self.endpoint, self.bucket, self.seed, self.enter = endpoint, bucket, seed, enter
        self.calls: list[Call] = []
        self.expected: list[dict[str, set[str]]] = [{} for _ in range(clients)]  # by client: key, MD5s it may have ("": absent)
        self.failures: list[BaseException] = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(clients)]

    def __enter__(self) -> "SdkLoad":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(120)

    def _run(self, number: int) -> None:
        try:
            self.enter()
            client, rng = s3(self.endpoint), random.Random(f"{self.seed} {number}")
            while not self.stopped.is_set():
                began = time.monotonic()
                self._once(client, rng, number)
                self.stopped.wait(max(0.0, began + 1 / CALLS_A_SECOND - time.monotonic()))
        except BaseException as error:
            self.failures.append(error)
            self.stopped.set()

    def _once(self, client, rng: random.Random, number: int) -> None:
        what = rng.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]
        key = f"{number}/{rng.randrange(KEYS):03d}"
        began = time.monotonic()
        try:
            answer = getattr(self, "_" + what)(client, rng, number, key)
            self.calls.append(Call(began, time.monotonic() - began, what, answer["ResponseMetadata"]["RetryAttempts"]))
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            said = getattr(error, "response", {})  # the balancer's own errors have no code
            self.calls.append(Call(began, time.monotonic() - began, what, 0, f"{what} {key}: {error} {said.get('Error')} "
                                   f"{said.get('ResponseMetadata')}"))

    def _put(self, client, rng, number, key):
        size = rng.choices(SIZES, SIZE_WEIGHTS)[0]
        body = rng.randbytes(size)
        digest = hashlib.md5(body).hexdigest()
        self.expected[number].setdefault(key, {""}).add(digest)
        answer = client.put_object(Bucket=self.bucket, Key=key, Body=body)
        self.expected[number][key] = {digest}
        return answer

    def _delete(self, client, _, number, key):
        self.expected[number].setdefault(key, {""}).add("")
        answer = client.delete_object(Bucket=self.bucket, Key=key)
        self.expected[number][key] = {""}
        return answer

    def _get(self, client, _, number, key):
        found, answer = self.read(client, key)
        allowed = self.expected[number].setdefault(key, {""})
        assert found in allowed, f"{key} holds {found or 'nothing'}, and {allowed} was written"
        self.expected[number][key] = {found}  # a read never sees time run backwards
        return answer

    def _list(self, client, _, number, __):
        answer = client.list_objects_v2(Bucket=self.bucket, Prefix=f"{number}/")
        found = {entry["Key"]: entry["ETag"].strip('"') for entry in answer.get("Contents", [])}
        for key, allowed in self.expected[number].items():
            assert found.get(key, "") in allowed, f"{key} is listed as {found.get(key)}, and {allowed} was written"
        return answer

    def read(self, client, key: str) -> tuple[str, dict]:
        try:
            answer = client.get_object(Bucket=self.bucket, Key=key)
            return hashlib.md5(answer["Body"].read()).hexdigest(), answer
        except client.exceptions.NoSuchKey as error:
            return "", error.response

    def errors(self) -> list[str]:
        return [call.error for call in list(self.calls) if call.error]

    def check(self) -> None:
        """No client gave up, and none was told anything wrong."""
        if self.failures:
            raise self.failures[0]
        assert not self.errors(), f"{len(self.errors())} calls failed, the first: {self.errors()[:3]}"

    def latencies(self, begin: float, end: float) -> list[float]:
        """Of the calls that began then."""
        return [call.took for call in list(self.calls) if begin <= call.began < end]

    def wait_for_calls(self, count: int, seconds: float = 60) -> None:
        wanted, end = len(self.calls) + count, time.monotonic() + seconds
        while len(self.calls) < wanted and not self.stopped.is_set():
            assert time.monotonic() < end, f"not {count} calls within {seconds} s"
            time.sleep(0.05)
        if self.failures:
            raise self.failures[0]

    def assert_all_there(self, endpoint: str) -> int:
        """Reads every key by this endpoint, after the load has ended; how many objects there are."""
        client, there = s3(endpoint), 0
        for number, keys in enumerate(self.expected):
            for key, allowed in sorted(keys.items()):
                found, _ = self.read(client, key)
                assert found in allowed, f"{key} holds {found or 'nothing'} at {endpoint}, and {allowed} was written"
                keys[key] = {found}
                there += found != ""
        listed = {entry["Key"]: entry["ETag"].strip('"') for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
                  for entry in page.get("Contents", [])}
        assert listed == {key: min(found) for keys in self.expected for key, found in keys.items() if found != {""}}, \
            f"the listing at {endpoint} differs from what was read"
        return there

    def table(self) -> str:
        counts = Counter((call.what, "error" if call.error else f"{call.retries} retries") for call in self.calls)
        lines = [f"{what:8} {outcome:10} {count:6}" for (what, outcome), count in sorted(counts.items())]
        took = [call.took for call in self.calls] or [0.0]
        return "\n".join([*lines, f"p50 {percentile(took, 50) * 1000:.0f} ms, p99 {percentile(took, 99) * 1000:.0f} ms"])
