"""restic of Debian: a backup of real files, a check that reads all data, and a restore."""

from real_files import copy_tree
from server import ServerTest, main


class ResticTest(ServerTest):
    def test_backup_check_restore(self):
        self.server.boto3_client().create_bucket(Bucket="backup")
        tree = self.work / "tree"
        copy_tree(tree, 1500, 60 << 20)
        environment = {**self.server.client_environment(), "RESTIC_PASSWORD": "for the test",
                       "RESTIC_REPOSITORY": f"s3:{self.server.endpoint}/backup/repository", "RESTIC_CACHE_DIR": str(self.work / "cache")}

        def restic(*arguments):
            return self.run_ok(["restic", "--quiet", *arguments], env=environment)

        restic("init")
        restic("backup", str(tree))
        next(tree.rglob("*.h")).write_bytes(b"changed")
        restic("backup", str(tree))
        restic("check", "--read-data")
        restic("restore", "latest", "--target", str(self.work / "restored"))
        self.run_ok(["diff", "-r", str(tree), str(self.work / "restored" / tree.relative_to("/"))])
        restic("forget", "--keep-last", "1", "--prune")
        restic("check")


if __name__ == "__main__":
    main()
