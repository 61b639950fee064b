"""Options and output of ``hwloop calibrate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hwloop.errors import ConfigError
from hwloop.settings.yaml import parse_yaml

if TYPE_CHECKING:
    from hwloop_sim.calibrate.method import FittedCalibration
    from hwloop_sim.calibrate.rank import Candidate


def held(options: Sequence[str]) -> dict[str, Any]:
    """Parse the settings of ``--fix NAME=VALUE``; the values are YAML.

    Raises :class:`ConfigError` with the option if it is not of that form.
    """
    found: dict[str, Any] = {}
    for option in options:
        name, sign, value = option.partition("=")
        if not (name and sign and value):
            raise ConfigError(f"{option!r}: expected NAME=VALUE", key="fix")
        try:
            found[name] = parse_yaml(value)
        except ConfigError as exc:
            raise ConfigError(f"{option!r}: {exc}", key="fix") from None
    return found


def table(ranked: Sequence[Candidate]) -> Iterator[str]:
    """Yield one line per model, the best first, with the reason if it was not fitted."""
    yield "error of the held-out part, over the range measured:"
    for one in ranked:
        if one.found is None:
            yield f"  {one.model:18} -        {one.reason}"
        elif one.error is None:
            yield f"  {one.model:18} unknown  half of the data does not determine it"
        else:
            look = "" if one.found.final else "   a first look: part of the data, or ended early"
            yield f"  {one.model:18} {one.error:.2%}{look}"


def told(one: Candidate, left_s: float) -> str:
    """Return the line on a model that was just tried, with the time that is left."""
    left = f"; at most {left_s:.0f} s left" if left_s < float("inf") else ""
    if one.found is None:
        return f"{one.model}: left out: {one.reason}{left}"
    error = "nothing to compare with" if one.error is None else f"error {one.error:.2%}"
    look = "" if one.found.final else ", a first look"
    return f"{one.model}: {error}{look}{left}"


def advice(cells: int, cell: int | None) -> list[str]:
    """Return what to know before a fit of several cells begins."""
    if cells < 2 or cell is not None:
        return []
    return [
        f"{cells} cells: step_response and soft_bounds are fitted with the spread between them,"
        f" other models share their parameters; --cell N, 0 to {cells - 1}, takes one, --spread"
        " fits each"
    ]


def offer(best: FittedCalibration, files: Sequence[str], out: str) -> Iterator[str]:
    """Yield what a search that was stopped has found so far, and how to have it written."""
    values = {
        name: value
        for name, value in best.findings().get("parameters", {}).items()
        if isinstance(value, float)
    }
    yield f"stopped: nothing was written; best so far, {best.model}:"
    for name, value in values.items():
        yield f"  {name:34} {value:.5g}"
    yield (
        "to write the best of a time that you choose: hwloop calibrate"
        f" {' '.join(files)} --model {best.model} --seconds 20 -o {out}"
    )
