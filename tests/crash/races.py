"""Many clients on the same keys: one winner where there may be one, and reads that never see time run backwards."""

import random
import threading
import time

from harness import BUCKET, CrashCase, main
from history import History
from s3 import UNSIGNED
from values import ABSENT, KIB, MIB, Values

RACERS, RACES = 64, 6
COUNTERS, INCREMENTS = 16, 8
SECONDS = 6
LOST = (409, 412)


class Races(CrashCase):
    def setUp(self):
        super().setUp()
        self.values, self.history = Values(self.seed), History()
        self.node = self.server().start()
        with self.node.client() as client:
            client.create_bucket(BUCKET)

    def test_one_creator(self):
        """64 clients put with If-None-Match: * at the same moment: one 200, 63 times 412, and the winner's bytes stay."""
        clients = [self.node.client() for _ in range(RACERS)]
        for race in range(RACES):
            key, size = f"race/{race}", (100, 200 * KIB, MIB + 1)[race % 3]
            barrier = threading.Barrier(RACERS)
            answers: list = [None] * RACERS

            def put(number: int) -> None:
                value, body = self.values.new(size)
                clients[number].head(BUCKET, key)  # the connection is open before the start
                barrier.wait(60)
                answers[number] = value, clients[number].put(BUCKET, key, body, x_amz_meta_version=value.number, if_none_match="*")

            self.in_threads(*(lambda number=number: put(number) for number in range(RACERS)))
            statuses = sorted(answer.status for _, answer in answers)
            self.assertEqual(statuses, [200] + [412] * (RACERS - 1), f"race {race}")
            winner = next(value for value, answer in answers if answer.status == 200)
            self.assertEqual(self.values.get(clients[0], BUCKET, key), winner)

    def test_counter(self):
        """16 clients increment one number by If-Match: every acknowledged increment counts once."""
        with self.node.client() as client:
            self.assertEqual(client.put(BUCKET, "counter", b"0", if_none_match="*").status, 200)
        lost = [0] * COUNTERS

        def count(lane: int) -> None:
            with self.node.client() as client:
                done = 0
                while done < INCREMENTS:
                    now = client.get(BUCKET, "counter")
                    self.assertEqual(now.status, 200, now.brief())
                    # The lane keeps the bodies different, so that equal ETags mean the same write.
                    number = int(now.body.split()[0]) + 1
                    answer = client.put(BUCKET, "counter", f"{number} by {lane}".encode(), if_match=f'"{now.etag}"')
                    if answer.status == 200:
                        done += 1
                    else:
                        self.assertIn(answer.status, LOST, answer.brief())
                        lost[lane] += 1

        self.in_threads(*(lambda lane=lane: count(lane) for lane in range(COUNTERS)))
        with self.node.client() as client:
            self.assertEqual(int(client.get(BUCKET, "counter").body.split()[0]), COUNTERS * INCREMENTS)
        print(f"{sum(lost)} increments lost their race and were tried again", flush=True)

    def test_a_slow_reader_keeps_its_version(self):
        """A download that has begun ends with the bytes it began with, whatever happens to the key meanwhile."""
        large, body = self.values.new(64 * MIB)
        with self.node.client() as client:
            self.assertEqual(client.put(BUCKET, "slow", body, x_amz_meta_version=large.number).status, 200)
            connection = self.node.client().connect()
            headers = client.signed_headers("GET", f"/{BUCKET}/slow", "", {}, UNSIGNED)
            connection.request("GET", f"/{BUCKET}/slow", headers=headers)
            answer = connection.getresponse()
            received = answer.read(MIB)
            for size in (10, 300 * KIB, 2 * MIB):
                self.assertEqual(self.values.put(client, BUCKET, "slow", size)[1].status, 200)
            self.assertEqual(client.delete(BUCKET, "slow").status, 204)
            for number in range(20):  # long enough for what was replaced to be retired
                self.assertEqual(self.values.put(client, BUCKET, f"other/{number}", MIB)[1].status, 200)
            self.assertEqual(self.values.get(client, BUCKET, "slow"), ABSENT)
            received += answer.read()
        self.assertTrue(received == body, f"{len(received)} bytes, or others than it began with")

    def on_keys(self, keys: list[str], sizes: tuple, deletes: float) -> None:
        """Readers and writers on the same few keys for some seconds; each read is held against the history at once."""
        until = time.monotonic() + SECONDS
        counts = {"writes": 0, "reads": 0}

        def write(lane: int) -> None:
            rng = self.lane_random(lane)
            with self.node.client(unsigned_payload=lane % 2 == 0) as client:
                while time.monotonic() < until:
                    key = rng.choice(keys)
                    if rng.random() < deletes:
                        entry = self.history.begin(key, ABSENT)
                        answer = client.delete(BUCKET, key)
                    else:
                        value, body = self.values.new(rng.choice(sizes))
                        entry = self.history.begin(key, value)
                        answer = client.put(BUCKET, key, body, x_amz_meta_version=value.number)
                    self.assertIn(answer.status, (200, 204), f"{key}: {answer.brief()}")
                    self.history.acknowledged(entry)
                    counts["writes"] += 1

        def read(lane: int) -> None:
            rng = self.lane_random(lane)
            with self.node.client() as client:
                while time.monotonic() < until:
                    key, start = rng.choice(keys), time.monotonic()
                    if rng.random() < 0.2:
                        self.list_one(client, key)
                        continue
                    value = self.values.get(client, BUCKET, key)
                    self.assertIsNotNone(value, f"{key}: 5xx with all drives there")
                    self.history.check_read(key, start, value)
                    counts["reads"] += 1

        self.in_threads(*(lambda lane=lane: write(lane) for lane in range(8)),
                        *(lambda lane=lane: read(lane) for lane in range(8, 20)))
        self.assertGreater(min(counts.values()), 20)
        print(counts, flush=True)

    def list_one(self, client, key: str) -> None:
        """The listing shows one whole version that is possible now."""
        start = time.monotonic()
        rows = client.list_all(BUCKET, prefix=key)
        allowed = self.history.possible(key, start, time.monotonic())
        seen = [(int(row["Size"]), row["ETag"]) for row in rows]
        self.assertLessEqual(len(seen), 1)
        if not seen:
            self.assertIn(ABSENT, allowed, f"{key} is not listed")
        else:
            self.assertIn(seen[0], [(value.size, value.etag) for value in allowed if value != ABSENT], f"{key} in the listing")

    def lane_random(self, lane: int):
        return random.Random(f"{self.seed} {self.id()} {lane}")

    def test_overwrites_and_reads(self):
        keys = [f"hot/{number}" for number in range(3)]
        self.on_keys(keys, (0, 100, 128 * KIB, 128 * KIB + 1, MIB + 1, 2 * MIB), deletes=0)
        for key in keys:
            self.history.check_linear(key)

    def test_overwrites_deletes_and_reads(self):
        self.on_keys([f"hot/{number}" for number in range(3)], (1, 5000, 300 * KIB, MIB), deletes=0.3)


if __name__ == "__main__":
    main()
