"""A small S3 client that hides nothing: raw statuses, headers and bytes, one keep-alive connection, SigV4, no retries.

A Client belongs to one thread. A request that gets no answer (connection reset, time-out) raises NoAnswer: the write may
or may not have happened, which is what the oracles must know. After NoAnswer the next request opens a new connection.
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import socket
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"


class NoAnswer(Exception):
    """The request was sent, or begun, and no complete answer came back."""


@dataclass
class Answer:
    status: int
    headers: dict = field(default_factory=dict)  # lower-case names
    body: bytes = b""

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "").strip('"')

    @property
    def code(self) -> str:
        """The S3 error code; empty when the body is not an S3 error."""
        if not self.body.lstrip().startswith(b"<"):
            return ""
        try:
            return xml(self.body).get("Code", "")
        except ElementTree.ParseError:
            return ""

    def brief(self) -> str:
        return f"{self.status} {self.code or self.body[:200]!r}".strip()


def strip_namespace(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def xml(body: bytes) -> dict:
    """The text of the direct children of the root element, by name."""
    return {strip_namespace(child.tag): child.text or "" for child in ElementTree.fromstring(body)}


def xml_list(body: bytes, name: str) -> list[dict]:
    """Each direct child called `name`, as the text of its own children by name."""
    return [{strip_namespace(leaf.tag): leaf.text or "" for leaf in child}
            for child in ElementTree.fromstring(body) if strip_namespace(child.tag) == name]


class Client:
    def __init__(self, port: int, access_key: str, secret_key: str, *, host: str = "127.0.0.1",
                 region: str = "us-east-1", timeout_s: float = 60, unsigned_payload: bool = False):
        self.host, self.port, self.region = host, port, region
        self.access_key, self.secret_key = access_key, secret_key
        self.timeout_s = timeout_s
        self.unsigned_payload = unsigned_payload
        self.connection: http.client.HTTPConnection | None = None
        self.signing_keys: dict[str, bytes] = {}

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # SigV4: "Authenticating Requests: Using the Authorization Header", AWS S3 API reference
    def signing_key(self, day: str) -> bytes:
        if day not in self.signing_keys:
            key = b"AWS4" + self.secret_key.encode()
            for word in (day, self.region, "s3", "aws4_request"):
                key = hmac.new(key, word.encode(), hashlib.sha256).digest()
            self.signing_keys[day] = key
        return self.signing_keys[day]

    def signed_headers(self, method: str, path: str, query: str, headers: dict, payload_hash: str) -> dict:
        now = datetime.datetime.now(datetime.timezone.utc)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        out = {name.lower(): str(value).strip() for name, value in headers.items()}
        out |= {"host": f"{self.host}:{self.port}", "x-amz-date": stamp, "x-amz-content-sha256": payload_hash}
        names = ";".join(sorted(out))
        canonical = "\n".join([method, path, query, *(f"{name}:{out[name]}" for name in sorted(out)), "", names, payload_hash])
        scope = f"{day}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        signature = hmac.new(self.signing_key(day), text.encode(), hashlib.sha256).hexdigest()
        out["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, "
                                f"Signature={signature}")
        return out

    def target(self, bucket: str, key: str, query: dict | None) -> tuple[str, str]:
        path = "/" + bucket + ("/" + quote(key, safe="-_.~/") if key else "")
        pairs = sorted((quote(name, safe="-_.~"), quote(str(value), safe="-_.~")) for name, value in (query or {}).items())
        return path, "&".join(f"{name}={value}" for name, value in pairs)

    def request(self, method: str, bucket: str = "", key: str = "", *, query: dict | None = None,
                headers: dict | None = None, body: bytes = b"", unsigned: bool | None = None) -> Answer:
        path, search = self.target(bucket, key, query)
        if self.unsigned_payload if unsigned is None else unsigned:
            payload_hash = UNSIGNED
        else:
            payload_hash = hashlib.sha256(body).hexdigest() if body else EMPTY_SHA256
        signed = self.signed_headers(method, path, search, headers or {}, payload_hash)
        return self.send(method, path + ("?" + search if search else ""), signed, body)

    def connect(self) -> http.client.HTTPConnection:
        if self.connection is None:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection = connection
        return self.connection

    def send(self, method: str, target: str, headers: dict, body: bytes) -> Answer:
        try:
            connection = self.connect()
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body or method in ("PUT", "POST"):
                connection.putheader("content-length", str(len(body)))
            try:
                connection.endheaders(body or None)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all of the body was sent: the answer may be there all the same
            response = connection.getresponse()
            answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
            if response.will_close:
                self.close()
            return answer
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAnswer(f"{method} {target}: {type(error).__name__}: {error}") from error

    # The operations that the tests need. Those returning Answer leave the status to the caller.
    def create_bucket(self, bucket: str) -> None:
        answer = self.request("PUT", bucket)
        if answer.status != 200 and answer.code != "BucketAlreadyOwnedByYou":
            raise AssertionError(f"CreateBucket {bucket}: {answer.brief()}")

    def put(self, bucket: str, key: str, body: bytes, **headers) -> Answer:
        return self.request("PUT", bucket, key, body=body,
                            headers={name.replace("_", "-"): value for name, value in headers.items()})

    def get(self, bucket: str, key: str, *, start: int | None = None, end: int | None = None) -> Answer:
        headers = {} if start is None else {"range": f"bytes={start}-{'' if end is None else end}"}
        return self.request("GET", bucket, key, headers=headers)

    def head(self, bucket: str, key: str) -> Answer:
        return self.request("HEAD", bucket, key)

    def delete(self, bucket: str, key: str) -> Answer:
        return self.request("DELETE", bucket, key)

    def delete_many(self, bucket: str, keys: list[str]) -> tuple[Answer, dict[str, str]]:
        """DeleteObjects: the answer, and for each key an error code, or "" when it is gone."""
        body = ("<Delete>" + "".join(f"<Object><Key>{key}</Key></Object>" for key in keys) + "</Delete>").encode()
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        answer = self.request("POST", bucket, query={"delete": ""}, body=body, headers={"content-md5": md5})
        if answer.status != 200:
            return answer, {}
        fates = {row["Key"]: "" for row in xml_list(answer.body, "Deleted")}
        return answer, fates | {row["Key"]: row["Code"] for row in xml_list(answer.body, "Error")}

    def copy(self, bucket: str, source: str, key: str, etag: str, **headers) -> Answer:
        """CopyObject with metadata of its own, if the source still has the ETag. A 200 whose body is an Error is given as the 500
        it means."""
        headers |= {"x_amz_copy_source": f"/{bucket}/{source}", "x_amz_copy_source_if_match": f'"{etag}"',
                    "x_amz_metadata_directive": "REPLACE"}
        answer = self.put(bucket, key, b"", **headers)
        if answer.status == 200 and answer.code:
            answer.status = 500
        return answer

    def list_all(self, bucket: str, prefix: str = "", page: int = 1000) -> list[dict]:
        """Every object of ListObjectsV2 as {"Key", "Size", "ETag", ...}, ETag without quotes."""
        found, token = [], None
        while True:
            query = {"list-type": 2, "max-keys": page, "prefix": prefix, "encoding-type": "url"}
            if token is not None:
                query["continuation-token"] = token
            answer = self.request("GET", bucket, query=query)
            if answer.status != 200:
                raise AssertionError(f"ListObjectsV2 {bucket}: {answer.brief()}")
            for row in xml_list(answer.body, "Contents"):
                found.append(row | {"Key": unquote(row["Key"].replace("+", " ")), "ETag": row["ETag"].strip('"')})
            head = xml(answer.body)
            if head.get("IsTruncated") != "true":
                return found
            token = head["NextContinuationToken"]

    def create_upload(self, bucket: str, key: str, **headers) -> Answer:
        return self.request("POST", bucket, key, query={"uploads": ""},
                            headers={name.replace("_", "-"): value for name, value in headers.items()})

    def put_part(self, bucket: str, key: str, upload_id: str, number: int, body: bytes) -> Answer:
        return self.request("PUT", bucket, key, query={"partNumber": number, "uploadId": upload_id}, body=body)

    def complete_upload(self, bucket: str, key: str, upload_id: str, etags: list[str], **headers) -> Answer:
        """A 200 whose body is an Error (sent after a long wait, as S3 does) is given as the 500 it means."""
        parts = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>"
                        for number, etag in enumerate(etags, 1))
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        answer = self.request("POST", bucket, key, query={"uploadId": upload_id}, body=body,
                              headers={name.replace("_", "-"): value for name, value in headers.items()})
        if answer.status == 200 and answer.code:
            answer.status = 500
        return answer

    def copy_part(self, bucket: str, key: str, upload_id: str, number: int, source: str, etag: str, start: int, end: int) -> Answer:
        """UploadPartCopy of the bytes start to end (inclusive); the answer's ETag is that of the part."""
        headers = {"x-amz-copy-source": f"/{bucket}/{source}", "x-amz-copy-source-if-match": f'"{etag}"',
                   "x-amz-copy-source-range": f"bytes={start}-{end}"}
        answer = self.request("PUT", bucket, key, query={"partNumber": number, "uploadId": upload_id}, headers=headers)
        if answer.status == 200 and answer.code:
            answer.status = 500
        elif answer.status == 200:
            answer.headers["etag"] = xml(answer.body)["ETag"]
        return answer

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> Answer:
        return self.request("DELETE", bucket, key, query={"uploadId": upload_id})


def until(condition, seconds: float, what: str, pause_s: float = 0.05):
    """Polls until condition() is true and returns what it returned; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause_s)
