"""An upload that takes longer than every time-out, and moves all the time, is taken."""

import socket
import time

from harness import BUCKET, CrashCase, main
from s3 import UNSIGNED
from values import KIB

SECONDS = 40  # more than api.request_timeout, which is 30 s unless told otherwise
BYTES_PER_SECOND = 64 * KIB


class SlowUpload(CrashCase):
    def test_a_put_of_forty_seconds(self):
        node = self.server().start()
        body = self.random.randbytes(SECONDS * BYTES_PER_SECOND)
        with node.client() as client:
            client.create_bucket(BUCKET)
            headers = client.signed_headers("PUT", f"/{BUCKET}/slow", "", {}, UNSIGNED)
        lines = ["PUT /" + BUCKET + "/slow HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()),
                 f"content-length: {len(body)}", "connection: close", "", ""]
        with socket.create_connection(("127.0.0.1", node.port), timeout=60) as connection:
            connection.sendall("\r\n".join(lines).encode())
            for second in range(SECONDS):
                connection.sendall(body[second * BYTES_PER_SECOND:(second + 1) * BYTES_PER_SECOND])
                time.sleep(1)  # this client's pace
            received = connection.recv(1 << 16)
        self.assertTrue(received.startswith(b"HTTP/1.1 200"), received[:300])
        with node.client() as client:
            self.assertTrue(client.get(BUCKET, "slow").body == body)


if __name__ == "__main__":
    main()
