#!/usr/bin/env python3
"""What a cluster costs beside one node, on one machine: PUT and GET of 10 MiB and 4 KiB by one node over 8 drives (6+2), and by 4 nodes with 2
drives each, over mutual TLS, with etcd. The two take turns, and each figure is the median of its rounds: one round alone is off by a tenth now
and then. The CPU seconds of all nodes are added; etcd's are told apart. Clients go to the nodes in turn.

usage: bench/cluster.py [--build build/release] [--dir /dev/shm/ostraka-bench-cluster] [--threads N] [--rounds N] [--quick]
exits 1 when an operation failed, or when 10 MiB cost over 2.5 times of what one node spends
"""
import argparse, os, re, secrets, shutil, signal, statistics, subprocess, sys, time, urllib.request

from idle import cpu_seconds
from run import ROOT, free_port, start_server

BLOCK = 174763  # of a shard of 1 MiB in a set of 6+2
REMOTE = 4 / 6  # of the bytes of a GET come from other nodes: two of the six blocks of a stripe lie on the one that answers, parity or data
NODES = [f"127.0.0.{10 + n}" for n in range(1, 5)]  # each has an address of its own; nothing has to be set up for them on Linux
PORT, CONSOLE = 9000, 9001
LIMIT = 2.5


def wait_ready(url, process, log):
    begin = time.monotonic()
    while True:
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            if process.poll() is not None or time.monotonic() - begin > 60:
                sys.exit(f"it did not start, see {log}")
            time.sleep(0.02)


class Cluster:
    def __init__(self, build, folder):
        self.processes = []
        etcd_port, peer_port = free_port(), free_port()
        self.etcd = self.start(["etcd", "--data-dir", f"{folder}/etcd", "--listen-client-urls", f"http://127.0.0.1:{etcd_port}",
                                "--advertise-client-urls", f"http://127.0.0.1:{etcd_port}", "--listen-peer-urls", f"http://127.0.0.1:{peer_port}",
                                "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer_port}", "--initial-cluster",
                                f"default=http://127.0.0.1:{peer_port}", "--log-level", "error"], dict(os.environ), f"{folder}/etcd.log")
        certs = [f"{build}/bin/ostraka", "admin", "certs"]
        subprocess.run([*certs, "ca", "--out", f"{folder}/ca", "--trust-domain", "bench"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*certs, "node", "--ca", f"{folder}/ca", "--out", f"{folder}/certs", *NODES], check=True, stdout=subprocess.DEVNULL)
        drives = [f"http://{node}:{PORT}{folder}/{node}/d{{1...2}}" for node in NODES]
        self.env = dict(os.environ, OSTRAKA_ROOT_USER="bench", OSTRAKA_ROOT_PASSWORD=secrets.token_hex(16))
        self.nodes = []
        for node in NODES:
            os.makedirs(f"{folder}/{node}")
            command = [f"{build}/bin/ostraka", "server", "--control-store", f"etcd://127.0.0.1:{etcd_port}", "--cluster-certs-dir",
                       f"{folder}/certs/{node}", "--address", f"{node}:{PORT}", "--console-address", f"{node}:{CONSOLE}", "--erasure-set", "6+2"]
            self.nodes.append(self.start([*command, *drives], self.env, f"{folder}/{node}.log"))
        for node, process in zip(NODES, self.nodes):
            wait_ready(f"http://{node}:{PORT}/health/ready", process, f"{folder}/{node}.log")
        time.sleep(5)  # until each has seen the drives of all the others

    def start(self, command, env, log):
        with open(log, "a") as out:
            process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(40)


def peer_floor(build):
    """CPU seconds of both ends for each GiB of blocks that a call brings from another node, from memory that no cache holds."""
    out = subprocess.run([f"{build}/bin/peer", "--out", "0", "--in", str(BLOCK), "--at-once", "8", "--spread-mib", "512"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return min(float(found) for found in re.findall(r"^TLS.* ([0-9.]+) s CPU per GiB", out, re.M))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=f"{ROOT}/build/release")
    parser.add_argument("--dir", default="/dev/shm/ostraka-bench-cluster")
    parser.add_argument("--threads", type=int, default=0, help="of each server, the one node too; 0: as many as there are CPUs, which 4 nodes on one "
                        "machine then have four times")
    parser.add_argument("--rounds", type=int, default=5, help="of each line; the medians are printed")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    args = parser.parse_args()
    scale = 10 if args.quick else 1
    if args.threads:
        os.environ["OSTRAKA_THREADS"] = str(args.threads)
    shutil.rmtree(args.dir, ignore_errors=True)
    os.makedirs(args.dir)
    failed = False
    # name, operation, size, count, clients, bucket, unit, by how much the CPU seconds are divided
    rows = [("PUT 10 MiB", "put", 10 << 20, 160 // scale, 8, "big"), ("GET 10 MiB", "get", 10 << 20, 160 // scale, 8, "big"),
            ("PUT 4 KiB", "put", 4096, 16000 // scale, 32, "small"), ("GET 4 KiB", "get", 4096, 16000 // scale, 32, "small")]

    def load(env, hosts, processes, row):
        """CPU seconds of the processes, a GiB or 1,000 operations."""
        nonlocal failed
        _, op, size, count, workers, bucket = row
        before = sum(cpu_seconds(process.pid) for process in processes)
        clients = [subprocess.Popen([f"{args.build}/bin/load", "--host", host, "--port", str(port), "--pid", str(processes[0].pid), "--op", op, "--size",
                                     str(size), "--count", str(count // len(hosts)), "--workers", str(max(1, workers // len(hosts))), "--bucket",
                                     f"{bucket}{number}"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                   for number, (host, port) in enumerate(hosts)]
        for client in clients:
            out = client.communicate()[0]
            if client.returncode != 0:
                failed = True
                print(f"load {op}: {out}", flush=True)
        spent = sum(cpu_seconds(process.pid) for process in processes) - before
        return spent / (count * size / (1 << 30)) if size > 1 << 20 else spent / (count / 1000)

    floor = min(peer_floor(args.build) for _ in range(3))
    os.makedirs(f"{args.dir}/one")
    server, port, env, _ = start_server(args.build, f"{args.dir}/one")
    cluster = None
    try:
        cluster = Cluster(args.build, args.dir)
        etcd_before = cpu_seconds(cluster.etcd.pid)
        print(f"{'work':12} {'one node':>10} {'4 nodes':>10} {'ratio':>6}   medians of {args.rounds} rounds")
        for row in rows:
            turns = [(load(env, [("127.0.0.1", port)], [server], row), load(cluster.env, [(node, PORT) for node in NODES], cluster.nodes, row))
                     for _ in range(args.rounds)]
            one, cost = (statistics.median(side) for side in zip(*turns))
            large = row[2] > 1 << 20
            over = large and cost / one > LIMIT
            failed |= over
            print(f"{row[0]:12} {one:10.3f} {cost:10.3f} {cost / one:6.2f}   s per {'GiB' if large else '1,000'}"
                  f"{f', over the limit of {LIMIT}' if over else ''}", flush=True)
            if row[0] == "GET 10 MiB":
                least = one + REMOTE * floor
                print(f"{'':12} floor: one node's and bare calls for the rest {least:.3f}: {least / one:.2f} of one node's, ratio to it "
                      f"{cost / least:.2f}", flush=True)
        print(f"etcd spent {cpu_seconds(cluster.etcd.pid) - etcd_before:.2f} s meanwhile")
    finally:
        server.send_signal(signal.SIGTERM)
        if cluster:
            cluster.stop()
        server.wait(40)
        shutil.rmtree(args.dir, ignore_errors=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
