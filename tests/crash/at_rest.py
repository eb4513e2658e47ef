"""What must hold when the drives are all there and a scan has gone over them: every shard is whole, no file is left that no object
names, and the usage figures are those of what can be listed. Nobody else may write meanwhile."""

import json
from pathlib import Path

from harness import BUCKET, Server
from s3 import Client, until, xml_list
from values import KIB

SCAN_WITHIN_S = 180
REFILLED_WITHIN_S = 180
FILES_GONE_WITHIN_S = 5  # after the batch that dropped their records
INLINE_BYTES = 128 * KIB  # larger objects, and all parts of multipart uploads, lie in shard files


class AtRest:
    def __init__(self, node: Server):
        self.node = node
        self.console = Client(node.console_port, node.access_key, node.secret_key)

    def __enter__(self) -> "AtRest":
        return self

    def __exit__(self, *_) -> None:
        self.console.close()

    def admin(self, method: str, path: str, **members) -> dict:
        body = json.dumps(members).encode() if method == "POST" else b""
        answer = self.console.request(method, "admin", "v1/" + path, body=body)
        if answer.status != 200:
            raise AssertionError(f"{method} /admin/v1/{path}: {answer.status} {answer.body[:300]!r}")
        return json.loads(answer.body)

    def scan(self, deep: bool) -> dict:
        """One pass over everything; its report."""
        number = self.admin("POST", "scan/start", deep=deep)["number"]

        def report() -> dict | None:
            if self.admin("GET", "scan")["number"] != number:
                return None  # a pass in the background is put aside first
            found = self.admin("GET", f"scan/{number}")
            return found if found["pass"]["state"] == "done" else None

        try:
            return until(report, SCAN_WITHIN_S, "the scan ends")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.admin('GET', 'scan')}") from None

    def check(self, client: Client) -> dict:
        """The totals of the first of two scans, of which the second must find nothing to do."""
        report = self.scan(deep=True)
        totals = report["pass"]["totals"]
        for bad in ("unrepaired", "lost", "corrupt_rows", "unclaimed", "usage_corrections"):
            if totals[bad] != 0:
                raise AssertionError(f"the scan tells of {bad}: {totals}, {report['findings'][:5]}")
        objects, parts = self.listed(client)
        self.check_files(objects, parts)
        self.check_usage(objects, parts)
        again = self.scan(deep=True)
        found = {name: again["pass"]["totals"][name] for name in ("damaged", "orphan_files", "orphan_inline", "usage_corrections")}
        if any(found.values()):
            raise AssertionError(f"a second scan still finds {found}: {again['findings'][:5]}")
        return totals

    def wait_refilled(self, writers_died: bool = False) -> None:
        """Until all drives are in service, and those that were replaced are full again. Where writers died, but for keys that cannot
        be healed: what one left on no more drives than its quorum may have lost a shard too many with the drive. It holds its
        placement group back until somebody overwrites it."""
        def full(drive: Path) -> bool:
            return not json.loads((drive / "format.json").read_text()).get("refilling", False)

        def refilled() -> bool:
            if not self.node.names_as_missing([]):
                return False
            if all(map(full, self.node.drives)):
                return True
            if not writers_died:
                return False
            status = self.admin("GET", "heal")
            lately = [key["outcome"] for key in status["recent"] if key["cause"] == "refill" and key["outcome"] != "healed"]
            # keys that nobody could decide would be a bug: all drives are there
            held_back = bool(status["refills"]) and all("cannot be healed" in refill["problem"] for refill in status["refills"])
            return held_back and bool(lately) and lately[0] == "lost" and "undecided" not in lately[:status["refills"][0]["failed_keys"]]

        until(refilled, REFILLED_WITHIN_S, "the drives are full again")

    def listed(self, client: Client) -> tuple[list[dict], list[dict]]:
        """Objects, and parts of unfinished uploads, with their sizes as numbers."""
        objects = [{"size": int(row["Size"]), "etag": row["ETag"]} for row in client.list_all(BUCKET)]
        answer = client.request("GET", BUCKET, query={"uploads": ""})
        self.uploads = xml_list(answer.body, "Upload")
        parts = []
        for upload in self.uploads:
            answer = client.request("GET", BUCKET, upload["Key"], query={"uploadId": upload["UploadId"]})
            parts += [{"size": int(row["Size"])} for row in xml_list(answer.body, "Part")]
        return objects, parts

    def check_files(self, objects: list[dict], parts: list[dict]) -> None:
        expected = len(parts)
        for row in objects:
            multipart = row["etag"].rpartition("-")[2] if "-" in row["etag"] else ""
            expected += int(multipart) if multipart else row["size"] > INLINE_BYTES

        def counts() -> dict[str, int]:
            return {drive.name: len(shard_files(drive)) for drive in self.node.drives}

        def right() -> bool:
            return set(counts().values()) == {expected}

        until(right, FILES_GONE_WITHIN_S, f"each drive has {expected} shard files (they have {counts()})")

    def check_usage(self, objects: list[dict], parts: list[dict]) -> None:
        figures = next((row for row in self.admin("GET", "usage")["buckets"] if row["bucket"] == BUCKET), {})
        expected = {"objects": len(objects), "bytes": sum(row["size"] for row in objects), "uploads": len(self.uploads),
                    "part_bytes": sum(row["size"] for row in parts), "exact": True}
        found = {name: figures.get(name, 0) for name in expected}
        if found != expected and any(list(expected.values())[:-1]):
            raise AssertionError(f"usage is {found}, but what can be listed is {expected}")


def shard_files(drive: Path) -> list[Path]:
    return [path for path in (drive / "data").rglob("*") if path.is_file()]
