"""Clients that stall are cut off, and never keep others waiting."""

import resource
import socket
import time

from contents import Contents
from harness import BUCKET, CrashCase, main
from s3 import UNSIGNED, NoAnswer, until
from values import KIB, MIB

HEADER_TIMEOUT_S, REQUEST_TIMEOUT_S, IDLE_TIMEOUT_S = 1, 2, 2
LEAST_BYTES = 64 * KIB  # of a body, that a client has to send within each time-out
SLACK_S = 8  # the machine may be busy
FILES = 480  # that a process may open, where it is restricted


class SlowClients(CrashCase):
    def setUp(self):
        super().setUp()
        self.contents = Contents(self.seed)
        self.node = self.server(env={"OSTRAKA_API_HEADER_TIMEOUT": f"{HEADER_TIMEOUT_S}s",
                                     "OSTRAKA_API_REQUEST_TIMEOUT": f"{REQUEST_TIMEOUT_S}s",
                                     "OSTRAKA_API_IDLE_TIMEOUT": f"{IDLE_TIMEOUT_S}s", "OSTRAKA_LOG_ACCESS": "off"}).start()
        self.client.create_bucket(BUCKET)

    @property
    def client(self):
        """A fresh one: the idle time-out cuts the others off."""
        return self.node.client()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.node.port), timeout=30)
        self.addCleanup(connection.close)
        return connection

    def head(self, method: str, key: str, *more: str) -> bytes:
        headers = self.client.signed_headers(method, f"/{BUCKET}/{key}", "", {}, UNSIGNED)
        return "\r\n".join([f"{method} /{BUCKET}/{key} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()),
                            *more, "", ""]).encode()

    def cut_off(self, connection: socket.socket, within_s: float) -> bytes:
        """What the server sent before it closed the connection, which it must do in time."""
        connection.settimeout(within_s + SLACK_S)
        received = b""
        try:
            while chunk := connection.recv(1 << 16):
                received += chunk
        except ConnectionResetError:
            pass
        except TimeoutError:
            self.fail(f"still connected after {within_s + SLACK_S} s")
        return received

    def test_stalled_heads_and_bodies_are_cut_off(self):
        put = self.head("PUT", "stalled", f"content-length: {MIB}")
        for what, sent, within_s in (("nothing", b"", max(HEADER_TIMEOUT_S, IDLE_TIMEOUT_S)),
                                     ("half a request line", put[:9], HEADER_TIMEOUT_S),
                                     ("half a head", put[:len(put) // 2], HEADER_TIMEOUT_S),
                                     ("a head without a body", put, REQUEST_TIMEOUT_S),
                                     ("half a body", put + b"x" * (MIB // 2), REQUEST_TIMEOUT_S)):
            with self.subTest(sent=what):
                connection = self.connect()
                connection.sendall(sent)
                received = self.cut_off(connection, within_s)
                self.assertFalse(received.startswith(b"HTTP/1.1 2"), received[:200])
        self.assertEqual(self.client.head(BUCKET, "stalled").status, 404)

    def test_a_head_in_drops_is_cut_off(self):
        """The head as a whole has a time limit: one byte now and then does not hold the connection open for ever."""
        connection, head = self.connect(), self.head("GET", "any")
        began = time.monotonic()
        try:
            for byte in head:
                connection.send(bytes([byte]))
                if time.monotonic() - began > HEADER_TIMEOUT_S + SLACK_S:
                    self.fail("a head in drops is still taken")
                time.sleep(0.1)  # the drops
        except ConnectionError:
            return
        self.cut_off(connection, HEADER_TIMEOUT_S)

    def test_readers_that_stop_reading_are_cut_off(self):
        body = self.random.randbytes(64 * MIB)
        self.assertEqual(self.client.put(BUCKET, "large", body).status, 200)
        connection = self.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)
        connection.sendall(self.head("GET", "large"))
        self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 200"))
        until(lambda: not self.peer_is_connected(connection), REQUEST_TIMEOUT_S + SLACK_S,
              "a client that does not read is cut off")
        self.node.assert_alive()

    def peer_is_connected(self, connection: socket.socket) -> bool:
        """Whether the server's end of this connection is established, by /proc/net/tcp."""
        local, remote = self.node.port, connection.getsockname()[1]
        with open("/proc/net/tcp") as table:
            for line in list(table)[1:]:
                _, ours, theirs, state = line.split()[:4]
                if int(ours.split(":")[1], 16) == local and int(theirs.split(":")[1], 16) == remote:
                    return state == "01"
        return False

    def test_stalled_clients_do_not_block_others(self):
        put = self.head("PUT", "stalled", f"content-length: {3 * MIB}")
        stalled = []
        for number in range(150):  # the bodies among them hold fewer buffers than memory.buffers has
            connection = self.connect()
            connection.sendall(put[:50] if number % 3 == 0 else put + b"x" * (100 * KIB))
            stalled.append(connection)
        began = time.monotonic()
        client = self.client
        self.contents.fill(client)
        self.contents.check(client)
        print(f"{time.monotonic() - began:.2f} s of work beside {len(stalled)} stalled clients", flush=True)
        for connection in stalled:
            self.cut_off(connection, REQUEST_TIMEOUT_S)
        self.assertEqual(self.client.head(BUCKET, "stalled").status, 404)

    def test_clients_that_stall_between_stripes_hold_no_buffers(self):
        """Far more of them than memory.buffers has buffers, and nobody waits until they are cut off."""
        self.node.stop()
        self.node.env["OSTRAKA_API_REQUEST_TIMEOUT"] = "60s"
        self.node.start()
        began = time.monotonic()
        put, stalled = self.head("PUT", "stalled", f"content-length: {3 * MIB}"), []
        for sent in (put, put + b"x" * MIB, put + b"x" * (2 * MIB)):
            for _ in range(100):
                stalled.append(self.connect())
                stalled[-1].sendall(sent)
        client = self.client
        self.contents.fill(client)
        self.contents.check(client)
        self.assertLess(time.monotonic() - began, 40)
        for connection in stalled:
            connection.close()

    def test_a_crowd_of_idle_clients_leaves_the_drives_their_files(self):
        """More connections than the process may have files: those too many are refused, and no drive is taken for broken."""
        self.node.stop()
        self.node.before_exec = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
        self.node.start()
        self.contents.fill(self.client)
        crowd = [self.connect() for _ in range(2 * FILES)]
        in_service = [self.node.names_as_missing([]) for _ in range(10)]
        self.assertTrue(all(in_service), self.node.log_tail())
        until(self.is_served, max(HEADER_TIMEOUT_S, IDLE_TIMEOUT_S) + SLACK_S, "clients are served again once the idle ones are cut off")
        self.contents.check(self.client)
        self.assertNotIn("offline", self.node.said())
        for connection in crowd:
            connection.close()

    def is_served(self) -> bool:
        try:
            return self.client.head(BUCKET, "small/05").status == 200
        except NoAnswer:
            return False

    def test_a_slow_body_that_moves_is_taken(self):
        """Slow is not stalled: 64 KiB within each time-out are a healthy upload."""
        pieces = 2 * REQUEST_TIMEOUT_S + 1
        connection = self.connect()
        connection.sendall(self.head("PUT", "slow", f"content-length: {pieces * LEAST_BYTES}", "connection: close"))
        for _ in range(pieces):
            time.sleep(0.5 * REQUEST_TIMEOUT_S)  # this client's pace, slower in all than the time-out allows for a silence
            connection.sendall(b"s" * LEAST_BYTES)
        received = self.cut_off(connection, REQUEST_TIMEOUT_S)
        self.assertTrue(received.startswith(b"HTTP/1.1 200"), received[:200])
        self.assertEqual(self.client.get(BUCKET, "slow").body, b"s" * pieces * LEAST_BYTES)

    def test_bodies_in_drops_are_cut_off(self):
        """A byte now and then holds neither an upload nor a browser's form open."""
        form = b'--b\r\nContent-Disposition: form-data; name="x-amz-meta-drops"\r\n\r\n'
        heads = {"an object": self.head("PUT", "drops", f"content-length: {MIB}"),
                 "a stripe begun": self.head("PUT", "drops", f"content-length: {3 * MIB}") + b"x" * MIB,
                 "a form's field": f"POST /{BUCKET} HTTP/1.1\r\nhost: h\r\ncontent-type: multipart/form-data; boundary=b\r\n"
                                   f"content-length: {MIB}\r\n\r\n".encode() + form}
        for what, sent in heads.items():
            with self.subTest(what=what):
                connection = self.connect()
                connection.sendall(sent)
                began = time.monotonic()
                try:
                    while time.monotonic() - began < REQUEST_TIMEOUT_S + SLACK_S:
                        connection.sendall(b"x")
                        time.sleep(0.2)  # the drops
                    self.fail(f"{what} in drops is still taken")
                except ConnectionError:
                    pass


if __name__ == "__main__":
    main()
