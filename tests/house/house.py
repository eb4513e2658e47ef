#!/usr/bin/env python3
"""The house rules as a test: each check prints every violation as file:line and what to do instead.

Usage: house.py CHECK [--root DIR]   with CHECK one of the names in CHECKS below, or `all`.
Exit status 0: the rule holds; 1: it does not; 2: the check could not run.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

# ARCHITECTURE.md, "Folders, lowest first": a file includes only its own folder and folders of a lower level.
LEVELS = {
    "base": 0,
    "runtime": 1,
    "control": 2,
    "net": 2,
    "disk": 3,
    "iam": 3,
    "erasure": 4,
    "cluster": 4,
    "object": 5,
    "s3api": 6,
    "admin": 6,
    "cmd": 7,
}
# Folders of C++ beside the layers: they may include anything, and may not be included by a layer.
OUTSIDE = ("tests", "bench")
NEEDS_README = (*LEVELS, "tests", "bench", "scripts", "docs")
MAX_LINES = 600

RUNTIME = ("runtime",)
# (pattern, folders where it may stand, what to use instead). Comments and literals are blanked first.
BANNED = [
    (r"\bstd::j?thread\b", RUNTIME, "Shard, ShardPool or WorkerPool of runtime/"),
    (r"\bstd::async\b", RUNTIME, "Gate::spawn of runtime/"),
    (r"\bthis_thread::sleep_(for|until)\b|\b(usleep|nanosleep)\s*\(", RUNTIME, "sleep_for(Clock&, Duration) of runtime/clock.h"),
    (r"\b(steady_clock|system_clock|high_resolution_clock)::now\b", RUNTIME, "the Clock that was passed in (runtime/clock.h)"),
    (r"\b(clock_gettime|gettimeofday)\s*\(|(?<![\w.>])(::|std::)time\s*\(", RUNTIME, "the Clock that was passed in (runtime/clock.h)"),
    (r"(?<![\w>])::open(at)?\s*\(|\bopen(at)?\s*\([^()]*\bO_(RDONLY|WRONLY|RDWR|CREAT)\b", RUNTIME, "Fs::open (runtime/fs.h)"),
    (r"\bfopen\s*\(", RUNTIME, "Fs::open (runtime/fs.h)"),
    (r"\bstd::(basic_)?[io]?fstream\b", RUNTIME, "Fs::read_file or Fs::write_file (runtime/fs.h)"),
    (r"\bstd::filesystem\b", RUNTIME, "Fs (runtime/fs.h)"),
    (r"\brandom_device\b|(?<![\w.>:])s?rand(om)?\s*\(|\bgetrandom\s*\(|\bmt19937", RUNTIME, "the Random that was passed in (runtime/random.h)"),
    (r"\bRAND_bytes\s*\(", RUNTIME, "the Random that was passed in (runtime/random.h)"),
]
# Nowhere, tests included.
BANNED_EVERYWHERE = [
    (r"\basio::detached\b", "Gate::spawn (runtime/gate.h): every spawned task has an owner that waits"),
    (r"(?<![\w.>:])using\s+namespace\s+(std|boost)\s*;", "the names you need"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
COMMENT_OR_LITERAL = re.compile(
    r'R"(?P<tag>[^()\\ ]{0,16})\(.*?\)(?P=tag)"'  # raw string
    r"|//(?:\\\n|[^\n])*|/\*.*?\*/"  # comments
    r'|"(?:\\.|[^"\\\n])*"'  # string
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",  # character, but not a digit separator
    re.DOTALL,
)


def blank_comments_and_literals(text: str) -> str:
    """The same text with comments and literals replaced by blanks, newlines kept, so that line numbers stay."""
    return COMMENT_OR_LITERAL.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


class House:
    def __init__(self, root: Path):
        self.root = root

    def sources(self, folders) -> list[Path]:
        found = []
        for folder in folders:
            for suffix in ("*.cc", "*.h"):
                found += (self.root / folder).rglob(suffix)
        return sorted(found)

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def layers(self) -> list[str]:
        bad = []
        for path in self.sources(LEVELS):
            own = path.relative_to(self.root).parts[0]
            text = path.read_text(encoding="utf-8")
            for match in INCLUDE.finditer(text):
                target = match.group(1).split("/")[0]
                where = f"{self.name(path)}:{line_of(text, match.start(1))}"
                if "/" not in match.group(1):
                    bad.append(f'{where}: "{match.group(1)}": write project includes as "folder/file.h", others in <>')
                elif target in OUTSIDE:
                    bad.append(f'{where}: "{match.group(1)}": {own}/ may not depend on {target}/')
                elif target in LEVELS and target != own and LEVELS[target] >= LEVELS[own]:
                    bad.append(
                        f'{where}: "{match.group(1)}": {own}/ is level {LEVELS[own]} and may include only levels below it;'
                        f" {target}/ is level {LEVELS[target]}"
                    )
        return bad

    def banned_calls(self) -> list[str]:
        bad = []
        for path in self.sources((*LEVELS, *OUTSIDE)):
            own = path.relative_to(self.root).parts[0]
            text = blank_comments_and_literals(path.read_text(encoding="utf-8"))
            rules = [(pattern, instead) for pattern, instead in BANNED_EVERYWHERE]
            if own in LEVELS:
                rules += [(pattern, instead) for pattern, folders, instead in BANNED if own not in folders]
            for pattern, instead in rules:
                for match in re.finditer(pattern, text):
                    where = f"{self.name(path)}:{line_of(text, match.start())}"
                    bad.append(f"{where}: `{match.group().strip()}` is not used here; use {instead}")
        return bad

    def readmes(self) -> list[str]:
        bad = [f"{folder}/: has no README.md (purpose, key types, where to look)" for folder in NEEDS_README
               if (self.root / folder).is_dir() and not (self.root / folder / "README.md").is_file()]
        for path in self.tracked():
            for part in path.parent.parts:
                if part in ("utils", "util", "helpers", "common", "misc"):
                    bad.append(f"{path.as_posix()}: a folder named {part} says nothing; name it by its subject")
        return bad

    def file_sizes(self) -> list[str]:
        bad = []
        for path in self.tracked():
            if path.suffix not in (".cc", ".h", ".py", ".sh", ".ts", ".tsx"):
                continue
            lines = len((self.root / path).read_bytes().splitlines())
            if lines >= MAX_LINES:
                bad.append(f"{path.as_posix()}: {lines} lines; a file of {MAX_LINES} or more has two subjects: split it")
        return bad

    def format(self) -> list[str]:
        tool = shutil.which("clang-format-19")
        if tool is None:
            raise RuntimeError("clang-format-19 is not installed (scripts/test.sh installs it)")
        files = [str(path) for path in self.sources((*LEVELS, *OUTSIDE))]
        out = subprocess.run([tool, "--dry-run", *files], cwd=self.root, capture_output=True, text=True, check=False)
        names = sorted({line.split(":")[0] for line in out.stderr.splitlines() if "-Wclang-format-violations" in line})
        return [f"{self.name(Path(name))}: not formatted; run clang-format-19 -i on it" for name in names]

    def tracked(self) -> list[Path]:
        """Files under version control, or all files where there is no git."""
        out = subprocess.run(["git", "ls-files", "-z"], cwd=self.root, capture_output=True, text=True, check=False)
        if out.returncode == 0 and out.stdout:
            names = [Path(name) for name in out.stdout.split("\0") if name]
            return [name for name in names if (self.root / name).is_file()]
        return [path.relative_to(self.root) for path in self.root.rglob("*")
                if path.is_file() and path.relative_to(self.root).parts[0] not in ("build", ".git")]


CHECKS = {
    "layers": House.layers,
    "banned_calls": House.banned_calls,
    "readmes": House.readmes,
    "file_sizes": House.file_sizes,
    "format": House.format,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=[*CHECKS, "all"])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    args = parser.parse_args()
    house = House(args.root.resolve())
    failed = 0
    for name in CHECKS if args.check == "all" else [args.check]:
        try:
            bad = CHECKS[name](house)
        except RuntimeError as error:
            print(f"{name}: {error}")
            return 2
        for line in bad:
            print(line)
        print(f"{name}: " + (f"{len(bad)} violation(s)" if bad else "ok"))
        failed += len(bad)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
