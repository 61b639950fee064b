"""Settings of the effect ``short_term`` from records of relaxation and of paired pulses.

``relaxation_after`` with one pulse gives τ, β and the volatile share v = A/(A + G∞ − G₀) of each
cell. ``paired_pulse`` gives the consolidation κ: with s₁ and s₂ the lasting changes by one pulse
and by a pair, s₂ − 2 s₁ = κ · v ΔG · exp(−((Δ + w)/τ)^β), w the width; and v ΔG from the response
to the single pulse, of which v ΔG · exp(−(t/τ)^β) is left when it is read, t after the pulse.
Without a record of relaxation τ is that of the facilitation, with β = 1. The steps are taken as
equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.record.reader import Record
from hwloop.types import FloatArray
from hwloop_sim.calibrate.operations.found_effect import SURE, FoundEffect


@dataclass(frozen=True)
class Estimate:
    """A value and its standard error."""

    value: float
    error: float

    @classmethod
    def over_cells(cls, values: FloatArray, errors: FloatArray | None = None) -> Estimate | None:
        """Return the mean over the cells; None with fewer than two.

        Its error is that of the scatter over the cells, or of their own ``errors`` if these are
        larger.
        """
        known = np.isfinite(values)
        count = int(known.sum())
        if count < 2:
            return None
        variance = float(values[known].var(ddof=1))
        if errors is not None:
            variance = max(variance, float(np.mean(np.square(errors[known]))))
        return cls(float(values[known].mean()), float(np.sqrt(variance / count)))


def short_term_of(records: Sequence[Record]) -> Iterator[FoundEffect]:
    """Yield the effect, if a record of relaxation or of paired pulses determines it.

    The first of each kind counts.
    """
    relaxed = _first(records, "relaxation_after")
    paired = _first(records, "paired_pulse")
    found: dict[str, Estimate | None] = {}
    if relaxed is not None:
        found |= _relaxation(*relaxed)
    if paired is not None:
        if found.get("tau_s") is None:
            figures = paired[0].results(paired[1], "figures")
            found["tau_s"] = Estimate.over_cells(
                figures["tau_s"].ravel(), figures["tau_error_s"].ravel()
            )
        tau, beta = found["tau_s"], found.get("beta")
        if tau is not None:
            of_pairs = _pairs(*paired, tau_s=tau.value, beta=1.0 if beta is None else beta.value)
            found |= {name: one for name, one in of_pairs.items() if found.get(name) is None}
    known = {name: one for name, one in found.items() if one is not None}
    volatile = known.get("volatile")
    if "tau_s" not in known or volatile is None or volatile.value < SURE * volatile.error:
        return
    for name, default in (("beta", 1.0), ("consolidation", 0.0)):
        if name in known and abs(known[name].value - default) < SURE * known[name].error:
            del known[name]
    known["volatile"] = Estimate(min(volatile.value, 1.0), volatile.error)
    sources = [f"{one[0].path.name}, {one[1]}" for one in (relaxed, paired) if one is not None]
    yield FoundEffect(
        {"effect": "short_term", **{name: one.value for name, one in known.items()}},
        {name: one.error for name, one in known.items()},
        "; ".join(sources),
    )


def _first(records: Sequence[Record], step: str) -> tuple[Record, str, dict[str, Any]] | None:
    """Return the first finished step of a kind: its record, label and settings."""
    for record in records:
        for entry in record.resolved["steps"]:
            label = entry["label"]
            if entry["step"] == step and "figures" in record.tables(label):
                return record, label, entry["settings"]
    return None


def _relaxation(record: Record, label: str, settings: dict[str, Any]) -> dict[str, Estimate | None]:
    figures = {name: one.ravel() for name, one in record.results(label, "figures").items()}
    found = {
        "tau_s": Estimate.over_cells(figures["tau_s"], figures["tau_error_s"]),
        "beta": Estimate.over_cells(figures["beta"], figures["beta_error"]),
    }
    if settings["count"] == 1:
        decay = figures["decay_conductance_s"]
        step = decay + figures["settled_conductance_s"] - figures["before_conductance_s"]
        share = np.divide(decay, step, out=np.full(step.shape, np.nan), where=step != 0)
        own = np.abs(figures["decay_error_conductance_s"] / np.where(step != 0, step, np.nan))
        found["volatile"] = Estimate.over_cells(share, own)
    return found


def _pairs(
    record: Record, label: str, settings: dict[str, Any], *, tau_s: float, beta: float
) -> dict[str, Estimate | None]:
    """Return the volatile share and the consolidation, the means over trials and cells."""
    rows = record.results(label)
    states = {
        name: rows[f"{name}_conductance_s"].reshape(len(rows["interval_s"]), -1)
        for name in ("before", "single", "between", "settled")
    }
    once = states["between"] - states["before"]
    twice = states["settled"] - states["between"]
    read = _left(rows["read_after_s"], tau_s, beta)[:, None]
    volatile = (states["single"] - states["between"]) / read
    at_second = _left(rows["interval_s"] + settings["pulse"]["width_s"], tau_s, beta)[:, None]
    # Sums over the trials first: a single trial may be all noise.
    volatile_sum = np.nansum(volatile, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = volatile_sum / (volatile_sum + np.nansum(once, axis=0))
        consolidation = np.nansum((twice - 2 * once) * at_second, axis=0) / np.nansum(
            np.square(at_second) * np.nanmean(volatile, axis=0), axis=0
        )
    return {
        "volatile": Estimate.over_cells(share),
        "consolidation": Estimate.over_cells(consolidation),
    }


def _left(time_s: FloatArray, tau_s: float, beta: float) -> FloatArray:
    return np.asarray(np.exp(-((time_s / tau_s) ** beta)), dtype=np.float64)
