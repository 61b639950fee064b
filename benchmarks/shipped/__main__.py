"""Command ``python -m benchmarks.shipped ../shared/data``: write the files, then the table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.shipped import truth
from benchmarks.shipped.files import make
from hwloop.errors import ConfigError


def main(
    folder: Path,
    only: Annotated[list[str] | None, typer.Option(help="Make this one; may be repeated.")] = None,
) -> None:
    """Fit the calibrations that ship to the data in ``folder``, and write the table of figures."""
    try:
        for path in make(folder, only or ()):
            print(path.name, flush=True)
    except ConfigError as exc:
        raise typer.BadParameter(str(exc), param_hint="--only") from None
    truth.write()


if __name__ == "__main__":
    typer.run(main)
