"""Clients that put, get, delete, put on condition and list a few keys at once, and write down what they were told and when.

The history is a file for the checker (linear/). Each operation has the moment before it was sent and the moment after its answer
was there, on one monotonic clock, that of this process. A write whose outcome nobody knows (no answer, 5xx) is written down as
such: it may take effect at any later time, or never. One that was never sent (no connection) did not happen, and of a read
without an answer there is nothing to say.

A page of a listing is written down as a read of each key between where it begins and where it ends, each at some moment between
call and answer: S3 promises that a listing shows what was written before it began, and no more; it is no picture of one moment.

The keys are replaced by fresh ones every few seconds (a generation), or when many writes on one of them are in doubt: what the
checker has to try grows with their number. All generations are read once more at the end, when all is well (read_all).
"""

import hashlib
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "crash"))
from s3 import Answer, Client, NoAnswer, xml_list  # noqa: E402: found by the line above

BUCKET = "linear"
SIZES = (40, 1000, 20_000, 200_000, 1_200_000)  # in the index, in shard files, of more than one stripe
GENERATION_S, MAX_OPERATIONS, MAX_DOUBTS = 10, 3000, 10
AVOID_S = 0.3  # how long a client leaves a node alone that did not answer
CLIENT_TIMEOUT_S = 4
CONFLICT = 409  # ConditionalRequestConflict: it had no effect


@dataclass(frozen=True)
class Mix:
    names: str  # of keys, a letter each
    operations: dict[str, int]
    size_weights: tuple[int, ...]


ALL_KINDS = Mix("abcd", {"get": 26, "head": 8, "put": 20, "create": 12, "match": 16, "delete": 10, "list": 8}, (40, 30, 20, 8, 2))
# Everybody wants the same two keys, on condition: as many as can be are checked at one moment by different nodes.
CONTENDED = Mix("ab", {"get": 15, "put": 5, "create": 25, "match": 35, "delete": 15, "list": 5}, (95, 0, 5, 0, 0))


class Generation:
    def __init__(self, number: int, mix: Mix):
        self.prefix = f"{number:06d}/"
        self.keys = [self.prefix + name for name in mix.names]
        self.began = time.monotonic()
        self.operations: list[dict] = []
        self.doubts: Counter = Counter()
        self.last = dict.fromkeys(self.keys, "")  # what somebody saw or wrote lately; only to have something to expect

    def worn_out(self) -> bool:
        return (time.monotonic() - self.began > GENERATION_S or len(self.operations) >= MAX_OPERATIONS or
                max(self.doubts.values(), default=0) >= MAX_DOUBTS)


class Recorder:
    """Thread safe."""

    def __init__(self, mix: Mix = ALL_KINDS):
        self.lock = threading.Lock()
        self.mix = mix
        self.generations = [Generation(0, mix)]
        self.counts: Counter = Counter()  # (what, outcome)

    def generation(self) -> Generation:
        with self.lock:
            if self.generations[-1].worn_out():
                self.generations.append(Generation(len(self.generations), self.mix))
            return self.generations[-1]

    def count(self, what: str, outcome: str) -> None:
        with self.lock:
            self.counts[what, outcome] += 1

    def add(self, generation: Generation, **operation) -> None:
        with self.lock:
            generation.operations.append(operation)
            if operation.get("outcome") == "unknown":
                generation.doubts[operation["key"]] += 1
            for key, seen in operation.get("seen", {}).items():
                generation.last[key] = seen

    def write(self, path: Path) -> None:
        with self.lock, path.open("w") as file:
            for generation in self.generations:
                for operation in generation.operations:
                    file.write(json.dumps(operation) + "\n")

    def table(self) -> str:
        with self.lock:
            outcomes = sorted({outcome for _, outcome in self.counts})
            rows = [["", *outcomes]] + [[what, *(str(self.counts[what, outcome] or "") for outcome in outcomes)]
                                        for what in sorted({what for what, _ in self.counts})]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows)


class Violation(AssertionError):
    """An answer that no history explains."""


