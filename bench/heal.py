#!/usr/bin/env python3
"""The refill run: deletes the folder of one of 6 drives (4+2) under a running server that holds 20,000 objects of mixed size (2 GiB), waits until
it is full again, and checks every object with two other drives taken away. First without clients: the rate beside bench/refill_floor, the same
work done by a bare program. Then with clients that write and read: their latencies, and what is left of the rate.

usage: bench/heal.py [--build build/release] [--dir /dev/shm/ostraka-heal] [--objects 20000] [--rounds 3]   exits 1 when bytes differ
"""
import argparse, concurrent.futures, hashlib, os, re, secrets, shutil, signal, statistics, subprocess, sys, threading, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{ROOT}/tests/crash")
import s3  # noqa: E402
from run import free_port  # noqa: E402

DRIVES, VICTIM, AWAY = 6, 3, (0, 1)
THREADS = 8


def size_of(i):  # as in refill_floor.cc
    place = i % 100
    return 8 << 10 if place < 60 else 96 << 10 if place < 90 else 512 << 10 if place < 99 else 2560 << 10


def body_of(i):
    block = b"".join(hashlib.sha256(f"{i}/{n}".encode()).digest() for n in range(128))
    return (block * (size_of(i) // len(block) + 1))[:size_of(i)]


def key_of(i):
    return f"k/{i * 7919 % 1000:03d}/{i:08d}"  # keys of all sizes side by side


class Server:
    def __init__(self, build, folder):
        self.build, self.folder, self.port, self.console = build, folder, free_port(), free_port()
        self.password = secrets.token_hex(16)
        self.env = dict(os.environ, OSTRAKA_ROOT_USER="bench", OSTRAKA_ROOT_PASSWORD=self.password)
        self.drives = [f"{folder}/d{i}" for i in range(DRIVES)]
        for drive in self.drives:
            os.makedirs(drive)
        self.log = open(f"{folder}/server.log", "w")
        self.process = subprocess.Popen([f"{build}/bin/ostraka", "server", "--address", f"127.0.0.1:{self.port}", "--console-address",
                                         f"127.0.0.1:{self.console}", "--erasure-set", "4+2", "--log-access", "off", *self.drives], env=self.env,
                                        stdout=self.log, stderr=self.log)
        self.wait(lambda: self.get(f"http://127.0.0.1:{self.port}/health/ready") is not None, 30, "ready")

    def get(self, url):
        try:
            return urllib.request.urlopen(url, timeout=5).read().decode()
        except OSError:
            return None

    def wait(self, condition, seconds, what, pause=0.1):
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{what}: not reached, see {self.folder}/server.log")
            time.sleep(pause)

    def metric(self, name, labels=""):
        found = re.search(rf"^{name}{re.escape(labels)} (\S+)$", self.get(f"http://127.0.0.1:{self.console}/metrics") or "", re.M)
        return float(found.group(1)) if found else None

    def healed(self):
        return self.metric("ostraka_heals_total", '{outcome="healed"}')

    def refilling(self):
        return self.metric("ostraka_refill_groups", f'{{drive="{VICTIM}"}}') or 0

    def client(self):
        return s3.Client(self.port, "bench", self.password, unsigned_payload=True)


def in_threads(work, server, objects):
    """work(client, i) for each object; gives how many said False."""
    local = threading.local()

    def one(i):
        if not hasattr(local, "client"):
            local.client = server.client()
        return work(local.client, i)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return sum(not ok for ok in pool.map(one, range(objects), chunksize=16))


def put(client, i):
    return client.put("heal", key_of(i), body_of(i)).status == 200


def check(client, i):
    answer = client.get("heal", key_of(i))
    return answer.status == 200 and answer.body == body_of(i)


class Load:
    """Clients that write and read objects of 16 KiB, in rounds of some seconds; each round's latencies are those of one run of bench/load."""

    def __init__(self, server):
        self.server, self.rounds, self.stopping = server, [], False

    def run_one(self, op, count):
        out = subprocess.run([f"{self.server.build}/bin/load", "--port", str(self.server.port), "--pid", str(self.server.process.pid), "--op", op,
                              "--size", "16384", "--count", str(count), "--workers", "4", "--bucket", "load"], env=self.server.env,
                             capture_output=True, text=True)
        if out.returncode != 0:
            print(f"  load: {out.stdout} {out.stderr}", flush=True)
        found = re.search(r"rate ([\d.]+)/s p50 ([\d.]+) ms p99 ([\d.]+) ms errors (\d+)", out.stdout)
        return dict(zip(("rate", "p50", "p99", "errors"), map(float, found.groups())))

    def loop(self, op, count):
        while not self.stopping:
            begin = time.monotonic()
            self.rounds.append((op, begin, self.run_one(op, count), time.monotonic()))

    def start(self):
        self.stopping, self.rounds = False, []
        self.run_one("put", 6000)  # for those that read
        self.threads = [threading.Thread(target=self.loop, args=("put", 3000)), threading.Thread(target=self.loop, args=("get", 6000))]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def figures(self, begin, end):
        """By operation: of the rounds that lie inside, the median p50 and p99, the rate and all errors."""
        out = {}
        for op in ("put", "get"):
            inside = [r for o, b, r, e in self.rounds if o == op and b >= begin and e <= end]
            if inside:
                out[op] = {name: statistics.median(r[name] for r in inside) for name in ("rate", "p50", "p99")} | {
                    "errors": sum(r["errors"] for r in inside), "rounds": len(inside)}
        return out


def refill(server, objects):
    """Deletes the drive's folder; gives when its refill had begun and when all was healed, and how many objects were healed in between. The
    server is asked for its metrics ten times a second: more often, and that is what is measured."""
    before = server.healed()
    os.rename(server.drives[VICTIM], f"{server.folder}/deleted")  # at once, whatever the server is writing there
    shutil.rmtree(f"{server.folder}/deleted", ignore_errors=True)
    healed = before

    def at_least(count):
        nonlocal healed
        healed = server.healed() or healed
        return healed >= count

    server.wait(lambda: at_least(before + 10), 120, "the refill begins")
    begin, first = time.monotonic(), healed
    server.wait(lambda: at_least(before + objects), 1800, "every key was healed")
    end = time.monotonic()
    server.wait(lambda: server.refilling() == 0, 300, "the drive is full")
    return begin, end, before + objects - first


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=f"{ROOT}/build/release")
    parser.add_argument("--dir", default="/dev/shm/ostraka-heal")
    parser.add_argument("--objects", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=3, help="of the refill without clients; the median is printed")
    args = parser.parse_args()
    shutil.rmtree(args.dir, ignore_errors=True)
    os.makedirs(args.dir)
    mib = sum(map(size_of, range(args.objects))) / 1048576
    server = Server(args.build, args.dir)
    failed = 0
    try:
        server.client().create_bucket("heal")
        failed += in_threads(put, server, args.objects)
        if failed:
            sys.exit(f"{failed} objects were not written")
        print(f"{args.objects} objects, {mib:.0f} MiB", flush=True)

        floors, rates = [], []
        for _ in range(args.rounds):
            floor = f"{args.dir}/floor"
            os.makedirs(floor)
            out = subprocess.run([f"{args.build}/bin/refill_floor", floor, str(args.objects)], capture_output=True, text=True, check=True)
            shutil.rmtree(floor)
            floors.append(float(out.stdout.split()[1]))
            begin, end, healed = refill(server, args.objects)
            rates.append(mib * healed / args.objects / (end - begin))
        floor, idle = statistics.median(floors), statistics.median(rates)
        print(f"without clients: {idle:.0f} MiB/s, {idle / mib * args.objects:.0f} objects/s; bare {floor:.0f} MiB/s; ratio {idle / floor:.2f}",
              flush=True)

        load = Load(server)
        load.start()
        time.sleep(15)
        quiet = load.figures(0, time.monotonic())
        begin, end, healed = refill(server, args.objects)
        busy = load.figures(begin, end)
        load.stop()
        rate = mib * healed / args.objects / (end - begin)
        print(f"with clients:    {rate:.0f} MiB/s, {rate / idle:.2f} of that without, {end - begin:.1f} s", flush=True)
        for op in ("put", "get"):
            q, b = quiet.get(op), busy.get(op)
            if q and b:
                failed += q["errors"] + b["errors"]
                print(f"  {op}: p99 {q['p99']:.2f} ms before, {b['p99']:.2f} ms while refilling ({b['p99'] / q['p99']:.2f} times); p50 {q['p50']:.2f}, "
                      f"{b['p50']:.2f}; {q['rate']:.0f}/s, {b['rate']:.0f}/s", flush=True)

        for slot in AWAY:
            os.rename(server.drives[slot], server.drives[slot] + ".away")
        server.wait(lambda: all(server.metric("ostraka_drive_online", f'{{drive="{slot}"}}') == 0 for slot in AWAY), 30, "two drives are away")
        wrong = in_threads(check, server, args.objects)
        failed += wrong
        print(f"read with drives {AWAY} taken away: {args.objects - wrong} of {args.objects} as they were written", flush=True)
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
        if not failed:
            shutil.rmtree(args.dir, ignore_errors=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
