"""Parts of a training, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from hwloop.steps.network.training.hardware_aware.settings import DescentSettings


@dataclass(frozen=True)
class Stage:
    """Part of a training: its epochs, the fraction pruned, and what the forward pass sees.

    ``folded``: weights with the normalisations folded into them, on levels where they are asked.
    ``on_tiles``: sums as tiles with converters and wires answer them.
    """

    epochs: int
    pruned: float = 0.0
    folded: bool = False
    on_tiles: bool = False


def stages(settings: DescentSettings) -> tuple[Stage, ...]:
    """Return the parts of the training in order: plain, pruning steps, levels, tiles."""
    found = [Stage(settings.epochs)] if settings.epochs else []
    pruning = settings.pruning
    if pruning is not None:
        found += [Stage(pruning.epochs, fraction) for fraction in pruning.fractions()]
    fraction = pruning.fraction if pruning is not None else 0.0
    if settings.quantisation is not None:
        found.append(Stage(settings.quantisation.epochs, fraction, folded=True))
    if settings.tiles is not None:
        found.append(Stage(settings.tiles.epochs, fraction, folded=True, on_tiles=True))
    return tuple(found)
