"""What ``hwloop calibrate`` is told, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hwloop.errors import ConfigError
from hwloop.settings.yaml import parse_yaml

if TYPE_CHECKING:
    from hwloop_sim.calibrate.operations.calibration import OperationCalibration
    from hwloop_sim.calibrate.rank import Candidate
    from hwloop_sim.calibrate.run import Calibration, Found


def held(options: Sequence[str]) -> dict[str, Any]:
    """The settings of ``--fix NAME=VALUE``, values as YAML."""
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
    """One line a model, the best first; then the reasons of those that were not fitted."""
    yield "error of the held-out part, over the range measured:"
    for one in ranked:
        if one.found is None:
            yield f"  {one.model:18} -        {one.reason}"
        elif one.error is None:
            yield f"  {one.model:18} unknown  half of the data does not determine it"
        else:
            yield f"  {one.model:18} {one.error:.2%}"


def lines(found: Found) -> Iterator[str]:
    """Parameters with uncertainty, goodness, validity, and what was held out."""
    from hwloop_sim.calibrate.one_transistor.calibrate import SweepCalibration
    from hwloop_sim.calibrate.run import Calibration
    from hwloop_sim.calibrate.trains.pulse_table import TableCalibration

    if isinstance(found, SweepCalibration | TableCalibration):
        return found.lines()
    return _of_trains(found) if isinstance(found, Calibration) else _of_operations(found)


def _of_operations(found: OperationCalibration) -> Iterator[str]:
    low_conductance_s, high_conductance_s = found.span_conductance_s
    cells = sum(len(one.names) for one in found.histories)
    yield f"{found.model}: {found.goodness['reads']:.0f} reads of {cells} cells"
    sigmas = found.sigmas()
    for name, error in found.uncertainty.items():
        spread = f"; spread over cells {sigmas[name][0]:.3f}" if name in sigmas else ""
        yield f"  {name:34} {found.parameters[name]:.5g} ± {error:.2g}{spread}"
    for name, figure in found.goodness.items():
        yield f"  {name:34} {figure:.4g}"
    for effect in found.effects:
        settings = ", ".join(
            f"{name} {value:.4g}"
            + (f" ± {effect.uncertainty[name]:.2g}" if name in effect.uncertainty else "")
            for name, value in effect.settings.items()
            if name != "effect"
        )
        yield f"effect {effect.settings['effect']}: {settings}; {effect.source}"
    pulses = found.pulses()
    volts = sorted(one["amplitude_v"] for one in pulses)
    widths_s = sorted(one["width_s"] for one in pulses)
    yield (
        f"valid from {low_conductance_s:.4g} to {high_conductance_s:.4g} S, pulses from"
        f" {volts[0]:g} to {volts[-1]:g} V,"
        f" {widths_s[0]:g} to {widths_s[-1]:g} s; beyond it the model extrapolates"
    )
    yield from found.remarks()
    if found.held_out is not None:
        seen = found.held_out
        yield f"held out, {seen.of}: {seen.reads} reads, error {seen.error:.2%} of the range"


def _of_trains(found: Calibration) -> Iterator[str]:
    low_conductance_s, high_conductance_s = found.data.span_conductance_s
    yield f"{found.model}, fitted to"
    for one in found.data.directions:
        yield (
            f"{len(one.trains)} trains of {one.amplitude_v:g} V, {one.width_s:g} s, which"
            f" {'raise' if one.rises else 'lower'} the conductance"
        )
    for name, value in found.fit.settings.items():
        if isinstance(value, int | float):
            error = found.fit.uncertainty.get(name)
            yield f"  {name:34} {value:.5g}" + ("" if error is None else f" ± {error:.2g}")
    if noise_conductance_s := found.fit.read_noise_conductance_s:
        error = found.fit.uncertainty.get("read_noise_conductance_s")
        yield f"  {'read_noise_conductance_s':34} {noise_conductance_s:.5g}" + (
            "" if error is None else f" ± {error:.2g}"
        )
    for name, figure in found.fit.goodness.items():
        yield f"  {name:34} {figure:.4g}"
    yield f"valid from {low_conductance_s:.4g} to {high_conductance_s:.4g} S, for these pulses only"
    yield from found.fit.words
    for seen in found.predictions:
        yield (
            f"held out, {seen.direction.amplitude_v:g} V: mean path within the measured spread at"
            f" {seen.mean_within_spread:.0%} of the pulses"
        )
        for name, of in (("final conductance", seen.final), ("step", seen.step)):
            figures = of.figures()
            yield (
                f"  {name:18} KS {figures['ks_model']:.3f}; the other half"
                f" {figures['ks_other_half']:.3f}; equal distributions"
                f" {figures['ks_expected']:.3f}, 95 % below {figures['ks_95']:.3f}"
            )
