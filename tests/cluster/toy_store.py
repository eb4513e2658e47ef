"""A store in memory that speaks enough S3 for recorder.py, correct or with one fault: to see that recorder and checker notice it."""

import hashlib
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

FAULTS = ("stale reads", "racing conditions", "forgotten deletes", "late listings", "writes twice", "lagging node")


class Store:
    def __init__(self, fault: str, seed: int):
        assert fault in ("", *FAULTS)
        self.fault = fault
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.held: dict[str, bytes] = {}
        self.before: dict[str, bytes] = {}  # what a key held before
        self.picture: tuple[float, dict] = (0.0, {})  # of a late listing

    def chance(self, percent: float) -> bool:
        return self.random.random() * 100 < percent

    def read(self, key: str) -> bytes | None:
        with self.lock:
            if self.fault == "stale reads" and self.chance(1) and key in self.before:
                return self.before[key]
            return self.held.get(key)

    def names(self) -> dict[str, bytes]:
        with self.lock:
            if self.fault != "late listings":
                return dict(self.held)
            if time.monotonic() - self.picture[0] > 0.3:
                self.picture = (time.monotonic(), dict(self.held))
            return self.picture[1]

    def refusal(self, key: str, conditions) -> tuple[int, str] | None:
        held = self.held.get(key)
        expected = conditions.get("if-match")
        if expected is not None and held is None:
            return 404, "NoSuchKey"
        if (expected is not None and expected.strip('"') != hashlib.md5(held).hexdigest()) or (
                conditions.get("if-none-match") and held is not None):
            return 412, "PreconditionFailed"
        return None

    def change(self, key: str, body: bytes | None, conditions) -> tuple[int, str]:
        if self.fault == "racing conditions":
            refused = self.refusal(key, conditions)
            time.sleep(0.003)
            conditions = {}
            if refused:
                return refused
        with self.lock:
            refused = self.refusal(key, conditions)
            if refused:
                return refused
            self.put(key, body)
        if self.fault == "writes twice" and body is not None and self.chance(2):
            threading.Timer(0.05, self.put, (key, body)).start()
        return (200 if body is not None else 204), ""

    def put(self, key: str, body: bytes | None) -> None:
        if key in self.held:
            self.before[key] = self.held[key]
        if body is not None:
            self.held[key] = body
        elif not (self.fault == "forgotten deletes" and self.chance(5)):
            self.held.pop(key, None)


class Lagging(Store):
    """A node whose reads come from a copy that is brought up to date 20 times a second."""

    def __init__(self, source: Store, seed: int):
        super().__init__("", seed)
        self.source = source
        self.copy: tuple[float, dict] = (0.0, {})

    def names(self) -> dict[str, bytes]:
        with self.lock:
            if time.monotonic() - self.copy[0] > 0.05:
                self.copy = (time.monotonic(), dict(self.source.held))
            return self.copy[1]

    def read(self, key: str) -> bytes | None:
        return self.names().get(key)

    def change(self, key: str, body: bytes | None, conditions) -> tuple[int, str]:
        return self.source.change(key, body, conditions)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store

    def log_message(self, *_):
        pass

    def key(self) -> str:
        return unquote(urlsplit(self.path).path).split("/", 2)[2]

    def answer(self, status: int, body: bytes = b"", etag: str = "") -> None:
        self.send_response(status)
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, f"<Error><Code>{code}</Code></Error>".encode())

    def doubtful(self, change) -> tuple[int, str]:
        """Now and then 503: before it, or after it, or somewhat later. All of this is correct."""
        if not self.store.chance(2):
            return change()
        threading.Timer(0.1 * self.store.random.random(), change).start() if self.store.chance(60) else None
        return 503, "ServiceUnavailable"

    def do_GET(self):
        if "list-type" in self.path:
            return self.do_list()
        body = self.store.read(self.key())
        self.refuse(404, "NoSuchKey") if body is None else self.answer(200, body, hashlib.md5(body).hexdigest())

    do_HEAD = do_GET

    def do_list(self):
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        held = self.store.names()
        names = sorted(name for name in held if name.startswith(query["prefix"]) and name > query.get("start-after", ""))
        shown = names[:int(query["max-keys"])]
        items = "".join(f"<Contents><Key>{name}</Key><ETag>{hashlib.md5(held[name]).hexdigest()}</ETag></Contents>" for name in shown)
        self.answer(200, f"<L>{items}<IsTruncated>{str(len(shown) < len(names)).lower()}</IsTruncated></L>".encode())

    def change(self, body: bytes | None):
        status, code = self.doubtful(lambda: self.store.change(self.key(), body, self.headers))
        etag = hashlib.md5(body).hexdigest() if body is not None else ""
        self.answer(status, etag=etag) if status < 300 else self.refuse(status, code)

    def do_PUT(self):
        self.change(self.rfile.read(int(self.headers["Content-Length"])))

    def do_DELETE(self):
        self.change(None)


def serve(store: Store) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ToyHandler", (Handler,), {"store": store}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def serve_two(fault: str, seed: int) -> list[ThreadingHTTPServer]:
    """Two endpoints of one store."""
    store = Store(fault, seed)
    return [serve(store), serve(Lagging(store, seed + 1) if fault == "lagging node" else store)]
