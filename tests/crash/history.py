"""What clients did to each key and were told, and which values a read may show after that.

Times are time.monotonic(). A write has one of these fates:
  acknowledged   it took effect at one moment between start and end
  refused        it did not take effect and never will (4xx); it is forgotten
  in doubt       5xx: it took effect at one moment between start and end, or never
  unanswered     the same, with no end until the process is known to be dead (died())
A write can be seen no more once another has begun after its end and was acknowledged.
"""

import math
import threading
import time
from dataclasses import dataclass, field

from values import ABSENT, Value


@dataclass(eq=False)
class Write:
    value: Value
    start: float
    end: float = math.inf
    acknowledged: bool = False


@dataclass(frozen=True)
class Read:
    value: Value
    start: float
    end: float


@dataclass
class KeyHistory:
    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)


class History:
    """Thread safe. A key begins absent."""

    def __init__(self, now=time.monotonic):
        self.now = now
        self.lock = threading.Lock()
        self.keys: dict[str, KeyHistory] = {}

    def of(self, key: str) -> KeyHistory:
        if key not in self.keys:
            self.keys[key] = KeyHistory([Write(ABSENT, -math.inf, -math.inf, True)])
        return self.keys[key]

    def begin(self, key: str, value: Value) -> Write:
        with self.lock:
            write = Write(value, self.now())
            self.of(key).writes.append(write)
            return write

    def acknowledged(self, write: Write) -> None:
        with self.lock:
            write.end, write.acknowledged = self.now(), True

    def refused(self, key: str, write: Write) -> None:
        with self.lock:
            self.of(key).writes.remove(write)

    def in_doubt(self, write: Write) -> None:
        with self.lock:
            write.end = self.now()

    def died(self) -> None:
        """The process is gone: what it had not answered is in doubt from now on."""
        with self.lock:
            for history in self.keys.values():
                for write in history.writes:
                    write.end = min(write.end, self.now())

    def undecided(self, key: str) -> bool:
        """Whether a write that ended in doubt, or with its process, may still be the newest: none that began later was acknowledged."""
        with self.lock:
            writes = list(self.of(key).writes)
        doubtful = [write.end for write in writes if not write.acknowledged and write.end < math.inf]
        return bool(doubtful) and all(write.start < max(doubtful) for write in writes if write.acknowledged)

    def possible(self, key: str, start: float, end: float) -> list[Value]:
        """What a read between start and end may show. What an earlier read has shown counts as acknowledged, even over a crash."""
        with self.lock:
            writes, reads = list(self.of(key).writes), list(self.of(key).reads)
        shown = {read.value for read in reads if read.end < start and read.value != ABSENT}  # deletes cannot be told apart
        newest_start = max(write.start for write in writes
                           if (write.acknowledged and write.end < start) or write.value in shown)
        return [write.value for write in writes if write.start <= end and write.end >= newest_start]

    def check_read(self, key: str, start: float, value: Value) -> None:
        """A read that began at `start` and has ended now showed `value`."""
        end = self.now()
        allowed = self.possible(key, start, end)
        if value not in allowed:
            raise AssertionError(f"{key} shows {describe(value)}, but only these are possible: "
                                 f"{', '.join(map(describe, allowed))}")
        with self.lock:
            self.of(key).reads.append(Read(value, start, end))

    def settle(self, key: str, value: Value) -> None:
        """No write runs on this key, and it was seen to hold `value`: from here on it holds nothing else."""
        now = self.now()
        with self.lock:
            self.keys[key] = KeyHistory([Write(value, now, now, True)])

    def check_linear(self, key: str) -> None:
        """The reads and writes of the key so far fit one order in real time (linearizability of a register).

        For registers whose written values are all different: P. Gibbons, E. Korach, "Testing shared memories", SIAM J. Comput. 1997.
        A value and the reads of it are a cluster; forward zones (all of one operation before another begins) may not overlap, nor
        may a backward zone lie inside a forward one. Deletes write equal values, so a history with deletes is not for this.
        """
        with self.lock:
            writes, reads = list(self.of(key).writes), list(self.of(key).reads)
        clusters: dict[Value, list] = {write.value: [write] for write in writes}
        assert len(clusters) == len(writes), "values repeat"
        for read in reads:
            clusters[read.value].append(read)
        forward, backward = [], []
        for value, operations in clusters.items():
            if not operations[0].acknowledged and len(operations) == 1:
                continue  # in doubt and never seen: it may never have happened
            first_end, last_start = min(o.end for o in operations), max(o.start for o in operations)
            (forward if first_end < last_start else backward).append((min(first_end, last_start), max(first_end, last_start), value))
        forward.sort(key=lambda zone: zone[:2])
        for (_, left_end, left), (right_start, _, right) in zip(forward, forward[1:]):
            if right_start < left_end:
                raise AssertionError(f"{key}: {describe(left)} and {describe(right)} were each seen before and after the other")
        for start, end, value in backward:
            for outer_start, outer_end, outer in forward:
                if outer_start < start and end < outer_end:
                    raise AssertionError(f"{key}: {describe(outer)} was seen before and after {describe(value)} was written")


def describe(value: Value) -> str:
    return "nothing" if value == ABSENT else f"version {value.number} ({value.size} bytes)"
