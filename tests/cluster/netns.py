"""Hosts in network namespaces of their own, wired to one bridge, and faults between them.

A test that calls isolate() first runs as root of its own network, mount and process namespaces (it executes itself again under
unshare): nothing of it touches the machine's network, and when it ends, however it ends, the kernel kills what it started and
removes its namespaces and mounts. So there is never anything of an earlier run to clear away.

    net = Net(folder)
    a, b = net.add("a"), net.add("b")       # /etc/hosts of the test and of all it starts has their names
    net.cut("a", "b")                       # packets are dropped where they arrive; open connections notice by their own time-outs
    net.heal()                              # no fault is left

The test itself is the host "lab". It is not part of splits, so that it can watch everybody; clients whose traffic shall suffer
belong to a host (Host.enter).
"""

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

NETWORK = "198.18.0"  # RFC 2544: for tests of devices in a network of their own
RELAY_PORT, RELAY_MARK = 19999, 0x7E1A
CLONE_NEWNET = 0x40000000
TOOLS = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables", "unshare": "util-linux", "mount": "mount"}
KEPT = ("OSTRAKA_", "ASAN_", "UBSAN_", "TSAN_", "GO", "TMPDIR", "HOME")


def isolate() -> None:
    """Executes this program again in namespaces of its own, unless it runs in them. Before any thread is started."""
    if os.getpid() == 1 and os.environ.pop("OSTRAKA_ISOLATED", ""):
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        os.makedirs("/run/netns", exist_ok=True)
        for folder in ("/run/netns", "/dev/shm"):  # the latter for what tests write, so that it goes with them, too
            subprocess.run(["mount", "-t", "tmpfs", "ostraka-test", folder], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool, path=search_path()) is None})
    if missing:
        sys.exit(f"these Debian packages are missing: {' '.join(missing)} (scripts/test.sh installs them)")
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-B", *sys.argv]
    environment = os.environ | {"PATH": search_path(), "OSTRAKA_ISOLATED": "1"}
    if os.geteuid() != 0:
        sudo = shutil.which("sudo", path=search_path())
        if sudo is None or subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode != 0:
            sys.exit("network namespaces need root: run this as root, or with a sudo that asks for no password")
        kept = [f"{name}={value}" for name, value in environment.items() if name == "PATH" or name.startswith(KEPT)]
        command = [sudo, "-n", "env", *kept, "setpriv", "--pdeathsig", "KILL", *command]  # sudo killed: no end for what it runs
    sys.stdout.flush()
    os.execvpe(command[0], command, environment)


def search_path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def execute(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}\n{text or ''}")
    return done.stdout


class Host:
    """One namespace with one interface, eth0."""

    def __init__(self, name: str, address: str, namespace: str | None):
        self.name, self.address = name, address
        self.namespace = namespace  # None: that of the test itself

    def inside(self, *command: str) -> list[str]:
        """The command line that runs the command on this host, with mounts of its own; the process is the command itself."""
        return list(command) if self.namespace is None else ["ip", "netns", "exec", self.namespace, *command]

    def run(self, *command: str, text: str | None = None) -> str:
        return execute(*self.inside(*command), text=text)

    def enter(self) -> None:
        """From now on the calling thread opens its sockets on this host. Only for threads other than the main one."""
        assert threading.current_thread() is not threading.main_thread()
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{self.namespace}", "rb") as file:
            if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns to {self.name}")


