"""The status page in headless Chromium: what it says when all is well, when a drive goes missing, and when the server goes away."""

import json
import shutil
import subprocess
import tempfile
import time
import urllib.request

from server import ServerTest, free_ports, main

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1200,900"]


class Browser:
    """Just enough of the WebDriver protocol (W3C) over chromedriver."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="ostraka-chromium-")
        (port,) = free_ports(1)
        self.base = f"http://127.0.0.1:{port}"
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_for_driver()
        options = {"binary": "/usr/bin/chromium", "args": [*FLAGS, f"--user-data-dir={self.profile}"]}
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/session/" + session["sessionId"]

    def wait_for_driver(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                self.call("GET", "/status")
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("chromedriver did not start")

    def call(self, method: str, path: str, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())["value"]

    def open(self, url: str):
        self.call("POST", self.session + "/url", {"url": url})

    def script(self, text: str):
        return self.call("POST", self.session + "/execute/sync", {"script": text, "args": []})

    def text(self, selector: str) -> str:
        return self.script(f"return document.querySelector({json.dumps(selector)}).innerText")

    def console_messages(self) -> list[str]:
        return [entry["message"] for entry in self.call("POST", self.session + "/se/log", {"type": "browser"})]

    def close(self):
        try:
            self.call("DELETE", self.session)
        except (OSError, AttributeError):
            pass
        self.driver.terminate()
        self.driver.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


class StatusPageTest(ServerTest):
    def setUp(self):
        self.browser = Browser()
        self.addCleanup(self.browser.close)
        self.browser.open(f"http://127.0.0.1:{self.server.console_port}/")

    def wait_text(self, selector: str, expected: str):
        self.server.wait_for(lambda: expected in self.browser.text(selector), f"{expected!r} in {selector}")

    def test_the_life_of_a_store(self):
        self.wait_text("#health", "All 6 drives are online")
        self.assertEqual(self.browser.text("#drives-online"), "6 of 6")
        self.assertEqual(self.browser.script("return document.querySelectorAll('#drives .state:not(.missing)').length"), 6)
        self.assertIn("4+2", self.browser.text("#facts"))
        self.assertRegex(self.browser.text("#capacity"), r"\d+(\.\d+)? [KMGTP]iB")
        self.assertRegex(self.browser.text("#memory"), r"MiB")

        s3 = self.server.boto3_client()
        s3.create_bucket(Bucket="page")
        for i in range(20):
            s3.put_object(Bucket="page", Key=str(i), Body=b"x" * 100_000)
        self.server.wait_for(lambda: "B/s" in self.browser.text("#received"), "a throughput")
        self.server.wait_for(lambda: int(self.browser.text("#requests-total").split(";")[1].split()[0].replace(",", "")) >= 21,
                             "the requests counted")

        lost = self.server.drives[2]
        lost.rename(lost.with_name("elsewhere"))
        lost.mkdir()
        (lost / "not-a-drive").touch()  # an empty folder, or none, would become a new drive within seconds
        self.wait_text("#health", "1 of 6 drives is missing")
        self.assertIn(str(lost), self.browser.text("#health"))
        self.assertEqual(self.browser.script("return document.querySelectorAll('#drives .state.missing').length"), 1)
        (lost / "not-a-drive").unlink()
        lost.rmdir()
        lost.with_name("elsewhere").rename(lost)
        self.wait_text("#health", "All 6 drives are online")
        self.assertEqual(self.browser.console_messages(), [], "the page breaks no rule of its own policy")

    def test_it_fits_a_small_screen_and_says_when_the_server_is_away(self):
        self.wait_text("#health", "drives are online")
        self.browser.call("POST", self.browser.session + "/window/rect", {"width": 420, "height": 800})
        self.assertLessEqual(self.browser.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth"), 0)
        self.server.kill()
        self.wait_text("#health", "cannot reach the server")
        self.server.start()
        self.wait_text("#health", "drives are online")


if __name__ == "__main__":
    main()
