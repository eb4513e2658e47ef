"""Each fault of netns.py does what it says, shown with small echo servers; nothing stays behind."""

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import netns

ECHO = """
import socket, threading
def serve(s):
    with s:
        while data := s.recv(65536):
            s.sendall(data)
server = socket.create_server(("0.0.0.0", 7), backlog=100)
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""
COUNT_UDP = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
s.bind(("0.0.0.0", 9))
print("ready", flush=True)
count = 0
while s.recv(100) != b"end":
    count += 1
print(count, flush=True)
"""
SHORT_S, LONG_S = 0.6, 15


class NetCase(unittest.TestCase):
    relays = False

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ostraka-net-"))
        self.addCleanup(shutil.rmtree, self.folder)
        began = time.monotonic()
        self.addCleanup(lambda: print(f"{time.monotonic() - began:.1f} s", flush=True))
        self.net = netns.Net(self.folder, relays=self.relays)
        self.addCleanup(self.net.close)
        for name in "abcd":
            self.net.add(name)
            self.python(name, ECHO)

    def python(self, host: str, program: str) -> subprocess.Popen:
        process = subprocess.Popen(self.net.hosts[host].inside(sys.executable, "-c", program), stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def on(self, host: str, body):
        """Runs body in a thread whose sockets are the host's."""
        outcome = []

        def run():
            self.net.hosts[host].enter()
            try:
                outcome.append((body(), None))
            except Exception as error:
                outcome.append((None, error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if outcome[0][1] is not None:
            raise outcome[0][1]
        return outcome[0][0]

    def connect(self, source: str, target: str, timeout_s: float = LONG_S) -> socket.socket:
        connection = self.on(source, lambda: socket.create_connection((target, 7), timeout=timeout_s))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.addCleanup(connection.close)
        return connection

    def echo(self, connection: socket.socket, data: bytes = b"x", timeout_s: float = LONG_S) -> float:
        """Seconds for the way there and back."""
        connection.settimeout(timeout_s)
        began, left = time.monotonic(), len(data)
        threading.Thread(target=self.send_all, args=(connection, data), daemon=True).start()
        while left > 0:
            got = connection.recv(65536)
            self.assertTrue(got, "the connection was closed")
            left -= len(got)
        return time.monotonic() - began

    @staticmethod
    def send_all(connection: socket.socket, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the other end notices
            connection.sendall(data)

    def reaches(self, source: str, target: str, timeout_s: float) -> bool:
        """By a new connection. Within a relay's host every connection opens, so an echo decides."""
        try:
            self.echo(self.connect(source, target, timeout_s), timeout_s=timeout_s)
            return True
        except OSError:
            return False

    def assert_reach(self, yes: str, no: str = "") -> None:
        """Pairs of hosts: from, to. Who is cut off gets less time, since waiting is all that happens then."""
        self.assertEqual([pair for pair in yes.split() if not self.reaches(*pair, LONG_S)], [])
        self.assertEqual([pair for pair in no.split() if self.reaches(*pair, SHORT_S)], [])


class Faults(NetCase):
    def test_names_and_the_lab(self):
        self.assertEqual(self.net.hosts["b"].run("getent", "hosts", "c").split(), [self.net.hosts["c"].address, "c"])
        with socket.create_connection(("d", 7), timeout=LONG_S) as connection:  # from the test itself
            self.echo(connection)
        self.assert_reach("ab ba cd")

    def test_cut_and_heal(self):
        open_one = self.connect("a", "b")
        self.echo(open_one)
        self.net.cut("a", "b")
        self.assert_reach("ac cb bd", "ab ba")
        with self.assertRaises(TimeoutError):
            self.echo(open_one, timeout_s=SHORT_S)
        self.net.heal()
        self.assert_reach("ab ba")
        open_one.settimeout(LONG_S)
        self.assertEqual(open_one.recv(1), b"x")  # TCP sent again what was lost

    def test_one_way_cut(self):
        program = COUNT_UDP
        there, back = self.python("b", program), self.python("a", program)
        self.net.cut_one_way("a", "b")
        self.assert_reach("ac bc", "ab ba")  # TCP needs both ways

        def send(source, target, data):
            def body():
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.sendto(data, (target, 9))
            self.on(source, body)

        send("a", "b", b"1")
        send("b", "a", b"1")
        send("b", "a", b"end")
        self.assertEqual(back.stdout.readline(), "1\n")
        self.net.heal()
        send("a", "b", b"end")
        self.assertEqual(there.stdout.readline(), "0\n")

    def test_split(self):
        self.net.split(("a", "b"), ("c",))
        self.assert_reach("ab ba ad da cd dc", "ac ca bc cb")
        self.net.cut("a", "d")  # faults add up
        self.assert_reach("ab cd", "ac ad")
        self.net.heal()
        self.assert_reach("ac cb ad")

    def test_loss(self):
        for percent in (30, 0):
            with self.subTest(percent=percent):
                receiver = self.python("b", COUNT_UDP)
                self.net.loss("a", "b", percent)

                def send():
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                        for _ in range(3000):
                            s.sendto(b"1", ("b", 9))

                self.on("a", send)
                self.net.heal()
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.sendto(b"end", ("b", 9))
                count = int(receiver.stdout.readline())
                self.assertTrue(abs(count - 30 * (100 - percent)) <= (150 if percent else 0), count)

    def test_rate(self):
        data, kbit_s = bytes(500_000), 8_000
        connection = self.connect("a", "b")
        free_s = self.echo(connection, data)
        self.net.rate("b", kbit_s)
        limited_s = self.echo(connection, data)  # there and back at the same time, less the burst
        self.assertGreater(limited_s, 0.3)
        self.assertLess(free_s, limited_s)
        self.net.heal()
        self.assertLess(min(self.echo(connection, data) for _ in range(3)), 0.3)

    def test_stopped_process(self):
        """What SIGSTOP is to others: connections open, the kernel takes bytes, nobody answers."""
        server = self.python("a", ECHO.replace('"0.0.0.0", 7', '"0.0.0.0", 8'))
        connection = self.on("b", lambda: socket.create_connection(("a", 8), timeout=LONG_S))
        self.addCleanup(connection.close)
        self.echo(connection)
        server.send_signal(19)
        with self.assertRaises(TimeoutError):
            self.echo(connection, timeout_s=SHORT_S)
        server.send_signal(18)
        connection.settimeout(LONG_S)
        self.assertEqual(connection.recv(1), b"x")


class Delays(NetCase):
    relays = True

    def test_delay_of_open_and_new_connections(self):
        connection, other = self.connect("a", "b"), self.connect("b", "a")
        self.assertLess(min(self.echo(connection) for _ in range(5)), 0.1)
        self.net.delay("a", 150)
        for one in (connection, other, self.connect("a", "b")):
            self.assertGreaterEqual(self.echo(one), 0.15)
            self.assertLess(min(self.echo(one) for _ in range(3)), 0.29)  # only what a sends is delayed
        self.assertLess(min(self.echo(self.connect("c", "d")) for _ in range(3)), 0.1)
        self.net.heal()
        self.assertLess(min(self.echo(connection) for _ in range(5)), 0.1)

    def test_connections_overtake_each_other(self):
        self.net.delay("a", 0, 100)
        connections = [self.connect("a", "b") for _ in range(12)]
        arrived: list[int] = []

        def wait(number):
            self.echo(connections[number])
            arrived.append(number)

        threads = [threading.Thread(target=wait, args=(number,)) for number in range(len(connections))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertNotEqual(arrived, sorted(arrived))

    def test_bytes_of_a_connection_stay_in_order_and_ends_are_carried(self):
        self.net.delay("a", 0, 20)
        connection = self.connect("a", "b")
        data = os.urandom(3_000_000)
        threading.Thread(target=connection.sendall, args=(data,)).start()
        back = b""
        while len(back) < len(data):
            back += connection.recv(1 << 20)
        self.assertEqual(back, data)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")

    def test_cuts_hold_with_relays(self):
        connection = self.connect("a", "b")
        self.echo(connection)
        self.net.cut("a", "b")
        self.assert_reach("ac", "ab ba")
        with self.assertRaises(TimeoutError):
            self.echo(connection, timeout_s=SHORT_S)
        self.net.heal()
        self.assert_reach("ab ba")
        connection.settimeout(LONG_S)
        self.assertEqual(connection.recv(1), b"x")

    def test_speed(self):
        connection = self.connect("a", "b")
        self.echo(connection)
        seconds = statistics.median(self.echo(connection, bytes(1_000_000)) for _ in range(3))
        print(f"1 MB there and back through a relay: {seconds * 1000:.0f} ms", flush=True)
        self.assertLess(seconds, 2)


class Isolation(unittest.TestCase):
    def test_a_killed_test_leaves_nothing(self):
        """The same nested: a program that isolates itself, adds hosts and a server on one, and is killed in the middle."""
        program = ("import sys, subprocess, time, tempfile, pathlib; sys.path.insert(0, sys.argv[1]); import netns; netns.isolate();"
                   "net = netns.Net(pathlib.Path(tempfile.gettempdir())); host = net.add('left');"
                   "subprocess.Popen(host.inside('sleep', '86399')); print('ready', flush=True); time.sleep(1000)")
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "killed.py"
            script.write_text(program)
            process = subprocess.Popen([sys.executable, str(script), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True,
                                       env=os.environ | {"TMPDIR": folder})
            try:
                self.assertEqual(process.stdout.readline(), "ready\n")
                self.assertTrue(self.sleepers())
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
            end = time.monotonic() + LONG_S
            while self.sleepers() and time.monotonic() < end:
                time.sleep(0.02)
            self.assertEqual(self.sleepers(), [])
            self.assertFalse(os.path.exists("/run/netns/left"))

    @staticmethod
    def sleepers() -> list[str]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if b"86399" in (folder / "cmdline").read_bytes().split(b"\0") and (folder / "stat").read_text().split(") ")[1][0] != "Z":
                    found.append(folder.name)
        return found


if __name__ == "__main__":
    netns.isolate()
    unittest.main(verbosity=2)
