"""Faults of a cluster one after the other, chosen by chance, each held for some seconds and then ended, and a table of what was done."""

import random
import time
from collections import Counter
from collections.abc import Callable

from nodes import Cluster, Node, Process

HOLD_S, REST_S = (0.5, 6.0), (0.5, 3.0)
BRIEF_HOLD_S, BRIEF_REST_S = (0.3, 2.0), (0.2, 0.8)
LONG_PAUSE_S, LONG_PAUSE_PERCENT = 60, 3  # of pauses: longer than any lease and deadline
SKEW_S = 20  # less than the minute that a drive lets a version be ahead of its own clock


class Faults:
    def __init__(self, cluster: Cluster, clients: str, rng: random.Random, *, brief: bool):
        """clients: the host of the clients, which some faults cut off. brief: for a test of seconds, in which all kinds have a turn."""
        self.cluster, self.net, self.clients, self.random = cluster, cluster.net, clients, rng
        self.hold_s, self.rest_s = (BRIEF_HOLD_S, BRIEF_REST_S) if brief else (HOLD_S, REST_S)
        self.long_pauses = not brief
        self.counts: Counter = Counter()
        self.seconds: Counter = Counter()
        self.due: list[str] = []  # of the present round: every kind has its turn
        self.kinds: dict[str, Callable[[], Callable[[], None]]] = {
            "kill -9 and start": self.kill,
            "pause": self.pause,
            "clients cut off": self.cut_clients,
            "loss": self.loss,
            "slow link": self.slow_link,
        }
        if cluster.nodes[0].skew_file:
            self.kinds["clock skew"] = self.skew
        if self.net.netem or self.net.relays is not None:
            self.kinds["delay and reordering"] = self.delay
        if len(cluster.nodes) > 1:
            self.kinds |= {"two killed": self.kill_two, "one node away": self.one_away, "two halves": self.halves,
                           "one-way cut": self.one_way, "one-way isolation": self.deaf}
        if cluster.etcd:
            self.kinds |= {"etcd away": self.etcd_away, "an etcd member killed": self.kill_member,
                           "an etcd member away": self.member_away}

    def node(self) -> Node:
        return self.random.choice(self.cluster.nodes)

    def run(self, until: Callable[[], bool]) -> None:
        """Until it says so, or a process ended by itself; then nothing is broken any more."""
        while not until():
            if not self.due:
                self.due = self.random.sample(list(self.kinds), len(self.kinds))
            kind = self.due.pop()
            began = time.monotonic()
            hold_s = self.random.uniform(*self.hold_s)
            if kind == "pause" and self.long_pauses and self.random.random() * 100 < LONG_PAUSE_PERCENT:
                hold_s = LONG_PAUSE_S
            end = self.kinds[kind]()
            self.wait(hold_s, until)
            end()
            self.net.heal()
            self.counts[kind] += 1
            self.seconds[kind] += time.monotonic() - began
            self.wait(self.random.uniform(*self.rest_s), until)
            self.cluster.check()

    @staticmethod
    def wait(seconds: float, until: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            time.sleep(0.05)

    def table(self) -> str:
        return "\n".join(f"{self.counts[kind]:5} times {self.seconds[kind]:7.1f} s  {kind}" for kind in sorted(self.kinds))

    # Each begins a fault and gives what ends it; what the network has is healed by run().
    def nothing(self) -> None:
        pass

    def kill_processes(self, processes: list[Process]) -> Callable[[], None]:
        for process in processes:
            process.kill()

        def end():
            for process in processes:
                process.start()
        return end

    def kill(self):
        return self.kill_processes([self.node()])

    def kill_two(self):
        return self.kill_processes(self.random.sample(self.cluster.nodes, 2))

    def kill_member(self):
        return self.kill_processes([self.random.choice(self.cluster.etcd)])

    def pause(self):
        node = self.node()
        node.pause()
        return node.resume

    def skew(self):
        """Stays until this node's clock goes wrong in another way."""
        self.node().skew(self.random.uniform(-SKEW_S, SKEW_S))
        return self.nothing

    def cut_clients(self):
        self.net.cut(self.clients, self.node().name)
        return self.nothing

    def loss(self):
        node, percent = self.node().name, self.random.choice((2, 10, 30))
        for other in [self.clients, *self.cluster.node_names(), *self.cluster.etcd_names()]:
            if other != node:
                self.net.loss(node, other, percent)
                self.net.loss(other, node, percent)
        return self.nothing

    def slow_link(self):
        self.net.rate(self.node().name, self.random.choice((1000, 8000)))
        return self.nothing

    def delay(self):
        for name in self.random.sample(self.cluster.node_names(), self.random.randint(1, len(self.cluster.nodes))):
            self.net.delay(name, self.random.choice((0, 5)), self.random.choice((20, 200)))
        return self.nothing

    def one_away(self):
        node = self.node().name
        self.net.split([node], [name for name in [*self.cluster.node_names(), *self.cluster.etcd_names()] if name != node])
        return self.nothing

    def halves(self):
        names = self.cluster.node_names()
        self.random.shuffle(names)
        half, members = len(names) // 2, self.cluster.etcd_names()
        cut = self.random.randint(0, len(members))
        self.net.split(names[:half] + members[:cut], names[half:] + members[cut:])
        return self.nothing

    def one_way(self):
        self.net.cut_one_way(*self.random.sample(self.cluster.node_names(), 2))
        return self.nothing

    def deaf(self):
        """One node hears nobody, or nobody hears it."""
        node, hears = self.node().name, self.random.random() < 0.5
        for other in [*self.cluster.node_names(), *self.cluster.etcd_names()]:
            if other != node:
                self.net.cut_one_way(*((node, other) if hears else (other, node)))
        return self.nothing

    def etcd_away(self):
        some = self.random.sample(self.cluster.node_names(), self.random.randint(1, len(self.cluster.nodes)))
        self.net.split(some, self.cluster.etcd_names())
        return self.nothing

    def member_away(self):
        member = self.random.choice(self.cluster.etcd_names())
        self.net.split([member], [name for name in [*self.cluster.node_names(), *self.cluster.etcd_names()] if name != member])
        return self.nothing
