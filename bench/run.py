#!/usr/bin/env python3
"""The load run: starts the release binary over 8 drives (6+2), drives it with bench/load and prints each figure beside its floor, measured in
the same run by bench/floor. Ratios compare within one run; absolute numbers belong to the machine.

usage: bench/run.py [--build build/release] [--dir /dev/shm/ostraka-bench] [--quick] [--rounds N]      exits 1 when an operation failed
"""
import argparse, os, secrets, shutil, signal, socket, statistics, subprocess, sys, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_server(build, folder, password=None):
    """Makes the drives where there are none yet. Gives the process, its port, the clients' environment, and the seconds until it was ready."""
    port, console = free_port(), free_port()
    env = dict(os.environ, OSTRAKA_ROOT_USER="bench", OSTRAKA_ROOT_PASSWORD=password or secrets.token_hex(16))
    drives = [f"{folder}/d{i}" for i in range(8)]
    for d in drives:
        os.makedirs(d, exist_ok=True)
    log = open(f"{folder}/server.log", "a")
    begin = time.monotonic()
    server = subprocess.Popen([f"{build}/bin/ostraka", "server", "--address", f"127.0.0.1:{port}", "--console-address",
                               f"127.0.0.1:{console}", "--erasure-set", "6+2", *drives], env=env, stdout=log, stderr=log)
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1)
            break
        except OSError:
            if server.poll() is not None or time.monotonic() - begin > 30:
                sys.exit(f"the server did not start, see {folder}/server.log")
            time.sleep(0.005)
    return server, port, env, time.monotonic() - begin


def memory_mib(pid, field):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(field):
            return int(line.split()[1]) // 1024
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=f"{ROOT}/build/release")
    parser.add_argument("--dir", default="/dev/shm/ostraka-bench")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--rounds", type=int, default=1, help="the median of N rounds is printed")
    args = parser.parse_args()
    shutil.rmtree(args.dir, ignore_errors=True)
    os.makedirs(args.dir)
    scale = 10 if args.quick else 1
    server, port, env, ready = start_server(args.build, args.dir)
    failed = False

    def load(op, size, count, workers, bucket):
        nonlocal failed
        out = subprocess.run([f"{args.build}/bin/load", "--port", str(port), "--pid", str(server.pid), "--op", op, "--size", str(size), "--count",
                              str(count), "--workers", str(workers), "--bucket", bucket], env=env, capture_output=True, text=True)
        failed |= out.returncode != 0
        words = out.stdout.split()
        if len(words) < 5:
            sys.exit(f"load {op}: {out.stdout} {out.stderr}")
        return float(words[1]), words[2], " ".join(words[3:])

    def floor(work, amount):
        folder = f"{args.dir}/floor"
        if work in ("put", "put-small"):  # the others read what these leave
            shutil.rmtree(folder, ignore_errors=True)
            for i in range(8):
                os.makedirs(f"{folder}/d{i}")
        out = subprocess.run([f"{args.build}/bin/floor", work, folder, str(amount)], capture_output=True, text=True, check=True)
        return float(out.stdout.split()[1])

    try:
        idle = memory_mib(server.pid, "VmRSS:")
        # name, load arguments (op, size, count, workers, bucket), floor arguments
        rows = [("PUT 10 MiB", ("put", 10 << 20, 150 // scale, 8, "big"), ("put", 1500 // scale)),
                ("GET 10 MiB", ("get", 10 << 20, 150 // scale, 8, "big"), ("get", 1500 // scale)),
                ("PUT 4 KiB", ("put", 4096, 20000 // scale, 32, "small"), ("put-small", 20000 // scale)),
                ("GET 4 KiB", ("get", 4096, 20000 // scale, 32, "small"), ("get-small", 20000 // scale)),
                ("HEAD", ("head", 4096, 20000 // scale, 32, "small"), ("head", 20000 // scale)),
                ("LIST 1 client", ("list", 0, 10, 1, "listed"), ("list", 20000 // scale))]
        floor("put", 6000 // scale)  # the first touch of its memory costs a virtual machine more than all the work measured here
        load("put", 4096, 5000, 32, "listed")
        print(f"{'work':14} {'server CPU':>22} {'floor':>10} {'ratio':>6}   client", flush=True)
        for name, work, under in rows:
            costs, floors = [], []
            for _ in range(args.rounds):
                floors.append(floor(*under))
                cost, unit, client = load(*work)
                costs.append(cost)
            cost, ground = statistics.median(costs), statistics.median(floors)
            print(f"{name:14} {cost:10.3f} {unit:>11} {ground:10.3f} {cost / ground:6.2f}   {client}", flush=True)
        print(f"ready after {ready * 1000:.0f} ms; resident {idle} MiB idle, {memory_mib(server.pid, 'VmHWM:')} MiB peak")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(40)
        shutil.rmtree(args.dir, ignore_errors=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
