"""boto3 with its default settings, which since 2025 send and ask for checksums on their own."""

import base64
import concurrent.futures
import datetime
import hashlib
import io
import os
import urllib.request
import zlib

from botocore.exceptions import ClientError
from server import ServerTest, digest_of, main, random_file


class Boto3Test(ServerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.s3 = cls.server.boto3_client()
        cls.s3.create_bucket(Bucket="boto")

    def assert_code(self, code: str, call, **arguments):
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, caught.exception)
        return caught.exception.response

    def test_sizes_around_every_boundary(self):
        stripe, inline = 1 << 20, 128 << 10
        for size in (0, 1, 63, 64, 65, inline - 1, inline, inline + 1, stripe - 1, stripe, stripe + 1, 3 * stripe + 17, 7_654_321):
            with self.subTest(size=size):
                body = os.urandom(size)
                put = self.s3.put_object(Bucket="boto", Key=f"size/{size}", Body=body)
                self.assertEqual(put["ETag"], f'"{hashlib.md5(body).hexdigest()}"')
                got = self.s3.get_object(Bucket="boto", Key=f"size/{size}")
                self.assertEqual(got["ContentLength"], size)
                self.assertEqual(got["Body"].read(), body)
                for begin, end in ((0, 0), (size // 2, size // 2 + 100), (max(0, size - 3), size)):
                    if begin < size:
                        part = self.s3.get_object(Bucket="boto", Key=f"size/{size}", Range=f"bytes={begin}-{end}")
                        self.assertEqual(part["Body"].read(), body[begin : end + 1])

    def test_default_checksum_is_kept_and_returned(self):
        put = self.s3.put_object(Bucket="boto", Key="sum", Body=b"checked")
        expected = base64.b64encode(zlib.crc32(b"checked").to_bytes(4, "big")).decode()
        self.assertEqual(put["ChecksumCRC32"], expected)
        self.assertEqual(self.s3.get_object(Bucket="boto", Key="sum")["ChecksumCRC32"], expected)

    def test_each_checksum_algorithm(self):
        for algorithm in ("CRC32", "SHA1", "SHA256"):
            with self.subTest(algorithm):
                self.s3.put_object(Bucket="boto", Key=algorithm, Body=b"x" * 300_000, ChecksumAlgorithm=algorithm)
                head = self.s3.head_object(Bucket="boto", Key=algorithm, ChecksumMode="ENABLED")
                self.assertIn(f"Checksum{algorithm}", head)
                self.assertEqual(self.s3.get_object(Bucket="boto", Key=algorithm)["Body"].read(), b"x" * 300_000)
        self.assert_code("BadDigest", self.s3.put_object, Bucket="boto", Key="bad", Body=b"x",
                         ChecksumSHA256=base64.b64encode(hashlib.sha256(b"y").digest()).decode())
        self.assert_code("NoSuchKey", self.s3.get_object, Bucket="boto", Key="bad")

    def test_bodies_that_cannot_seek_go_in_chunks_with_a_trailer(self):
        class Pipe(io.RawIOBase):
            def __init__(self, data):
                super().__init__()
                self.data = io.BytesIO(data)

            def readable(self):
                return True

            def readinto(self, into):
                return self.data.readinto(into)

        body = os.urandom(2_500_000)
        self.s3.upload_fileobj(Pipe(body), "boto", "pipe")
        self.assertEqual(self.s3.get_object(Bucket="boto", Key="pipe")["Body"].read(), body)

    def test_transfer_manager_goes_by_multipart(self):
        source = random_file(self.work / "large", 40_000_000)
        self.s3.upload_file(str(source), "boto", "large", ExtraArgs={"Metadata": {"a": "b"}, "ContentType": "x/y"})
        head = self.s3.head_object(Bucket="boto", Key="large")
        self.assertTrue(head["ETag"].endswith('-5"'), head["ETag"])
        self.assertEqual((head["Metadata"], head["ContentType"]), ({"a": "b"}, "x/y"))
        self.s3.download_file("boto", "large", str(self.work / "large.back"))
        self.assertEqual(digest_of(source), digest_of(self.work / "large.back"))
        self.s3.copy({"Bucket": "boto", "Key": "large"}, "boto", "large copy")
        self.assertEqual(self.s3.head_object(Bucket="boto", Key="large copy")["ContentLength"], 40_000_000)

    def test_standard_headers_and_metadata_are_kept(self):
        kept = {"CacheControl": "max-age=60", "ContentDisposition": 'attachment; filename="a b"', "ContentEncoding": "gzip",
                "ContentLanguage": "de", "ContentType": "text/plain; charset=utf-8", "Metadata": {"k1": "v1", "k2": "two words"}}
        self.s3.put_object(Bucket="boto", Key="headers", Body=b"x", **kept)
        head = self.s3.head_object(Bucket="boto", Key="headers")
        self.assertEqual({name: head[name] for name in kept}, kept)
        got = self.s3.get_object(Bucket="boto", Key="headers", ResponseContentType="a/b", ResponseCacheControl="no-cache")
        self.assertEqual((got["ContentType"], got["CacheControl"]), ("a/b", "no-cache"))
        self.s3.copy_object(Bucket="boto", Key="headers", CopySource="boto/headers", MetadataDirective="REPLACE", Metadata={"new": "1"})
        self.assertEqual(self.s3.head_object(Bucket="boto", Key="headers")["Metadata"], {"new": "1"})

    def test_conditions(self):
        put = self.s3.put_object(Bucket="boto", Key="cond", Body=b"1")
        self.assert_code("PreconditionFailed", self.s3.put_object, Bucket="boto", Key="cond", Body=b"2", IfNoneMatch="*")
        self.assert_code("PreconditionFailed", self.s3.put_object, Bucket="boto", Key="cond", Body=b"2", IfMatch='"0"')
        self.assert_code("NoSuchKey", self.s3.put_object, Bucket="boto", Key="absent", Body=b"2", IfMatch=put["ETag"])
        self.s3.put_object(Bucket="boto", Key="cond", Body=b"2", IfMatch=put["ETag"])
        self.assert_code("PreconditionFailed", self.s3.get_object, Bucket="boto", Key="cond", IfMatch=put["ETag"])
        current = self.s3.head_object(Bucket="boto", Key="cond")
        self.assert_code("304", self.s3.get_object, Bucket="boto", Key="cond", IfNoneMatch=current["ETag"])
        later = current["LastModified"] + datetime.timedelta(seconds=1)
        self.assert_code("304", self.s3.head_object, Bucket="boto", Key="cond", IfModifiedSince=later)
        earlier = current["LastModified"] - datetime.timedelta(hours=1)
        self.assert_code("PreconditionFailed", self.s3.get_object, Bucket="boto", Key="cond", IfUnmodifiedSince=earlier)

    def test_listing_pages(self):
        keys = sorted(f"page/{a}/{i:03}" for a in "abc" for i in range(70))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: self.s3.put_object(Bucket="boto", Key=key, Body=b""), keys))
        paginator = self.s3.get_paginator("list_objects_v2")
        pages = list(paginator.paginate(Bucket="boto", Prefix="page/", PaginationConfig={"PageSize": 37}))
        self.assertEqual([o["Key"] for page in pages for o in page["Contents"]], keys)
        self.assertEqual(len(pages), -(-len(keys) // 37))
        pages = list(paginator.paginate(Bucket="boto", Prefix="page/", Delimiter="/", PaginationConfig={"PageSize": 2}))
        self.assertEqual([p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])], ["page/a/", "page/b/", "page/c/"])
        after = self.s3.list_objects_v2(Bucket="boto", Prefix="page/", StartAfter="page/c/068")
        self.assertEqual([o["Key"] for o in after["Contents"]], ["page/c/069"])
        self.assertEqual(self.s3.list_objects_v2(Bucket="boto", MaxKeys=0)["KeyCount"], 0)
        gone = self.s3.delete_objects(Bucket="boto", Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
        self.assertNotIn("Errors", gone)
        self.assertEqual(self.s3.list_objects_v2(Bucket="boto", Prefix="page/")["KeyCount"], 0)

    def test_presigned_urls_and_posts(self):
        signing = self.server.boto3_client(signature_version="s3v4")  # without it botocore still signs URLs by version 2
        url = signing.generate_presigned_url("put_object", Params={"Bucket": "boto", "Key": "by url"})
        request = urllib.request.Request(url, data=b"put by url", method="PUT")
        with urllib.request.urlopen(request, timeout=30) as response:
            self.assertEqual(response.status, 200)
        self.assertEqual(self.s3.get_object(Bucket="boto", Key="by url")["Body"].read(), b"put by url")

        post = signing.generate_presigned_post("boto", "by form/${filename}", Conditions=[["content-length-range", 1, 100]])
        boundary = "----ostraka"
        fields = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in post["fields"].items())
        body = (fields + f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="up.txt"\r\n\r\nposted\r\n--{boundary}--\r\n')
        request = urllib.request.Request(post["url"], data=body.encode(), headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            self.assertEqual(response.status, 204)
        self.assertEqual(self.s3.get_object(Bucket="boto", Key="by form/up.txt")["Body"].read(), b"posted")

    def test_errors_are_those_of_s3(self):
        self.assert_code("NoSuchBucket", self.s3.list_objects_v2, Bucket="absent-bucket")
        self.assert_code("NoSuchKey", self.s3.get_object, Bucket="boto", Key="absent")
        self.assert_code("404", self.s3.head_object, Bucket="boto", Key="absent")
        self.assert_code("NoSuchUpload", self.s3.list_parts, Bucket="boto", Key="x", UploadId="absent")
        self.assert_code("KeyTooLongError", self.s3.put_object, Bucket="boto", Key="k" * 1025, Body=b"")
        self.assert_code("NotImplemented", self.s3.put_bucket_replication, Bucket="boto",
                         ReplicationConfiguration={"Role": "r", "Rules": [{"Status": "Enabled", "Destination": {"Bucket": "b"}}]})
        response = self.assert_code("MetadataTooLarge", self.s3.put_object, Bucket="boto", Key="m", Body=b"", Metadata={"a": "b" * 2100})
        self.assertTrue(response["ResponseMetadata"]["RequestId"])


if __name__ == "__main__":
    main()
