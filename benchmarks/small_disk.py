"""A disk of a few megabytes that can be filled; needs the right to mount."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from hwloop.errors import BackendError

SIZE = "16m"


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small disk at a folder that is made for it, while the block lasts."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder)]
    unmount = ["umount", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackendError(f"a disk that can be full needs the right to mount: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(unmount, check=True)


def fill(folder: Path) -> None:
    """Take all the room that is left."""
    with contextlib.suppress(OSError), (folder / "filler").open("wb") as stream:
        while True:
            stream.write(bytes(1 << 16))
            stream.flush()
