"""SIGTERM while requests run: they finish, nothing new begins, the exit status is 0, and all of it is there afterwards."""

import hashlib
import http.client
import signal
import socket
import time

from contents import Contents
from harness import BUCKET, CrashCase, main
from s3 import UNSIGNED, until
from values import MIB

BODY_BYTES = 48 * MIB  # more than sockets hold, so that a stalled client leaves the request running


class Shutdown(CrashCase):
    def setUp(self):
        super().setUp()
        self.contents = Contents(self.seed)
        self.node = self.server().start()
        self.client = self.node.client()
        self.contents.fill(self.client)

    def begin(self, method: str, key: str, body_bytes: int = 0) -> http.client.HTTPConnection:
        """A request whose head is sent, signed with an unsigned payload."""
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=60)
        headers = self.client.signed_headers(method, f"/{BUCKET}/{key}", "", {}, UNSIGNED)
        connection.putrequest(method, f"/{BUCKET}/{key}", skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body_bytes:
            connection.putheader("content-length", str(body_bytes))
        connection.endheaders()
        self.addCleanup(connection.close)
        return connection

    def refuses_connections(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.node.port), timeout=5).close()
        except ConnectionError:
            return True
        return False

    def test_running_requests_finish(self):
        large = self.random.randbytes(BODY_BYTES)
        self.assertEqual(self.client.put(BUCKET, "large", large).status, 200)
        put = self.begin("PUT", "during", BODY_BYTES)
        put.send(large[:BODY_BYTES // 2])
        get = self.begin("GET", "large")
        answer = get.getresponse()
        received = hashlib.md5(answer.read(MIB))

        self.node.process.send_signal(signal.SIGTERM)
        until(self.refuses_connections, 10, "new connections are refused")
        self.assertTrue(self.node.running(), "it left with requests running")

        put.send(large[BODY_BYTES // 2:])
        stored = put.getresponse()
        self.assertEqual((stored.status, stored.read()), (200, b""))
        while chunk := answer.read(MIB):
            received.update(chunk)
        self.assertEqual((answer.status, received.digest()), (200, hashlib.md5(large).digest()))
        self.assertEqual(self.node.wait_exit(20), 0)

        self.node.start()
        client = self.node.client()
        self.assertEqual(client.get(BUCKET, "during").body, large)
        for key in ("large", "during"):
            client.delete(BUCKET, key)
        self.contents.check(client)

    def test_idle_connections_do_not_delay(self):
        idle = [socket.create_connection(("127.0.0.1", self.node.port)) for _ in range(20)]
        started = time.monotonic()
        self.assertEqual(self.node.stop(), 0)
        self.assertLess(time.monotonic() - started, 10)
        for connection in idle:
            connection.close()

    def test_a_stalled_request_is_cut_off(self):
        """A client that never finishes does not keep the process for longer than the shutdown time-out."""
        self.node.stop()
        self.node.env["OSTRAKA_API_SHUTDOWN_TIMEOUT"] = "2s"
        self.node.start()
        put = self.begin("PUT", "never", BODY_BYTES)
        put.send(b"x" * MIB)
        self.node.process.send_signal(signal.SIGTERM)
        self.node.wait_exit(15)
        self.node.start()
        client = self.node.client()
        self.assertEqual(client.head(BUCKET, "never").status, 404)
        self.contents.check(client)

    def test_a_second_signal_and_an_immediate_one(self):
        self.node.process.send_signal(signal.SIGINT)
        try:
            self.node.process.send_signal(signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.node.wait_exit(20)
        for _ in range(5):  # in the middle of the start
            self.node.launch()
            time.sleep(self.random.uniform(0, 0.3))
            self.node.process.send_signal(signal.SIGTERM)
            status = self.node.wait_exit(30)
            self.assertIn(status, (0, -signal.SIGTERM), self.node.log_tail())
        self.node.start()
        self.contents.check(self.node.client())


if __name__ == "__main__":
    main()
