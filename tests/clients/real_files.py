"""A tree of real files of this machine (documentation and headers), for clients that move trees."""

import shutil
from pathlib import Path


def copy_tree(into: Path, files: int, max_bytes: int = 200 << 20) -> int:
    """Copies regular files of /usr/share/doc and /usr/include with their folders, until there are `files` of them; gives their number."""
    copied = total = 0
    for root in (Path("/usr/include"), Path("/usr/share/doc"), Path("/usr/lib/python3")):
        for path in sorted(root.rglob("*")):
            if copied == files:
                return copied
            if path.is_symlink() or not path.is_file():
                continue
            size = path.stat().st_size
            if total + size > max_bytes:
                continue
            target = into / path.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            copied += 1
            total += size
    return copied
