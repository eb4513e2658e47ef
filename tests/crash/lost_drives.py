"""Drive folders that vanish while the store serves: with 4+2, two may go and nobody notices; with three gone it waits."""

import shutil
import time

from at_rest import AtRest
from contents import Contents
from harness import BUCKET, CrashCase, main
from s3 import until
from values import ABSENT, MIB

REQUEST_TIMEOUT_S = 5
NOTICED_WITHIN_S = 20


class LostDrives(CrashCase):
    def setUp(self):
        super().setUp()
        self.contents = Contents(self.seed)
        self.node = self.server(env={"OSTRAKA_API_REQUEST_TIMEOUT": f"{REQUEST_TIMEOUT_S}s"}).start()
        self.client = self.node.client()
        self.contents.fill(self.client)
        self.contents.check(self.client)

    def noticed(self, missing) -> None:
        try:
            until(lambda: self.node.names_as_missing(missing), NOTICED_WITHIN_S, f"/health/cluster names {missing}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {self.node.health('cluster')}") from None

    def test_two_deleted(self):
        """They are made anew and filled from the others, so well that two of the others may go."""
        drives = self.random.sample(self.drives, 4)
        lost, others = drives[:2], sorted(drives[2:])
        for drive in lost:
            shutil.rmtree(drive)
        self.contents.check(self.client)
        self.contents.change(self.client)
        until(lambda: self.node.said().count("formatting its empty folder anew") == len(lost), NOTICED_WITHIN_S, "new drives")
        with AtRest(self.node) as rest:
            rest.wait_refilled()
        self.contents.change(self.client)
        for drive in others:
            self.take_away(drive)
        self.noticed(others)
        self.contents.check(self.client)
        self.contents.change(self.client)
        self.contents.check(self.client)
        self.assertEqual(self.node.stop(), 0)
        self.node.start()
        self.client = self.node.client()
        self.contents.check(self.client)
        self.contents.change(self.client)
        self.contents.check(self.client)

    def test_two_renamed_and_back(self):
        lost = sorted(self.random.sample(self.drives, 2))
        for drive in lost:
            self.take_away(drive)
        self.contents.check(self.client)
        self.contents.change(self.client)
        self.noticed(lost)
        self.contents.change(self.client)
        self.contents.check(self.client)
        for drive in lost:
            self.give_back(drive)
        self.noticed([])
        self.contents.check(self.client)
        self.contents.change(self.client)
        self.contents.check(self.client)

    def test_three_renamed_and_one_back(self):
        lost = self.random.sample(self.drives, 3)
        for drive in lost:
            self.take_away(drive)
            counts = self.contents.check_never_wrong(self.client)
            print(f"after {drive.name}: {counts}", flush=True)
        self.noticed(lost)
        self.all_fail()
        self.node.assert_alive()
        self.give_back(lost[0])
        self.noticed(lost[1:])
        self.contents.check(self.client)
        self.contents.change(self.client)
        self.contents.check(self.client)
        for drive in lost[1:]:
            self.give_back(drive)
        self.noticed([])
        for key in self.contents.doubtful:  # all drives answer: nothing stays in doubt, and it is whole or not there
            self.assertIsNotNone(self.contents.values.get(self.client, BUCKET, key), f"{key} stays in doubt")
        self.contents.check(self.client)

    def test_stale_drives_are_not_believed(self):
        """What two drives missed is not undone when two of those that know it go away: the new value or an error, never the old one."""
        drives = self.random.sample(self.drives, 6)
        stale, others = drives[:2], drives[2:4]
        for drive in stale:
            self.take_away(drive)
        self.noticed(sorted(stale))
        for key in list(self.contents.holds):
            if self.random.random() < 0.5:
                self.contents.delete(self.client, key)
            else:
                self.contents.put(self.client, key, self.random.choice((100, 70_000, 2 * MIB)))
        for drive in stale:
            self.give_back(drive)
        self.noticed([])
        for drive in others:
            self.take_away(drive)
        self.noticed(sorted(others))
        print(self.contents.check_never_wrong(self.client), flush=True)
        self.node.kill()  # nor after a restart, when nothing is remembered in memory
        self.node.launch()
        until(lambda: self.node.health("live")[0] == 200, 20, "the server answers")
        self.client = self.node.client()
        print(self.contents.check_never_wrong(self.client), flush=True)
        for drive in others:
            self.give_back(drive)
        self.noticed([])
        self.contents.check(self.client)
        self.contents.change(self.client)
        self.contents.check(self.client)

    def all_fail(self) -> None:
        """Reads of data and writes answer 503 in time; what the index alone can answer may still be answered."""
        client = self.client
        some = [key for key, value in self.contents.holds.items() if value != ABSENT and value.size > 0]
        small, large = "small/19", next(key for key in some if self.contents.holds[key].size > MIB)
        for what, request in (
                ("GET small", lambda: client.get(BUCKET, small)),
                ("GET large", lambda: client.get(BUCKET, large)),
                ("PUT small", lambda: self.contents.values.put(client, BUCKET, "lost/small", 5000)[1]),
                ("PUT large", lambda: self.contents.values.put(client, BUCKET, "lost/large", 3 * MIB)[1]),
                ("DELETE", lambda: client.delete(BUCKET, small)),
                ("CreateMultipartUpload", lambda: client.create_upload(BUCKET, "lost/multipart")),
                ("CreateBucket", lambda: client.request("PUT", "another-bucket"))):
            started = time.monotonic()
            answer = request()
            self.assertLess(time.monotonic() - started, 3 * REQUEST_TIMEOUT_S, what)
            self.assertEqual((answer.status, answer.code in ("SlowDown", "ServiceUnavailable")), (503, True),
                             f"{what}: {answer.brief()}")
        for what, request in (("HEAD", lambda: client.head(BUCKET, large)),
                              ("LIST", lambda: client.request("GET", BUCKET, query={"list-type": 2}))):
            self.assertIn(request().status, (200, 503), what)
        for key in (small, "lost/small", "lost/large"):
            self.contents.is_doubtful(key)


if __name__ == "__main__":
    main()