class Prober:
    """One client with a connection to each of the endpoints."""

    def __init__(self, recorder: Recorder, number: int, clients: list[Client], seed: str):
        self.recorder, self.number, self.clients = recorder, number, clients
        self.random = random.Random(f"{seed} client {number}")
        self.seed = seed
        self.written = 0
        self.avoid = [0.0] * len(clients)

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def choose(self) -> int:
        now = time.monotonic()
        willing = [index for index, until in enumerate(self.avoid) if until <= now]
        if not willing:
            time.sleep(max(0.0, min(self.avoid) - now))
            return min(range(len(self.avoid)), key=self.avoid.__getitem__)
        return self.random.choice(willing)

    def body(self) -> tuple[bytes, str]:
        """A body that nobody wrote before, and its ETag."""
        self.written += 1
        size = self.random.choices(SIZES, self.recorder.mix.size_weights)[0]
        mark = f"{self.seed} {self.number} {self.written}\n".encode()
        body = (mark * (size // len(mark) + 1))[:max(size, len(mark))]
        return body, hashlib.md5(body).hexdigest()

    def once(self) -> None:
        generation = self.recorder.generation()
        operations = self.recorder.mix.operations
        what = self.random.choices(list(operations), list(operations.values()))[0]
        index = self.choose()
        client = self.clients[index]
        try:
            client.connect()
        except OSError:
            self.recorder.count(what, "not sent")
            self.avoid[index] = time.monotonic() + AVOID_S
            return
        if not self.perform(generation, what, client):
            self.avoid[index] = time.monotonic() + AVOID_S

    def perform(self, generation: Generation, what: str, client: Client) -> bool:
        """Whether it was answered by anything but a 5xx."""
        if what == "list":
            return self.list_page(generation, client)
        key = self.random.choice(generation.keys)
        if what in ("get", "head"):
            return self.read(generation, what, key, client)
        return self.change(generation, what, key, client)

    def timed(self, request: Callable[[], Answer]) -> tuple[int, int, Answer]:
        """Call, return, and the answer; status 0 where there was none."""
        call = time.monotonic_ns()
        try:
            answer = request()
        except NoAnswer:
            answer = Answer(0)
        return call, time.monotonic_ns(), answer

    def read(self, generation: Generation, what: str, key: str, client: Client) -> bool:
        call, end, answer = self.timed(lambda: (client.get if what == "get" else client.head)(BUCKET, key))
        if answer.status not in (200, 404):
            return self.unanswered(what, answer)
        if answer.status == 404 and what == "get" and answer.code != "NoSuchKey":
            raise Violation(f"get {key}: {answer.brief()}")
        if what == "get" and answer.status == 200 and hashlib.md5(answer.body).hexdigest() != answer.etag:
            raise Violation(f"get {key}: {len(answer.body)} bytes that are not those of the ETag {answer.etag}")
        seen = answer.etag if answer.status == 200 else ""
        self.recorder.add(generation, client=self.number, op="read", key=key, outcome="ok", seen={key: seen}, call=call, **{"return": end})
        self.recorder.count(what, "ok" if seen else "404")
        return True

    def unanswered(self, what: str, answer: Answer) -> bool:
        if answer.status and answer.status < 500:
            raise Violation(f"{what}: {answer.brief()}")
        self.recorder.count(what, str(answer.status or "no answer"))
        return False

    def change(self, generation: Generation, what: str, key: str, client: Client) -> bool:
        operation = {"client": self.number, "op": what, "key": key}
        if what == "delete":
            call, end, answer = self.timed(lambda: client.delete(BUCKET, key))
        else:
            body, etag = self.body()
            operation["value"], headers = etag, {}
            if what == "create":
                headers = {"if_none_match": "*"}
            elif what == "match":
                operation["expect"] = generation.last[key] or hashlib.md5(key.encode()).hexdigest()
                headers = {"if_match": f'"{operation["expect"]}"'}
            call, end, answer = self.timed(lambda: client.put(BUCKET, key, body, **headers))
        operation |= {"call": call, "return": end, "outcome": self.outcome(what, key, answer)}
        self.recorder.count(what, operation["outcome"] if answer.status in (200, 204) else str(answer.status or "no answer"))
        if operation["outcome"] == "nothing":
            return True
        self.recorder.add(generation, **operation)
        if operation["outcome"] == "ok":
            if "value" in operation and answer.etag != operation["value"]:
                raise Violation(f"{what} {key}: the answer has the ETag {answer.etag}, the body {operation['value']}")
            generation.last[key] = operation.get("value", "")
        return operation["outcome"] != "unknown"

    @staticmethod
    def outcome(what: str, key: str, answer: Answer) -> str:
        if answer.status in (200, 204):
            return "ok"
        if answer.status == 0 or answer.status >= 500:
            return "unknown"
        if answer.status == CONFLICT and what in ("create", "match"):
            return "nothing"
        if (answer.status, answer.code) == (412, "PreconditionFailed") and what in ("create", "match"):
            return "412"
        if (answer.status, answer.code) == (404, "NoSuchKey") and what == "match":
            return "404"
        raise Violation(f"{what} {key}: {answer.brief()}")

    def list_page(self, generation: Generation, client: Client) -> bool:
        after = self.random.choice(["", *generation.keys])
        query = {"list-type": 2, "prefix": generation.prefix, "max-keys": self.random.choice((1, 2, 1000))}
        if after:
            query["start-after"] = after
        call, end, answer = self.timed(lambda: client.request("GET", BUCKET, query=query))
        if answer.status != 200:
            return self.unanswered("list", answer)
        found = {entry["Key"]: entry["ETag"].strip('"') for entry in xml_list(answer.body, "Contents")}
        if list(found) != sorted(found) or any(key not in generation.keys or key <= after for key in found):
            raise Violation(f"list {query}: {list(found)}")
        truncated = b"<IsTruncated>true</IsTruncated>" in answer.body
        covered = [key for key in generation.keys if key > after and (not truncated or key <= max(found))]
        self.recorder.count("list", "truncated" if truncated else "ok")
        if covered:
            self.recorder.add(generation, client=self.number, op="list", key="", outcome="ok",
                              seen={key: found.get(key, "") for key in covered}, call=call, **{"return": end})
        return True


class Load:
    """Probers in threads of their own, until stop()."""

    def __init__(self, recorder: Recorder, seed: str, connect: Callable[[], list[Client]], *, clients: int = 8,
                 enter: Callable[[], None] = lambda: None):
        """connect makes one client for each endpoint; enter is called first in each thread (Host.enter)."""
        self.recorder, self.enter = recorder, enter
        self.probers = [Prober(recorder, number, connect(), seed) for number in range(clients)]
        self.stopped = threading.Event()
        self.failures: list[BaseException] = []
        self.threads = [threading.Thread(target=self.run, args=(prober,), daemon=True) for prober in self.probers]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def run(self, prober: Prober) -> None:
        try:
            self.enter()
            while not self.stopped.is_set():
                prober.once()
        except BaseException as error:
            self.failures.append(error)
            self.stopped.set()
        finally:
            prober.close()

    def stop(self) -> None:
        """Waits for what is under way; raises what made a client give up."""
        self.stopped.set()
        for thread in self.threads:
            thread.join(CLIENT_TIMEOUT_S * 10)
        if self.failures:
            raise self.failures[0]
        assert not any(thread.is_alive() for thread in self.threads), "a client still waits"


def read_all(recorder: Recorder, clients: list[Client], seed: str, within_s: float = 60) -> None:
    """Reads every key of every generation through every client's node, now that all is well: each must answer."""
    for number, client in enumerate(clients):
        prober = Prober(recorder, 1000 + number, [client], seed)
        for generation in recorder.generations:
            for what, key in [("get", key) for key in generation.keys] + [("list", "")]:
                end = time.monotonic() + within_s
                while not (prober.read(generation, what, key, client) if key else prober.list_page(generation, client)):
                    assert time.monotonic() < end, f"{what} {key or generation.prefix} is not answered though all is well"
                    time.sleep(0.2)


def check(history: Path, checker: Path, timeout_s: int = 120) -> tuple[int, str]:
    """Exit status of the checker (linear/main.go) and what it said."""
    done = subprocess.run([str(checker), "-timeout", f"{timeout_s}s", "-html", str(history.with_suffix(".html")), str(history)],
                          capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()
