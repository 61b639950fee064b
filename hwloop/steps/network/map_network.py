"""Mapping of a network to target conductances, placed on the array's tiles.

Nothing is done to the array: the step ``program_verify`` programs the ``target_conductance_s`` of
this step, and ``infer`` and ``multiply_test`` multiply with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeInt

from hwloop.array.conductance_bounds import refuse_outside
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import Description
from hwloop.errors import ConfigError, StepError
from hwloop.messages import nearest
from hwloop.settings.bulk import BulkFile
from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PositiveSiemens, Siemens, format_quantity
from hwloop.steps.array import Array
from hwloop.steps.contract import Foreseen, Plan, Step
from hwloop.steps.network.array_product import PlacedNetwork, with_tiles
from hwloop.steps.network.inference.forethought import (
    PlannedNetwork,
    UntrainedNetwork,
    planned_network,
)
from hwloop.steps.network.mapping.mapping import OwnOrArrayRange, WeightMap, map_weights
from hwloop.steps.network.mapping.occupation import (
    PlacementRow,
    TileRow,
    placement_row,
    tile_rows,
)
from hwloop.steps.network.mapping.placement import (
    Placement,
    around_faults,
    beside_faults,
    fault_cost,
    harm_left,
    place,
)
from hwloop.steps.network.network import (
    LayerSettings,
    Matrix,
    Network,
    build,
    with_input_limits,
)
from hwloop.steps.network.parts import Zeros, parts_of
from hwloop.steps.rows import Outcome, Row, Yield, blank_row, column
from hwloop.types import FloatArray


class StuckCell(Settings):
    """Cell that cannot be programmed, with its conductance ``at_conductance_s``."""

    tile: NonNegativeInt = 0
    row: NonNegativeInt
    col: NonNegativeInt
    at_conductance_s: Annotated[Siemens, Field(ge=0)]


class StuckFound(Settings):
    """Stuck cells as found by an earlier step of the run.

    ``label``, ``table``, ``column``: where their conductances are. A cell is stuck where its
    conductance is below ``low_conductance_s`` or above ``high_conductance_s``, or where ``mask``,
    another column of that table, is true; without a mask also where it could not be measured, which
    is taken as 0 S.
    """

    label: str
    table: str = ""
    column: str = "conductance_s"
    mask: str | None = None
    low_conductance_s: Annotated[Siemens, Field(ge=0)] | None = None
    high_conductance_s: PositiveSiemens | None = None


class MapNetworkSettings(Settings):
    """Settings of a mapping.

    ``weights`` and ``layers``: a network from a file; if left out, the one trained by an earlier
    step. ``mapping``: how weights become conductances. ``stuck``: stuck cells, listed or as found
    by an earlier step; rows and outputs are swapped to reduce their harm. They are left alone, and
    in a pair the other cell compensates them as far as ``array.range``, or else that of the
    mapping, allows. ``prune_below``: weights below this fraction of the layer's largest become 0; a
    bias does not. ``zeros``: whether weights of 0 have cells, which a step compensate_network can
    use: all of them, not whole rows and outputs, or none, for which outputs are placed in more
    blocks; whole rows and outputs of a ``kernel_element`` never do.
    ``input_scale``: the largest input of a layer at the read voltage; or ``memtorch``: a unit of
    input is 1 V, a sample beyond the read voltage is scaled to it, and nothing is scaled back.
    """

    weights: BulkFile | None = None
    layers: tuple[LayerSettings, ...] = ()
    mapping: OwnOrArrayRange = OwnOrArrayRange()
    stuck: tuple[StuckCell, ...] | StuckFound = ()
    prune_below: Annotated[Number, Field(gt=0, lt=1)] | None = None
    zeros: Zeros = "placed"
    input_scale: Literal["largest", "memtorch"] = "largest"


@dataclass(frozen=True, eq=False)
class TargetRow(Row):
    """Targets of all tiles, and the harm of stuck cells."""

    target_conductance_s: FloatArray = column(
        "S", "conductance wanted; NaN: leave alone; (..., rows, cols)"
    )
    stuck_conductance_s: FloatArray = column(
        "S", "of the cells that are taken as stuck; NaN elsewhere"
    )
    harm_before_conductance_s: float = column(
        "S", "sum of |target - stuck| over stuck cells, without swaps"
    )
    harm_conductance_s: float = column("S", "the same as placed")
    harm_left_conductance_s: float = column(
        "S", "sum of |weight as wanted - as held|, once the other cell of a pair makes up for it"
    )


@dataclass(frozen=True, eq=False)
class LayerRow(Row):
    """Size, blocks, clipping and error of the map of one layer."""

    table: ClassVar[str] = "layers"

    layer: int = column("1", "index of the layer among those with weights")
    rows: int = column("1", "rows of its matrix, with the bias")
    outputs: int = column("1", "outputs")
    blocks: int = column("1", "blocks that it stands in")
    cells: int = column("1", "cells that they take")
    zeros: int = column("1", "weights that are 0")
    left_out: int = column("1", "of these, how many have no cells")
    clipped: int = column("1", "weights that were clipped")
    largest_weight: float = column("1", "largest magnitude of a weight")
    slope_conductance_s: float = column("S", "least siemens of one unit of weight")
    rms_weight_error: float = column("1", "rms of weight as mapped - weight")


def run(settings: MapNetworkSettings, array: Array) -> Iterator[Yield]:
    """Map the weights, place them on the tiles, and leave the placed network.

    Raises :class:`StepError` where no network is given or trained; :class:`ConfigError` where it
    does not fit the tiles.
    """
    network = _pruned(_network(settings, array), settings.prune_below)
    columns = settings.mapping.within(array.settings.range)
    maps = tuple(map_weights(one.weights, columns) for one in network.matrices)
    plain = _placed(network, settings, array.settings)
    stuck_conductance_s = _stuck(settings, array)
    held = [one.conductance_s for one in maps]
    placement = around_faults(plain, held, stuck_conductance_s)
    span = array.settings.range
    span_conductance_s = (
        (columns.min_conductance_s, columns.max_conductance_s)
        if span is None
        else (span.low_conductance_s, span.high_conductance_s)
    )
    beside = beside_faults(placement, maps, stuck_conductance_s, span_conductance_s)
    placed = PlacedNetwork(network, beside, placement)
    if settings.input_scale == "memtorch":
        limited = with_input_limits(network, abs(array.settings.read.read_v))
        placed = replace(placed, driven=limited, unit_v=1.0)
    array.leave(placed)
    for index, mapped in enumerate(maps):
        yield _layer(placed, index, mapped)
    yield from tile_rows(placement)
    saved = placement_row(placement, network.sizes)
    yield saved
    row = TargetRow(
        target_conductance_s=for_array(
            np.where(np.isnan(stuck_conductance_s), placed.target_conductance_s, np.nan), array
        ),
        stuck_conductance_s=for_array(stuck_conductance_s, array),
        harm_before_conductance_s=fault_cost(plain.on_tiles(held), stuck_conductance_s),
        harm_conductance_s=fault_cost(placement.on_tiles(held), stuck_conductance_s),
        harm_left_conductance_s=harm_left(placement, maps, beside, stuck_conductance_s),
    )
    yield row
    yield Outcome(True, _summary(placed, stuck_conductance_s, row, saved))


def _placed(network: Network, settings: MapNetworkSettings, array: ArraySettings) -> Placement:
    return place(
        network.sizes,
        settings.mapping.arrangement,
        tiles=array.tiles,
        shape=array.geometry.shape,
        parts=[parts_of(one, zeros=settings.zeros) for one in network.matrices],
    )


def _layer(placed: PlacedNetwork, index: int, mapped: WeightMap) -> LayerRow:
    matrix = placed.network.matrices[index]
    blocks = placed.placement.of_layer(index)
    held = placed.placement.holds(index, placed.network.sizes[index])
    error = mapped.weights() - matrix.weights
    return LayerRow(
        layer=index,
        rows=matrix.weights.shape[0],
        outputs=matrix.weights.shape[1],
        blocks=len(blocks),
        cells=sum(block.cells for block in blocks),
        zeros=int((matrix.weights == 0).sum()),
        left_out=int((~held).sum()),
        clipped=mapped.clipped,
        largest_weight=float(np.abs(matrix.weights).max()),
        slope_conductance_s=float(mapped.slope_conductance_s.min()),
        rms_weight_error=float(np.sqrt(np.mean(np.square(error)))),
    )


def _summary(
    placed: PlacedNetwork, stuck_conductance_s: FloatArray, row: TargetRow, saved: PlacementRow
) -> str:
    summary = (
        f"{saved.weights} weights on {saved.cells} cells of {saved.tiles}"
        f" tile{'s' if saved.tiles > 1 else ''}"
    )
    if saved.weights_left_out:
        summary += (
            f"; {saved.weights_left_out} of them are 0 and have no cells: {saved.cells_saved} cells"
            f" and {saved.tiles_saved} tiles fewer than whole layers take"
        )
    if placed.unit_v is not None:
        summary += (
            "; inputs beyond read.read_v are scaled to it, and the outputs not back, as MemTorch"
            " does: what accuracy that costs is an artefact of the rule"
        )
    clipped = sum(one.clipped for one in placed.maps)
    if clipped:
        largest = max(one.largest_clipped for one in placed.maps)
        summary += f"; {clipped} weights clipped, the largest {largest:.3g}"
    if np.isfinite(stuck_conductance_s).any():
        summary += (
            f"; {int(np.isfinite(stuck_conductance_s).sum())} stuck cells: harm"
            f" {format_quantity(row.harm_left_conductance_s, 'S', digits=3)}; without the other"
            " cells of their"
            f" pairs {format_quantity(row.harm_conductance_s, 'S', digits=3)}, and without swaps"
            f" {format_quantity(row.harm_before_conductance_s, 'S', digits=3)}"
        )
    return summary


def _network(settings: MapNetworkSettings, array: Array) -> Network:
    if settings.weights is not None:
        try:
            return build(settings.layers, settings.weights.arrays())
        except ConfigError as exc:
            raise exc.below("map_network", file=str(settings.weights.file)) from None
    found = array.left(Network)
    if found is None:
        raise StepError("map_network: no weights are given, and no earlier step trained a network")
    return found


def _pruned(network: Network, below: float | None) -> Network:
    if below is None:
        return network

    def pruned(matrix: Matrix) -> Matrix:
        weights = matrix.weights[:-1] if matrix.bias else matrix.weights
        kept = np.where(np.abs(weights) < below * np.abs(weights).max(initial=0.0), 0.0, weights)
        return replace(matrix, weights=np.concatenate([kept, matrix.weights[len(weights) :]]))

    return replace(network, matrices=tuple(pruned(one) for one in network.matrices))


def _stuck(settings: MapNetworkSettings, array: Array) -> FloatArray:
    """Return conductances (tiles, rows, cols) of stuck cells, siemens; NaN elsewhere."""
    out = np.full((array.settings.tiles, *array.geometry.shape), np.nan)
    if isinstance(settings.stuck, StuckFound):
        return _found(settings.stuck, array)
    for cell in settings.stuck:
        place_ = (cell.tile, cell.row, cell.col)
        if any(index >= size for index, size in zip(place_, out.shape, strict=True)):
            raise ConfigError(f"tile, row, column {place_} is not among {out.shape}", key="stuck")
        out[place_] = cell.at_conductance_s
    return out


def _found(stuck: StuckFound, array: Array) -> FloatArray:
    name = "/".join(part for part in (stuck.label, stuck.table) if part)
    row = array.earlier.get(name)
    columns = row.columns() if row is not None else {}
    for wanted in (stuck.column, stuck.mask):
        if wanted is not None and wanted not in columns:
            known = nearest(name, array.earlier) if row is None else nearest(wanted, columns)
            raise StepError(f"stuck: earlier steps have no {name}: {wanted}{known}")
    found_conductance_s = with_tiles(np.asarray(columns[stuck.column], np.float64), array)
    mask = ~np.isfinite(found_conductance_s)
    if stuck.mask is not None:
        mask = with_tiles(np.asarray(columns[stuck.mask], np.bool_), array).copy()
    with np.errstate(invalid="ignore"):
        mask |= found_conductance_s < (
            0 if stuck.low_conductance_s is None else stuck.low_conductance_s
        )
        mask |= found_conductance_s > (
            np.inf if stuck.high_conductance_s is None else stuck.high_conductance_s
        )
    if found_conductance_s.ndim > 3:
        if int(np.prod(found_conductance_s.shape[:-3])) > 1:
            raise StepError(
                f"stuck: the {found_conductance_s.shape[0]} arrays of the population differ in"
                " their faults,"
                " and there is one placement for all: run one array, or list the cells"
            )
        found_conductance_s, mask = (
            found_conductance_s.reshape(found_conductance_s.shape[-3:]),
            mask.reshape(mask.shape[-3:]),
        )
    return np.where(mask, np.nan_to_num(found_conductance_s), np.nan)


@dataclass(frozen=True, eq=False)
class NextTargetsRow(Row):
    """Targets of the cells that a later step is to program next."""

    target_conductance_s: FloatArray = column(
        "S", "conductance wanted; NaN: leave alone; (..., rows, cols)"
    )


def for_array(tiles_conductance_s: FloatArray, array: Array) -> FloatArray:
    """Return values (tiles, rows, cols) in the array's own shape (..., rows, cols)."""
    of_one = tiles_conductance_s[0] if array.settings.tiles == 1 else tiles_conductance_s
    return np.array(np.broadcast_to(of_one, array.backend.description.shape))


