"""A Docker engine for the tests: one of their own in namespaces of its own, or the one that is there; and images from Debian's packages.

The own engine is Debian's dockerd (package docker.io) under netns.isolate(): it has no way to the outside and touches nothing of the
machine's network, firewall or images; when the test ends, however it ends, the kernel ends its containers with it. So whatever images
need is in the base image, which mmdebstrap makes before.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("OSTRAKA_BINARY", SOURCE / "build/release/bin/ostraka")).resolve()
CACHE = SOURCE / "build/compose"
COMPILE = bool(os.environ.get("OSTRAKA_COMPILE"))  # the image's own compiler, as for people, which takes its time
SKIPPED = 77  # tests/compose/CMakeLists.txt
SEARCH_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
BASE_IMAGE, ETCD_IMAGE = "ostraka-test-base:local", "ostraka-test-etcd:local"


def skip(reason: str) -> None:
    print(f"skipped: {reason}", flush=True)
    sys.exit(SKIPPED)


def have(program: str) -> bool:
    return shutil.which(program, path=SEARCH_PATH) is not None


def run(*command: str, check: bool = True, timeout_s: float = 600, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done


def wait_for(what: Callable[[], object], description: str, seconds: float, every_s: float = 0.5) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:.0f} s still not: {description}")
        time.sleep(every_s)


def own_engine_is_possible() -> bool:
    return all(have(program) for program in ("dockerd", "containerd", "iptables", "docker"))


def engine_answers() -> bool:
    return have("docker") and run("docker", "info", check=False).returncode == 0


def packages(*groups: str) -> list[str]:
    words = " ".join(f'"${{{group}_packages[@]}}"' for group in groups)
    return run("bash", "-c", f'. "$0" && echo {words}', str(SOURCE / "scripts/packages.sh")).stdout.split()


def make_base() -> Path:
    """A Debian 12 with all that the images install, as a tar file; kept in build/, and made anew when the packages change."""
    wanted = sorted({*packages("runtime", "balancer", *(["build"] if COMPILE else [])), "etcd-server", "etcd-client", "passwd"})
    archive, list_of = CACHE / "base.tar", CACHE / "base.packages"
    if archive.exists() and list_of.exists() and list_of.read_text() == "\n".join(wanted):
        return archive
    if not have("mmdebstrap"):
        skip("the Debian package mmdebstrap is not here")
    CACHE.mkdir(parents=True, exist_ok=True)
    run("mmdebstrap", "--variant=minbase", f"--include={','.join(wanted)}", "bookworm", str(archive),
        env=os.environ | {"PATH": SEARCH_PATH}, timeout_s=1200)
    list_of.write_text("\n".join(wanted))
    return archive


class OwnEngine:
    """Inside netns.isolate()."""

    def __init__(self, folder: Path):
        self.log = folder / "dockerd.log"
        host = f"unix://{folder}/docker.sock"
        os.environ["DOCKER_HOST"] = host
        os.environ["PATH"] = SEARCH_PATH
        self.groups = f"ostraka-{folder.name}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--host", host, "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"),
                 "--pidfile", str(folder / "dockerd.pid"), "--cgroup-parent", self.groups], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(lambda: engine_answers() or self.process.poll() is not None, "dockerd answers", 60)
            assert self.process.poll() is None
        except AssertionError:
            print(self.log.read_text(errors="replace")[-4000:])
            raise

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        for left in sorted(Path("/sys/fs/cgroup").glob(f"**/{self.groups}")):  # what the kernel does not take away by itself
            left.rmdir()


def make_context(folder: Path) -> Path:
    """What the images are built from. Unless OSTRAKA_COMPILE is set, the stage that compiles takes the binary that is there."""
    if COMPILE:
        return SOURCE
    text, count = re.subn(r"(?<=^FROM \$\{BASE_IMAGE\} AS source\n).*?(?=^FROM )", "COPY ostraka /out/ostraka\n\n",
                          (SOURCE / "Dockerfile").read_text(), flags=re.DOTALL | re.MULTILINE)
    assert count == 1, "the Dockerfile has no stage that compiles"
    context = folder / "context"
    (context / "scripts").mkdir(parents=True)
    (context / "Dockerfile").write_text(text)
    shutil.copy(SOURCE / "docker-compose.yml", context)
    shutil.copy(SOURCE / "scripts/packages.sh", context / "scripts")
    shutil.copytree(SOURCE / "deploy", context / "deploy")
    run("strip", "-o", str(context / "ostraka"), str(BINARY))
    return context


class Project:
    """docker-compose.yml with images from Debian's packages, on the engine that DOCKER_HOST names."""

    def __init__(self, folder: Path, base: Path, environment: dict[str, str]):
        self.name = f"ostraka-test-{os.getpid()}"
        self.context = make_context(folder)
        self.environment = os.environ | {"BASE_IMAGE": BASE_IMAGE, "ETCD_IMAGE": ETCD_IMAGE, "COMPOSE_PROJECT_NAME": self.name,
                                         "DOCKER_BUILDKIT": "0"} | environment
        run("docker", "import", str(base), BASE_IMAGE)
        run("docker", "build", "--quiet", "--build-arg", f"BASE_IMAGE={BASE_IMAGE}", "--tag", ETCD_IMAGE,
            "--file", str(Path(__file__).with_name("etcd.Dockerfile")), str(folder / "empty"), env=self.environment)

    def compose(self, *words: str, check: bool = True, timeout_s: float = 3600) -> subprocess.CompletedProcess:
        return run("docker-compose", *words, check=check, timeout_s=timeout_s, cwd=self.context, env=self.environment)

    def state(self, service: str) -> dict:
        found = run("docker", "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.name}",
                    "--filter", f"label=com.docker.compose.service={service}").stdout.split()
        return json.loads(run("docker", "inspect", found[0]).stdout)[0] if found else {}

    def healthy(self, service: str) -> bool:
        return self.state(service).get("State", {}).get("Health", {}).get("Status") == "healthy"

    def log_tail(self) -> str:
        return self.compose("logs", "--no-color", "--tail=40", check=False).stdout

    def close(self) -> None:
        self.compose("down", "--volumes", "--timeout=1", check=False)
