"""Bodies that can be verified: each is made from a seed and its version number, which travels in the object's metadata."""

import hashlib
import random
import threading
from dataclasses import dataclass

from s3 import Answer, Client, xml

KIB, MIB = 1 << 10, 1 << 20
PART_BYTES = 5 * MIB
# Around every edge of the layout: nothing, inline (up to 128 KiB), one stripe (1 MiB), several.
SIZES = (0, 1, 63, 4 * KIB, 64 * KIB, 128 * KIB - 1, 128 * KIB, 128 * KIB + 1, 300_000, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB)


@dataclass(frozen=True)
class Value:
    number: int  # unique within a test
    size: int
    md5: str
    etag: str


ABSENT = Value(-1, 0, "", "")


class WrongBytes(AssertionError):
    """The store answered 200 with something that was never written."""


class Values:
    def __init__(self, seed: int):
        self.seed = seed
        self.lock = threading.Lock()
        self.made: dict[int, Value] = {}
        self.copied: dict[int, int] = {}  # the numbers of copies: whose bytes they have

    def body(self, number: int, size: int) -> bytes:
        return random.Random(f"{self.seed}/{self.copied.get(number, number)}").randbytes(size)

    def reserve(self) -> int:
        with self.lock:
            number = len(self.made)
            self.made[number] = ABSENT
            return number

    def new(self, size: int, *, multipart: bool = False) -> tuple[Value, bytes]:
        number = self.reserve()
        body = self.body(number, size)
        md5 = hashlib.md5(body).hexdigest()
        value = Value(number, size, md5, multipart_etag(body) if multipart else md5)
        self.made[number] = value
        return value, body

    def copy_of(self, source: Value) -> Value:
        """The same bytes under a number of its own, in one part, as CopyObject stores them."""
        number = self.reserve()
        self.copied[number] = self.copied.get(source.number, source.number)
        self.made[number] = Value(number, source.size, source.md5, source.md5)
        return self.made[number]

    def put(self, client: Client, bucket: str, key: str, size: int, **headers) -> tuple[Value, Answer]:
        value, body = self.new(size)
        return value, client.put(bucket, key, body, x_amz_meta_version=value.number, **headers)

    def seen(self, answer: Answer, where: str) -> Value:
        """What a GET answered: a value, verified to the last byte, or ABSENT; None for a clean 5xx."""
        if answer.status == 404 and answer.code == "NoSuchKey":
            return ABSENT
        if answer.status in (500, 503) and answer.code:
            return None
        if answer.status != 200:
            raise AssertionError(f"GET {where}: {answer.brief()}")
        number = answer.headers.get("x-amz-meta-version", "")
        value = self.made.get(int(number)) if number.isdigit() else None
        if value is None:
            raise WrongBytes(f"GET {where}: version {number!r} was never written")
        if len(answer.body) != value.size or hashlib.md5(answer.body).hexdigest() != value.md5:
            expected = self.body(value.number, value.size)
            at = next((i for i, (a, b) in enumerate(zip(answer.body, expected)) if a != b), min(len(answer.body), value.size))
            raise WrongBytes(f"GET {where}: version {number}: {len(answer.body)} bytes that differ from the {value.size} written "
                             f"from offset {at}")
        if answer.etag != value.etag:
            raise WrongBytes(f"GET {where}: version {number} has ETag {answer.etag}, expected {value.etag}")
        return value

    def get(self, client: Client, bucket: str, key: str) -> Value:
        return self.seen(client.get(bucket, key), key)


def split(body: bytes) -> list[bytes]:
    return [body[at:at + PART_BYTES] for at in range(0, len(body), PART_BYTES)]


def multipart_etag(body: bytes) -> str:
    parts = split(body)
    return hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest() + f"-{len(parts)}"


def start_upload(client: Client, bucket: str, key: str, value: Value, body: bytes) -> tuple[Answer, str, list[str]]:
    """CreateMultipartUpload and all parts: the last answer, the upload id and the parts' ETags."""
    answer = client.create_upload(bucket, key, x_amz_meta_version=value.number)
    if answer.status != 200:
        return answer, "", []
    upload_id, etags = xml(answer.body)["UploadId"], []
    for number, part in enumerate(split(body), 1):
        answer = client.put_part(bucket, key, upload_id, number, part)
        if answer.status != 200:
            break
        etags.append(answer.etag)
    return answer, upload_id, etags
