"""Keys that look like paths, queries or encodings are just keys: percent-decoded once, never normalised."""

from server import ServerTest, main

ODD = [
    "with space", "two  spaces", " leading", "trailing ", "plus+plus", "percent%20", "%", "%%", "100%25", "a//b", "//", "/leading", "trailing/",
    ".", "..", "./x", "../x", "a/./b", "a/../b", "a/..", "...", "ümläut", "日本語/キー", "🏺", "e\u0301", "é", "q?uery", "h#ash", "a&b=c",
    "semi;colon", "comma,at@dollar$", "quote'\"", "back\\slash", "<xml>&amp;", "tilde~star*", "[brackets]{braces}|pipe^", "tab\there", "a", "a/b", "a/b/",
    "a\u00a0b", "CON", "k" * 1024, "x-amz-meta", "new\nline", "bell\x07",
]


class OddNamesTest(ServerTest):
    def setUp(self):
        self.s3 = self.server.boto3_client()
        self.s3.create_bucket(Bucket="odd")
        self.addCleanup(self.empty)

    def empty(self):
        for key in ODD:
            self.s3.delete_object(Bucket="odd", Key=key)
        self.assertEqual(self.s3.list_objects_v2(Bucket="odd")["KeyCount"], 0)
        self.s3.delete_bucket(Bucket="odd")

    def test_each_is_one_object_of_its_own(self):
        for key in ODD:
            with self.subTest(key=key):
                self.s3.put_object(Bucket="odd", Key=key, Body=b"content of " + key.encode())
        for key in ODD:
            with self.subTest(key=key):
                self.assertEqual(self.s3.get_object(Bucket="odd", Key=key)["Body"].read(), b"content of " + key.encode())
                self.assertEqual(self.s3.head_object(Bucket="odd", Key=key)["ContentLength"], len(b"content of " + key.encode()))
        listed = [o["Key"] for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket="odd", PaginationConfig={"PageSize": 7})
                  for o in page["Contents"]]
        self.assertEqual(listed, sorted(ODD, key=str.encode))
        self.s3.copy_object(Bucket="odd", Key="日本語/キー", CopySource={"Bucket": "odd", "Key": "percent%20"})
        self.assertEqual(self.s3.get_object(Bucket="odd", Key="日本語/キー")["Body"].read(), b"content of percent%20")
        self.s3.delete_object(Bucket="odd", Key="a")
        self.assertEqual(self.s3.get_object(Bucket="odd", Key="a/b")["Body"].read(), b"content of a/b")
        answer = self.s3.delete_objects(Bucket="odd", Delete={"Objects": [{"Key": k} for k in ("..", "a//b", "<xml>&amp;", "plus+plus")]})
        self.assertEqual(len(answer["Deleted"]), 4, answer)

    def test_prefixes_and_delimiters(self):
        for key in ("a", "a/b", "a/b/c", "a//d", "a b/c", "a+b/c", "ü/x"):
            self.s3.put_object(Bucket="odd", Key=key, Body=b"")
            self.addCleanup(self.s3.delete_object, Bucket="odd", Key=key)

        def listing(**arguments):
            page = self.s3.list_objects_v2(Bucket="odd", **arguments)
            return [o["Key"] for o in page.get("Contents", [])], [p["Prefix"] for p in page.get("CommonPrefixes", [])]

        self.assertEqual(listing(Delimiter="/"), (["a"], ["a b/", "a+b/", "a/", "ü/"]))
        self.assertEqual(listing(Delimiter="/", Prefix="a/"), (["a/b"], ["a//", "a/b/"]))
        self.assertEqual(listing(Delimiter="//"), (["a", "a b/c", "a+b/c", "a/b", "a/b/c", "ü/x"], ["a//"]))
        self.assertEqual(listing(Prefix="a+"), (["a+b/c"], []))

    def test_aws_cli_agrees(self):
        body = self.file("body", b"by aws-cli")
        out = self.work / "out"
        for key in ("with space+plus%20", "ümläut/🏺", "a//b", "..", "trailing/"):
            with self.subTest(key=key):
                self.aws_json("put-object", "--bucket", "odd", "--key", key, "--body", str(body))
                self.aws_json("get-object", "--bucket", "odd", "--key", key, str(out))
                self.assertEqual(out.read_bytes(), b"by aws-cli")
                self.addCleanup(self.s3.delete_object, Bucket="odd", Key=key)


if __name__ == "__main__":
    main()
