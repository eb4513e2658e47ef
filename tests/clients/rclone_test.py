"""rclone of Debian: a tree of thousands of real files there and back, checks, and ranged reads as a mount makes them."""

from real_files import copy_tree
from server import ServerTest, main, random_file

FILES = 5500


class RcloneTest(ServerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.boto3_client().create_bucket(Bucket="clone")

    def rclone(self, *arguments: str) -> str:
        environment = {
            **self.server.client_environment(),
            "RCLONE_CONFIG": str(self.work / "no-config"),
            "RCLONE_CONFIG_O_TYPE": "s3",
            "RCLONE_CONFIG_O_PROVIDER": "Other",
            "RCLONE_CONFIG_O_ENDPOINT": self.server.endpoint,
            "RCLONE_CONFIG_O_ACCESS_KEY_ID": self.server.access_key,
            "RCLONE_CONFIG_O_SECRET_ACCESS_KEY": self.server.secret_key,
        }
        return self.run_ok(["rclone", *arguments], env=environment)

    def test_a_tree_of_real_files(self):
        tree, back = self.work / "tree", self.work / "back"
        self.assertGreaterEqual(copy_tree(tree, FILES), 5000, "this machine has too few files under /usr")
        self.rclone("sync", "--transfers", "16", "--checkers", "16", str(tree), "O:clone/tree")
        self.rclone("check", "--checkers", "16", str(tree), "O:clone/tree")
        self.rclone("sync", "--transfers", "16", "--checkers", "16", "O:clone/tree", str(back))
        self.run_ok(["diff", "-r", str(tree), str(back)])
        # A second sync compares and moves nothing.
        self.assertNotIn("Copied", self.rclone("sync", "--fast-list", "-v", str(tree), "O:clone/tree"))
        some = sorted(path for path in tree.rglob("*") if path.is_file())[:50]
        for path in some:
            path.unlink()
        self.rclone("sync", "--fast-list", str(tree), "O:clone/tree")
        self.rclone("check", "--fast-list", str(tree), "O:clone/tree")
        self.rclone("purge", "O:clone/tree")
        self.assertEqual(self.rclone("lsf", "O:clone").strip(), "")

    def test_ranged_reads(self):
        source = random_file(self.work / "ranged", 9_000_000)
        content = source.read_bytes()
        self.rclone("copyto", str(source), "O:clone/ranged")
        s3 = self.server.boto3_client()
        for offset in (0, 1, 131_071, 1_048_575, 1_048_576, 5_000_000, 8_999_990):
            got = s3.get_object(Bucket="clone", Key="ranged", Range=f"bytes={offset}-{offset + 65_535}")["Body"].read()
            self.assertEqual(got, content[offset : offset + 65_536])
        text = self.file("text", b"".join(b"line %07d\n" % i for i in range(300_000)))
        self.rclone("copyto", str(text), "O:clone/text")
        self.assertEqual(self.rclone("cat", "--offset", "2600000", "--count", "26", "O:clone/text"), "line 0200000\nline 0200001\n")

    def test_multipart_and_names(self):
        (self.work / "names").mkdir()
        random_file(self.work / "names" / "big one+%", 30_000_000)
        self.file("names/ümläut/日本 語", b"utf-8")
        self.file("names/dot./..two", b"dots")
        self.rclone("copy", "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M", str(self.work / "names"), "O:clone/names")
        self.rclone("check", "--download", str(self.work / "names"), "O:clone/names")


if __name__ == "__main__":
    main()
