#!/usr/bin/env python3
"""What a full server costs while nobody asks for anything, and how long it takes to come back: 8 drives (6+2) with 100,000 objects.

usage: bench/idle.py [--build build/release] [--dir /var/tmp/ostraka-idle] [--objects 100000] [--seconds 300]
exits 1 when it is over a limit: 1 % of one core, 1 MiB read a second, ready after 1 s
"""
import argparse, os, shutil, signal, subprocess, sys, time

from run import ROOT, memory_mib, start_server

SETTLE_SECONDS = 60  # compaction and heal queue of what was just written


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bytes_read(pid):
    """All that read() gave, from the page cache or a disk."""
    return int(open(f"/proc/{pid}/io").readline().split()[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=f"{ROOT}/build/release")
    parser.add_argument("--dir", default="/var/tmp/ostraka-idle")
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=300)
    args = parser.parse_args()
    shutil.rmtree(args.dir, ignore_errors=True)
    os.makedirs(args.dir)
    failed = False

    def judge(what, value, unit, limit):
        nonlocal failed
        failed |= value > limit
        print(f"{what:30} {value:8.3f} {unit:8} (at most {limit:g})", flush=True)

    server, port, env, _ = start_server(args.build, args.dir)
    try:
        large = args.objects // 50
        for size, count in ((4096, args.objects - large), (300 << 10, large)):  # inline, and in shard files
            subprocess.run([f"{args.build}/bin/load", "--port", str(port), "--pid", str(server.pid), "--op", "put", "--size", str(size), "--count",
                            str(count), "--workers", "32", "--bucket", f"b{size}"], env=env, check=True, stdout=subprocess.DEVNULL)
        time.sleep(SETTLE_SECONDS)
        cpu, read = cpu_seconds(server.pid), bytes_read(server.pid)
        time.sleep(args.seconds)
        judge("CPU while idle", (cpu_seconds(server.pid) - cpu) / args.seconds * 100, "% of one", 1)
        judge("read while idle", (bytes_read(server.pid) - read) / args.seconds / (1 << 20), "MiB/s", 1)
        print(f"{'resident':30} {memory_mib(server.pid, 'VmRSS:'):8}     MiB")
        for what, how in (("ready after SIGTERM", signal.SIGTERM), ("ready after kill -9", signal.SIGKILL)):
            server.send_signal(how)
            server.wait(40)
            server, port, env, ready = start_server(args.build, args.dir, env["OSTRAKA_ROOT_PASSWORD"])
            judge(what, ready, "s", 1)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(40)
        shutil.rmtree(args.dir, ignore_errors=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
