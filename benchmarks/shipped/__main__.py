"""``python -m benchmarks.shipped ../shared/data``: the files, then the table."""

from __future__ import annotations

from pathlib import Path

import typer

from benchmarks.shipped import truth
from benchmarks.shipped.files import make


def main(folder: Path) -> None:
    """Fit the calibrations that ship to the data in ``folder``, and write the table of figures."""
    for path in make(folder):
        print(path.name, flush=True)
    truth.write()


if __name__ == "__main__":
    typer.run(main)
