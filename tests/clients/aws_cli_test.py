"""aws-cli: the high-level commands, and every s3api operation that this release serves."""

import json
import os
import urllib.request

from server import ServerTest, digest_of, main, random_file

BIG_MIB = int(os.environ.get("OSTRAKA_BIG_MIB", "1024"))


class HighLevelTest(ServerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.boto3_client().create_bucket(Bucket="high")

    def test_cp_there_and_back(self):
        source = random_file(self.work / "one", 3_000_001)
        self.run_ok(self.aws("s3", "cp", str(source), "s3://high/cp/one"))
        self.run_ok(self.aws("s3", "cp", "s3://high/cp/one", str(self.work / "one.back")))
        self.assertEqual(digest_of(source), digest_of(self.work / "one.back"))
        listing = self.run_ok(self.aws("s3", "ls", "s3://high/cp/"))
        self.assertIn("3000001 one", listing)

    def test_cp_from_and_to_a_pipe(self):
        done = self.run_ok(["sh", "-c", "printf 'through a pipe' | " + " ".join(self.aws("s3", "cp", "-", "s3://high/pipe"))])
        self.assertEqual(done.count("error"), 0)
        self.assertEqual(self.run_ok(self.aws("s3", "cp", "s3://high/pipe", "-")), "through a pipe")

    def test_sync_ls_mv_rm(self):
        for i in range(30):
            path = self.file(f"tree/{i % 3}/file {i}", b"x" * i * 1000)
            # Last-Modified has whole seconds, in AWS as here: a file of this very second looks newer than its object.
            os.utime(path, (1700000000 + i, 1700000000 + i))
        self.run_ok(self.aws("s3", "sync", str(self.work / "tree"), "s3://high/tree"))
        again = self.run_ok(self.aws("s3", "sync", str(self.work / "tree"), "s3://high/tree"))
        self.assertEqual(again.strip(), "", "a second sync finds nothing to do")
        self.run_ok(self.aws("s3", "sync", "s3://high/tree", str(self.work / "tree.back")))
        self.run_ok(["diff", "-r", str(self.work / "tree"), str(self.work / "tree.back")])
        listing = self.run_ok(self.aws("s3", "ls", "--recursive", "s3://high/tree/"))
        self.assertEqual(len(listing.strip().splitlines()), 30)
        folders = self.run_ok(self.aws("s3", "ls", "s3://high/tree/"))
        self.assertEqual([line.split()[-1] for line in folders.strip().splitlines()], ["0/", "1/", "2/"])

        self.run_ok(self.aws("s3", "mv", "s3://high/tree/0/file 3", "s3://high/moved"))
        self.run_fails(self.aws("s3", "ls", "s3://high/tree/0/file 3"), "")
        self.assertEqual(self.run_ok(self.aws("s3", "cp", "s3://high/moved", "-")), "x" * 3000)
        self.run_ok(self.aws("s3", "rm", "--recursive", "s3://high/tree"))
        self.run_fails(self.aws("s3", "ls", "s3://high/tree/"), "")

    def test_presign(self):
        self.run_ok(self.aws("s3", "cp", str(self.file("signed", b"signed for all")), "s3://high/signed"))
        # Version 1 of aws-cli signs URLs for us-east-1 by version 2, which is not served, unless it is told otherwise.
        config = self.file("aws-config", b"[default]\ns3 =\n    signature_version = s3v4\n")
        environment = {**self.server.client_environment(), "AWS_CONFIG_FILE": str(config)}
        url = self.run_ok(self.aws("s3", "presign", "s3://high/signed", "--expires-in", "60"), env=environment).strip()
        with urllib.request.urlopen(url, timeout=30) as response:
            self.assertEqual(response.read(), b"signed for all")

    def test_bucket_comes_and_goes(self):
        self.run_ok(self.aws("s3", "mb", "s3://short-lived"))
        self.run_ok(self.aws("s3", "cp", str(self.file("x", b"x")), "s3://short-lived/x"))
        self.run_fails(self.aws("s3", "rb", "s3://short-lived"), "BucketNotEmpty")
        self.run_ok(self.aws("s3", "rb", "--force", "s3://short-lived"))
        self.assertNotIn("short-lived", self.run_ok(self.aws("s3", "ls")))

    def test_a_big_file_by_multipart_and_back(self):
        source = random_file(self.work / "big", BIG_MIB << 20)
        self.run_ok(self.aws("s3", "cp", "--no-progress", str(source), "s3://high/big"))
        self.run_ok(self.aws("s3", "cp", "--no-progress", "s3://high/big", str(self.work / "big.back")))
        self.assertEqual(digest_of(source), digest_of(self.work / "big.back"))
        head = self.aws_json("head-object", "--bucket", "high", "--key", "big")
        self.assertEqual(head["ContentLength"], BIG_MIB << 20)
        self.assertRegex(head["ETag"], r"-\d+")
        for name in ("big", "big.back"):
            (self.work / name).unlink()
        self.run_ok(self.aws("s3", "rm", "s3://high/big"))


class OperationsTest(ServerTest):
    """aws s3api, one operation after the other; argument errors must be AWS's."""

    def test_buckets(self):
        self.aws_json("create-bucket", "--bucket", "ops-buckets")
        self.aws_json("head-bucket", "--bucket", "ops-buckets")
        names = [bucket["Name"] for bucket in self.aws_json("list-buckets")["Buckets"]]
        self.assertIn("ops-buckets", names)
        self.assertIsNone(self.aws_json("get-bucket-location", "--bucket", "ops-buckets")["LocationConstraint"])
        self.aws_json("delete-bucket", "--bucket", "ops-buckets")
        self.run_fails(self.aws("s3api", "head-bucket", "--bucket", "ops-buckets"), "404")
        self.run_fails(self.aws("s3api", "delete-bucket", "--bucket", "ops-buckets"), "NoSuchBucket")
        self.run_fails(self.aws("s3api", "create-bucket", "--bucket", "Not_Valid"), "InvalidBucketName")

    def test_objects(self):
        self.aws_json("create-bucket", "--bucket", "ops-objects")
        at = ("--bucket", "ops-objects", "--key", "dir/one")
        body = self.file("body", b"0123456789" * 1000)
        put = self.aws_json("put-object", *at, "--body", str(body), "--content-type", "text/x-test", "--metadata", "color=red,Shape=Round",
                            "--tagging", "team=storage")
        head = self.aws_json("head-object", *at, "--checksum-mode", "ENABLED")
        self.assertEqual(head["ETag"], put["ETag"])
        self.assertEqual(head["ContentType"], "text/x-test")
        self.assertEqual(head["Metadata"], {"color": "red", "shape": "Round"})
        self.assertTrue(any(name.startswith("Checksum") for name in head), head)

        out = self.work / "out"
        got = self.aws_json("get-object", *at, "--range", "bytes=5-14", str(out))
        self.assertEqual((out.read_bytes(), got["ContentRange"]), (b"5678901234", "bytes 5-14/10000"))
        self.run_fails(self.aws("s3api", "get-object", *at, "--range", "bytes=20000-", str(out)), "InvalidRange")
        self.run_fails(self.aws("s3api", "get-object", *at, "--if-match", "nothing", str(out)), "PreconditionFailed")
        attributes = self.aws_json("get-object-attributes", *at, "--object-attributes", "ETag", "ObjectSize", "StorageClass", "Checksum")
        self.assertEqual(attributes["ObjectSize"], 10000)

        copy = self.aws_json("copy-object", "--bucket", "ops-objects", "--key", "copy", "--copy-source", "ops-objects/dir/one")
        self.assertEqual(copy["CopyObjectResult"]["ETag"], put["ETag"])
        self.assertEqual(self.aws_json("head-object", "--bucket", "ops-objects", "--key", "copy")["Metadata"]["color"], "red")

        listed = self.aws_json("list-objects-v2", "--bucket", "ops-objects", "--delimiter", "/")
        self.assertEqual([o["Key"] for o in listed["Contents"]], ["copy"])
        self.assertEqual([p["Prefix"] for p in listed["CommonPrefixes"]], ["dir/"])
        listed = self.aws_json("list-objects", "--bucket", "ops-objects")
        self.assertEqual([o["Key"] for o in listed["Contents"]], ["copy", "dir/one"])
        versions = self.aws_json("list-object-versions", "--bucket", "ops-objects")
        self.assertEqual([(v["Key"], v["VersionId"], v["IsLatest"]) for v in versions["Versions"]],
                         [("copy", "null", True), ("dir/one", "null", True)])

        self.aws_json("delete-object", *at)
        self.run_fails(self.aws("s3api", "get-object", *at, str(out)), "NoSuchKey")
        self.aws_json("delete-object", *at)
        gone = self.aws_json("delete-objects", "--bucket", "ops-objects", "--delete",
                             json.dumps({"Objects": [{"Key": "copy"}, {"Key": "never was"}]}))
        self.assertEqual(sorted(d["Key"] for d in gone["Deleted"]), ["copy", "never was"])
        self.assertNotIn("Contents", self.aws_json("list-objects-v2", "--bucket", "ops-objects"))

    def test_multipart(self):
        self.aws_json("create-bucket", "--bucket", "ops-multi")
        at = ("--bucket", "ops-multi", "--key", "whole")
        upload = self.aws_json("create-multipart-upload", *at, "--metadata", "made=by-parts")["UploadId"]
        first = random_file(self.work / "first", 5 << 20)
        second = random_file(self.work / "second", 12345)
        tags = []
        for number, part in enumerate((first, second), 1):
            tags.append(self.aws_json("upload-part", *at, "--upload-id", upload, "--part-number", str(number), "--body", str(part))["ETag"])
        parts = self.aws_json("list-parts", *at, "--upload-id", upload)["Parts"]
        self.assertEqual([(p["PartNumber"], p["Size"], p["ETag"]) for p in parts], [(1, 5 << 20, tags[0]), (2, 12345, tags[1])])
        uploads = self.aws_json("list-multipart-uploads", "--bucket", "ops-multi")["Uploads"]
        self.assertEqual([(u["Key"], u["UploadId"]) for u in uploads], [("whole", upload)])
        self.assertNotIn("Contents", self.aws_json("list-objects-v2", "--bucket", "ops-multi"))
        self.run_fails(self.aws("s3api", "complete-multipart-upload", *at, "--upload-id", upload, "--multipart-upload",
                                json.dumps({"Parts": [{"PartNumber": 1, "ETag": "0" * 32}]})), "InvalidPart")
        whole = {"Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]}
        self.run_fails(self.aws("s3api", "complete-multipart-upload", *at, "--upload-id", upload, "--multipart-upload",
                                json.dumps({"Parts": whole["Parts"][::-1]})), "InvalidPartOrder")
        self.aws_json("complete-multipart-upload", *at, "--upload-id", upload, "--multipart-upload", json.dumps(whole))
        out = self.work / "whole"
        got = self.aws_json("get-object", *at, str(out))
        self.assertEqual(out.read_bytes(), first.read_bytes() + second.read_bytes())
        self.assertEqual(got["Metadata"], {"made": "by-parts"})
        got = self.aws_json("get-object", *at, "--part-number", "2", str(out))
        self.assertEqual(out.read_bytes(), second.read_bytes())
        self.assertEqual(got["PartsCount"], 2)

        copied = self.aws_json("create-multipart-upload", "--bucket", "ops-multi", "--key", "copied")["UploadId"]
        tag = self.aws_json("upload-part-copy", "--bucket", "ops-multi", "--key", "copied", "--upload-id", copied, "--part-number", "7",
                            "--copy-source", "ops-multi/whole", "--copy-source-range", "bytes=100-1099")["CopyPartResult"]["ETag"]
        self.aws_json("complete-multipart-upload", "--bucket", "ops-multi", "--key", "copied", "--upload-id", copied,
                      "--multipart-upload", json.dumps({"Parts": [{"PartNumber": 7, "ETag": tag}]}))
        self.aws_json("get-object", "--bucket", "ops-multi", "--key", "copied", str(out))
        self.assertEqual(out.read_bytes(), first.read_bytes()[100:1100])

        dropped = self.aws_json("create-multipart-upload", *at)["UploadId"]
        self.aws_json("upload-part", *at, "--upload-id", dropped, "--part-number", "1", "--body", str(second))
        self.aws_json("abort-multipart-upload", *at, "--upload-id", dropped)
        self.run_fails(self.aws("s3api", "list-parts", *at, "--upload-id", dropped), "NoSuchUpload")

    def test_wrong_secret_is_refused(self):
        environment = {**self.server.client_environment(), "AWS_SECRET_ACCESS_KEY": "wrong-secret"}
        self.run_fails(self.aws("s3api", "list-buckets"), "SignatureDoesNotMatch", env=environment)
        environment = {**self.server.client_environment(), "AWS_ACCESS_KEY_ID": "NOBODY"}
        self.run_fails(self.aws("s3api", "list-buckets"), "InvalidAccessKeyId", env=environment)


if __name__ == "__main__":
    main()
