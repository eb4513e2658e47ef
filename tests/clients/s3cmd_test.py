"""s3cmd of Debian: put, get, sync, multipart, resumed transfers."""

from server import ServerTest, digest_of, main, random_file


class S3cmdTest(ServerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = cls.work / "s3cfg"
        host = f"127.0.0.1:{cls.server.port}"
        cls.config.write_text(
            f"[default]\naccess_key = {cls.server.access_key}\nsecret_key = {cls.server.secret_key}\nhost_base = {host}\n"
            f"host_bucket = {host}\nuse_https = False\nbucket_location = us-east-1\n")
        cls.server.boto3_client().create_bucket(Bucket="cmd")

    def s3cmd(self, *arguments: str) -> str:
        return self.run_ok(["s3cmd", "-c", str(self.config), "--no-progress", *arguments])

    def received_bytes(self) -> int:
        status, text = self.server.console("/metrics")
        self.assertEqual(status, 200)
        return int(next(line.split()[-1] for line in text.splitlines() if line.startswith("ostraka_s3_received_bytes_total ")))

    def test_put_get_info_del(self):
        source = random_file(self.work / "file with blank", 200_000)
        self.s3cmd("put", str(source), "s3://cmd/dir/a b")
        self.s3cmd("get", "s3://cmd/dir/a b", str(self.work / "back"))
        self.assertEqual(digest_of(source), digest_of(self.work / "back"))
        self.assertIn("200000", self.s3cmd("ls", "s3://cmd/dir/"))
        self.assertIn("File size: 200000", self.s3cmd("info", "s3://cmd/dir/a b"))
        self.s3cmd("cp", "s3://cmd/dir/a b", "s3://cmd/copy")
        self.s3cmd("mv", "s3://cmd/copy", "s3://cmd/moved")
        self.s3cmd("del", "s3://cmd/moved", "s3://cmd/dir/a b")
        self.assertEqual(self.s3cmd("ls", "s3://cmd/dir/").strip(), "")

    def test_buckets(self):
        self.s3cmd("mb", "s3://cmd-second")
        self.assertIn("s3://cmd-second", self.s3cmd("ls"))
        self.s3cmd("rb", "s3://cmd-second")
        self.assertNotIn("s3://cmd-second", self.s3cmd("ls"))

    def test_multipart(self):
        source = random_file(self.work / "parts", 23_000_000)
        self.s3cmd("put", "--multipart-chunk-size-mb=5", str(source), "s3://cmd/parts")
        self.s3cmd("get", "s3://cmd/parts", str(self.work / "parts.back"))
        self.assertEqual(digest_of(source), digest_of(self.work / "parts.back"))

    def test_continue_a_download(self):
        source = random_file(self.work / "half", 6_000_000)
        self.s3cmd("put", str(source), "s3://cmd/half")
        partial = self.work / "half.back"
        partial.write_bytes(source.read_bytes()[:2_345_678])
        self.s3cmd("get", "--continue", "s3://cmd/half", str(partial))
        self.assertEqual(digest_of(source), digest_of(partial))

    def test_continue_an_upload(self):
        source = random_file(self.work / "resumed", 17_000_000)
        s3 = self.server.boto3_client()
        upload = s3.create_multipart_upload(Bucket="cmd", Key="resumed")["UploadId"]
        content = source.read_bytes()
        s3.upload_part(Bucket="cmd", Key="resumed", UploadId=upload, PartNumber=1, Body=content[: 5 << 20])
        before = self.received_bytes()
        self.s3cmd("put", "--continue-put", f"--upload-id={upload}", "--multipart-chunk-size-mb=5", str(source), "s3://cmd/resumed")
        self.assertLess(self.received_bytes() - before, 13 << 20, "the part that was there already is not sent again")
        self.assertEqual(s3.get_object(Bucket="cmd", Key="resumed")["Body"].read(), content)

    def test_sync_there_and_back(self):
        for i in range(25):
            self.file(f"tree/{i % 4}/n {i}", b"y" * i * 777)
        self.s3cmd("sync", str(self.work / "tree") + "/", "s3://cmd/tree/")
        self.assertNotIn("upload:", self.s3cmd("sync", str(self.work / "tree") + "/", "s3://cmd/tree/"))
        (self.work / "tree.back").mkdir()
        self.s3cmd("sync", "s3://cmd/tree/", str(self.work / "tree.back") + "/")
        self.run_ok(["diff", "-r", str(self.work / "tree"), str(self.work / "tree.back")])
        (self.work / "tree/0/n 0").unlink()
        self.s3cmd("sync", "--delete-removed", str(self.work / "tree") + "/", "s3://cmd/tree/")
        self.assertNotIn("n 0\n", self.s3cmd("ls", "s3://cmd/tree/0/"))


if __name__ == "__main__":
    main()
