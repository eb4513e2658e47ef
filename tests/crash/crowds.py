"""Many clients at once are all served in the end: buffers are waited for, and nobody waits for ever."""

from harness import BUCKET, CrashCase, main
from values import MIB

READERS, WRITERS = 64, 4
LARGE = 6 * MIB  # several stripes
WITHIN_S = 100  # the machine may be busy


class Crowds(CrashCase):
    def test_many_readers_beside_writers(self):
        """64 GETs of several stripes at once and PUTs beside them, with the least memory for buffers that may be set."""
        node = self.server(env={"OSTRAKA_MEMORY_BUFFERS": "32MiB", "OSTRAKA_LOG_ACCESS": "off"}).start()
        bodies = [self.random.randbytes(LARGE) for _ in range(WRITERS)]
        with node.client() as client:
            client.create_bucket(BUCKET)
            for number, body in enumerate(bodies):
                self.assertEqual(client.put(BUCKET, f"read/{number}", body).status, 200)

        def read(reader: int) -> None:
            with node.client(timeout_s=WITHIN_S) as own:
                answer = own.get(BUCKET, f"read/{reader % WRITERS}")
                self.assertEqual(answer.status, 200, answer.brief())
                self.assertTrue(answer.body == bodies[reader % WRITERS], f"reader {reader} got other bytes")

        def write(writer: int) -> None:
            with node.client(timeout_s=WITHIN_S) as own:
                for _ in range(3):
                    answer = own.put(BUCKET, f"written/{writer}", bodies[writer])
                    self.assertEqual(answer.status, 200, answer.brief())
                self.assertTrue(own.get(BUCKET, f"written/{writer}").body == bodies[writer])

        work = [lambda reader=reader: read(reader) for reader in range(READERS)]
        work += [lambda writer=writer: write(writer) for writer in range(WRITERS)]
        self.in_threads(*work, within_s=WITHIN_S)
        node.assert_alive()


if __name__ == "__main__":
    main()
