"""docs/migrate.md as written: its rclone commands move a bucket from one S3 store (here a second server) into another."""

import re
import shlex

from real_files import copy_tree
from server import SOURCE, Server, ServerTest, main


def documented_commands() -> list[list[str]]:
    page = (SOURCE / "docs" / "migrate.md").read_text()
    lines = [line.strip() for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
             for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("rclone ") and " config " not in line]


class MigrateTest(ServerTest):
    def test_the_documented_commands(self):
        old = Server(drives=1, erasure_set="1+0")
        self.addCleanup(old.close)
        old.start()
        source, target = old.boto3_client(), self.server.boto3_client()
        source.create_bucket(Bucket="photos")
        tree = self.work / "tree"
        copy_tree(tree, 300, 20 << 20)
        for path in sorted(p for p in tree.rglob("*") if p.is_file()):
            source.put_object(Bucket="photos", Key=str(path.relative_to(tree)), Body=path.read_bytes())
        source.put_object(Bucket="photos", Key="a b/ümläut+%", Body=b"kept", ContentType="image/x-test", CacheControl="max-age=5",
                          Metadata={"taken-by": "someone"})

        remotes = {}
        for name, server in (("OLD", old), ("NEW", self.server)):
            remotes |= {f"RCLONE_CONFIG_{name}_{key}": value for key, value in {
                "TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": server.endpoint, "ACCESS_KEY_ID": server.access_key,
                "SECRET_ACCESS_KEY": server.secret_key}.items()}
        environment = {**self.server.client_environment(), **remotes, "RCLONE_CONFIG": str(self.work / "no-config")}
        commands = documented_commands()
        self.assertGreaterEqual(len(commands), 4, commands)
        for command in commands:
            self.run_ok(command, env=environment, cwd=self.work)

        def content(client):
            return [(o["Key"], o["Size"], o["ETag"]) for page in client.get_paginator("list_objects_v2").paginate(Bucket="photos")
                    for o in page["Contents"]]

        self.assertEqual(content(source), content(target))
        self.assertEqual(len(content(target)), 301)
        head = target.head_object(Bucket="photos", Key="a b/ümläut+%")
        self.assertEqual((head["ContentType"], head["CacheControl"]), ("image/x-test", "max-age=5"))
        self.assertEqual(head["Metadata"]["taken-by"], "someone")


if __name__ == "__main__":
    main()