class Net:
    def __init__(self, folder: Path, relays: bool = False):
        """relays: delay() will be used. Where the kernel has no netem, all connections between hosts then pass relays in user space."""
        self.folder = folder
        self.netem = self._has_netem()
        self.relays: dict[str, subprocess.Popen] | None = {} if relays and not self.netem else None
        self.hosts: dict[str, Host] = {}
        self.dropped: set[tuple[str, str]] = set()  # (from, to)
        self.lossy: dict[tuple[str, str], float] = {}  # percent
        self.rates: dict[str, int] = {}  # kbit/s
        self.delays: dict[str, tuple[float, float]] = {}  # ms: at least, and how much more at random
        self.lock = threading.RLock()
        execute("ip", "netns", "add", "switch")
        execute("ip", "-n", "switch", "-batch", "-", text="link add bridge type bridge\nlink set bridge up\nlink set lo up\n")
        self.names = folder / "hosts"
        self.names.write_text("127.0.0.1 localhost\n")
        execute("mount", "--bind", str(self.names), "/etc/hosts")
        self.lab = self._add("lab", None)

    @staticmethod
    def _has_netem() -> bool:
        done = subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"], capture_output=True, check=False)
        if done.returncode == 0:
            execute("tc", "qdisc", "del", "dev", "lo", "root")
        return done.returncode == 0

    def add(self, name: str) -> Host:
        execute("ip", "netns", "add", name)
        return self._add(name, name)

    def _add(self, name: str, namespace: str | None) -> Host:
        assert len(name) <= 12, "an interface's name has at most 15 characters"
        host = Host(name, f"{NETWORK}.{len(self.hosts) + 1}", namespace)
        port = f"to-{name}"
        execute("ip", "-n", "switch", "link", "add", port, "type", "veth", "peer", "name", "eth0",
                "netns", namespace or str(os.getpid()))
        execute("ip", "-n", "switch", "-batch", "-", text=f"link set {port} master bridge\nlink set {port} up\n")
        host.run("ip", "-batch", "-", text=f"link set lo up\naddress add {host.address}/24 dev eth0\nlink set eth0 up\n")
        self.hosts[name] = host
        with self.names.open("a") as names:
            names.write(f"{host.address} {name}\n")
        if self.relays is not None and namespace is not None:
            self._start_relay(host)
        return host

    def _start_relay(self, host: Host) -> None:
        relay = subprocess.Popen(
            host.inside(sys.executable, "-B", str(Path(__file__).with_name("relay.py")), str(RELAY_PORT), str(RELAY_MARK)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.relays[host.name] = relay
        assert relay.stdout.readline() == "ready\n", "the relay did not start"
        host.run("nft", "-f", "-", text=f"""table ip relay {{
          chain output {{ type nat hook output priority -100;
            ip daddr {NETWORK}.0/24 ip daddr != {host.address} meta l4proto tcp meta mark != {RELAY_MARK} redirect to :{RELAY_PORT}
          }}
          }}""")

    # What is between hosts. All of it holds until heal().
    def cut_one_way(self, source: str, target: str) -> None:
        """What source sends does not arrive at target; the other way all is well."""
        self._drop({(source, target)})

    def cut(self, one: str, other: str) -> None:
        self._drop({(one, other), (other, one)})

    def split(self, *groups) -> None:
        """Hosts of different groups do not reach each other; whoever is in none reaches all."""
        self._drop({(source, target) for one in groups for other in groups if one is not other for source in one for target in other})

    def loss(self, source: str, target: str, percent: float) -> None:
        """So many of the packets from source do not arrive at target, chosen at random."""
        with self.lock:
            self.lossy[source, target] = percent
            self._filter(target)

    def rate(self, host: str, kbit_s: int) -> None:
        """What the host may send and receive, each."""
        with self.lock:
            self.rates[host] = kbit_s
            self._shape(host)

    def delay(self, host: str, least_ms: float, more_ms: float = 0) -> None:
        """All that the host sends to others takes so long, so that what it sends by different connections overtakes each other."""
        assert self.netem or self.relays is not None, "this net was made without relays"
        with self.lock:
            self.delays[host] = (least_ms, more_ms)
            self._apply_delays(host)

    def heal(self) -> None:
        with self.lock:
            filtered = {target for _, target in self.dropped | self.lossy.keys()}
            shaped, delayed = list(self.rates), list(self.delays)
            self.dropped, self.lossy, self.rates, self.delays = set(), {}, {}, {}
            for host in filtered:
                self._filter(host)
            for host in shaped:
                self._shape(host)
            for host in delayed:
                self._apply_delays(host)

    def _drop(self, pairs: set[tuple[str, str]]) -> None:
        with self.lock:
            self.dropped |= pairs
            for target in {target for _, target in pairs}:
                self._filter(target)

    def _filter(self, target: str) -> None:
        rules = [f"ip saddr {self.hosts[source].address} drop" for source, to in sorted(self.dropped) if to == target]
        rules += [f"ip saddr {self.hosts[source].address} numgen random mod 10000 < {round(percent * 100)} drop"
                  for (source, to), percent in sorted(self.lossy.items()) if to == target]
        lines = "\n".join(rules)
        self.hosts[target].run("nft", "-f", "-", text=f"""table ip faults
          delete table ip faults
          table ip faults {{ chain input {{ type filter hook input priority 0;
          {lines}
          }}
          }}""")

    def _shape(self, name: str) -> None:
        for ends in (self.hosts[name].inside("tc"), ["tc", "-n", "switch"]):
            sends = ends[-1] == "tc"
            interface = "eth0" if sends else f"to-{name}"
            subprocess.run([*ends, "qdisc", "del", "dev", interface, "root"], capture_output=True, check=False)  # there may be none
            parent = ["root"]
            if sends and self.netem and name in self.delays:
                least, more = self.delays[name]
                execute(*ends, "qdisc", "add", "dev", interface, "root", "handle", "1:", "netem", "delay", f"{least + more / 2}ms",
                        f"{more / 2}ms", "limit", "100000")
                parent = ["parent", "1:1"]
            if name in self.rates:
                execute(*ends, "qdisc", "add", "dev", interface, *parent, "tbf", "rate", f"{self.rates[name]}kbit", "burst", "64kb",
                        "latency", "100ms")

    def _apply_delays(self, name: str) -> None:
        if self.netem:
            self._shape(name)
            return
        delays = {self.hosts[host].address: delay for host, delay in self.delays.items()}
        for host, relay in self.relays.items():
            relay.stdin.write(json.dumps({"own": delays.get(self.hosts[host].address, (0, 0)), "others": delays}) + "\n")
            relay.stdin.flush()
            assert relay.stdout.readline() == "taken\n", f"the relay of {host} is gone"

    def close(self) -> None:
        """Removes the hosts. Processes on them must be gone."""
        for relay in (self.relays or {}).values():
            relay.kill()
            relay.wait()
            relay.stdin.close()
            relay.stdout.close()
        for name in [*(host.namespace for host in self.hosts.values() if host.namespace), "switch"]:
            execute("ip", "netns", "del", name)
        with contextlib.suppress(AssertionError):
            execute("ip", "link", "del", "eth0")  # goes with its peer, at the latest moments after the switch
        execute("umount", "/etc/hosts")