def plan(
    settings: MapNetworkSettings,
    array: ArraySettings,
    before: Mapping[type, object] | None = None,
) -> Plan:
    """Return the plan: nothing is done to the array; a network is known from its file.

    ``before``: with the sizes of a network that an earlier step will train. Raises
    :class:`ConfigError` for a network that does not fit.
    """
    columns = settings.mapping.within(array.range)
    for end in ("min_conductance_s", "max_conductance_s"):
        refuse_outside(getattr(columns, end), array, key=f"mapping.{end}")
    if settings.weights is not None:
        network = _pruned(build(settings.layers, settings.weights.arrays()), settings.prune_below)
        planned = planned_network(network, _placed(network, settings, array))
        foreseen = partial(_foreseen, len(network.matrices), array.tiles)
        return Plan([], rows=1, leaves={PlannedNetwork: planned}, foreseen=foreseen)
    if settings.layers:
        raise ConfigError("layers belong to weights from a file", key="layers")
    sizes = (before or {}).get(UntrainedNetwork)
    known = None
    if isinstance(sizes, UntrainedNetwork) and _places_zeros(settings, sizes.network):
        known = planned_network(sizes.network, _placed(sizes.network, settings, array))
    return Plan([], rows=1, leaves={PlannedNetwork: known})


def _foreseen(layers: int, tiles: int, description: Description) -> Foreseen:
    map_conductance_s = np.broadcast_to(0.0, description.shape)
    target = blank_row(
        TargetRow,
        target_conductance_s=map_conductance_s,
        stuck_conductance_s=map_conductance_s,
    )
    sides = [(LayerRow, layers), (TileRow, tiles), (PlacementRow, 1)]
    return Foreseen([], [*((blank_row(kind), count) for kind, count in sides), (target, 1)])


def _places_zeros(settings: MapNetworkSettings, network: Network) -> bool:
    """Return whether every weight has cells, whatever it is."""
    return settings.zeros == "placed" and all(
        one.kernel is None or one.loop == "patches" for one in network.matrices
    )


MAP_NETWORK = Step(
    name="map_network",
    summary="Turn a network's weights into target conductances, placed on the array's tiles",
    settings=MapNetworkSettings,
    run=run,
    plan=plan,
    plan_after=plan,
    figures="hwloop.figures.networks:mapping",
    libraries=("scipy.optimize",),
)
