"""Settings of a training that knows the hardware; nothing here needs PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from hwloop.errors import ConfigError
from hwloop.settings.bulk import BulkFile, LabelledData
from hwloop.settings.model import Settings, folder_of
from hwloop.settings.units import Count, Number
from hwloop.steps.network.mapping.mapping import ColumnSettings, LevelCount, WeightColumns
from hwloop.steps.network.network import LayerSettings
from hwloop.steps.network.training.hardware_aware.tiles.settings import TilesInTraining

Rate = Annotated[Number, Field(gt=0)]
Decay = Annotated[Number, Field(ge=0)]
BelowOne = Annotated[Number, Field(ge=0, lt=1)]
Fraction = Annotated[Number, Field(gt=0, lt=1)]
Epochs = Annotated[int, Field(strict=True, ge=0)]


class Sgd(Settings):
    """Stochastic gradient descent; without ``momentum`` unless it is given."""

    kind: Literal["sgd"]
    rate: Rate
    momentum: BelowOne = 0.0
    nesterov: bool = False
    weight_decay: Decay = 0.0

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Sgd:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: needs a momentum above 0")
        return self


class Adam(Settings):
    """Adam, Kingma and Ba, arXiv:1412.6980, with the defaults of its authors."""

    kind: Literal["adam"]
    rate: Rate = 1e-3
    beta_1: BelowOne = 0.9
    beta_2: BelowOne = 0.999
    epsilon: Rate = 1e-8
    weight_decay: Decay = 0.0


OptimiserSettings = Annotated[Sgd | Adam, Field(discriminator="kind")]


class WeightNoise(Settings):
    """Normal noise on every weight and bias, drawn anew for every batch.

    ``multiplicative``: w · (1 + ``sigma`` N). ``additive``: w + ``sigma`` w_max N, with w_max the
    largest magnitude of the layer's weights and biases. Forward and backward pass see the noisy
    weights, the update is of the clean ones.
    """

    kind: Literal["multiplicative", "additive"]
    sigma: Rate


class WeightNoiseDraws(WeightNoise):
    """Noise under which the test samples are answered, in ``draws`` draws."""

    draws: Annotated[Count, Field(le=10_000)] = 10


class Pruning(Settings):
    """Pruning in ``steps``, each followed by ``epochs`` of retraining.

    ``magnitude``: the smallest weights of the whole network, or of each layer (``within``).
    ``kernels``: whole kernels of each convolution. ``channels``: whole outputs of each layer but
    the last, with the weights behind them. Kernels and channels are ranked by their root of the sum
    of squares. ``fraction``: of weights, kernels or channels in the end; each step takes the same
    part of those that are left. Biases are not pruned, but with their channel.
    """

    kind: Literal["magnitude", "kernels", "channels"] = "magnitude"
    fraction: Fraction
    within: Literal["network", "layer"] = "network"
    steps: Count = 1
    epochs: Epochs = 1

    @model_validator(mode="after")
    def _structures_are_of_layers(self) -> Pruning:
        if self.kind != "magnitude" and "within" in self.model_fields_set:
            raise ValueError(f"within: {self.kind} are pruned within each layer")
        return self

    def fractions(self) -> tuple[float, ...]:
        """Return the fraction that is pruned after each step."""
        kept = 1 - self.fraction
        return tuple(1 - kept ** (step / self.steps) for step in range(1, self.steps + 1))


class Quantisation(ColumnSettings):
    """Retraining for ``epochs`` on weights that the cells' ``levels`` can hold.

    Batch normalisations are folded into the weights first. The other keys are those of
    ``map_network``'s ``mapping``: give both the same. Gradients pass straight through.
    """

    levels: LevelCount
    epochs: Epochs = 1

    @model_validator(mode="after")
    def _signed(self) -> Quantisation:
        if self.arrangement == "direct":
            raise ValueError("arrangement: direct is for weights that are conductances")
        return self

    def columns(self) -> WeightColumns:
        """Return the arrangement between 0 and 1 S: which range, does not change the weights."""
        given = self.model_dump(exclude={"epochs"})
        return WeightColumns.parse({**given, "min_conductance_s": 0.0, "max_conductance_s": 1.0})


class DescentSettings(Settings):
    """Settings of a gradient descent, of whatever network.

    ``loss``: ``cross_entropy`` of the softmax of the outputs, or ``mean_square`` of the distance to
    1 for the class and 0 for the others. ``epochs``: before pruning, quantisation and tiles.
    ``held_out``: share of the training samples that is kept out; each part of the training goes on
    from its epoch with the best answers on them, and ends after ``patience`` epochs without a
    better one.
    ``threads``: of the processor.
    """

    loss: Literal["cross_entropy", "mean_square"] = "cross_entropy"
    optimiser: OptimiserSettings
    epochs: Epochs
    batch: Count
    noise: WeightNoise | None = None
    pruning: Pruning | None = None
    quantisation: Quantisation | None = None
    tiles: TilesInTraining | None = None
    held_out: Fraction | None = None
    patience: Count | None = None
    threads: Count = 1

    @model_validator(mode="after")
    def _patience_has_samples(self) -> Self:
        if self.patience is not None and self.held_out is None:
            raise ValueError("patience: needs held_out, the share of samples that it looks at")
        return self

    def held_out_of(self, samples: int) -> int:
        """Return how many samples are kept out; :class:`ConfigError` where none is left or kept."""
        if self.held_out is None:
            return 0
        out = round(self.held_out * samples)
        if not 0 < out < samples:
            raise ConfigError(
                f"{self.held_out:g} of {samples} samples is {out}: at least one must be kept out,"
                " and one be left",
                key="held_out",
            )
        return out

    @property
    def most_epochs(self) -> int:
        """Return the number of epochs without any early stop."""
        pruned = self.pruning.steps * self.pruning.epochs if self.pruning else 0
        levels = self.quantisation.epochs if self.quantisation else 0
        return self.epochs + pruned + levels + (self.tiles.epochs if self.tiles else 0)


class TrainCnnSettings(DescentSettings):
    """Settings of the training.

    ``layers``: as ``map_network`` lists them. ``weights``: a file to start from; if left out,
    weights and biases start as PyTorch's layers do, in the ``shapes`` of the weights by name.
    ``test``: samples for evaluation only, without noise and under ``test_noise``. ``checkpoint``:
    NPZ file, written after every epoch, from which the same training goes on if it was ended before
    its time; removed at its end.
    """

    layers: tuple[LayerSettings, ...] = Field(min_length=1)
    weights: BulkFile | None = None
    shapes: dict[str, tuple[Count, ...]] = Field(default_factory=dict)
    data: LabelledData
    test: LabelledData | None = None
    test_noise: WeightNoiseDraws | None = None
    checkpoint: Path | None = None

    @field_validator("checkpoint", mode="before")
    @classmethod
    def _beside_the_procedure(cls, given: Any, info: ValidationInfo) -> Any:
        if not isinstance(given, str | Path):
            return given
        path = (folder_of(info) / given).resolve()
        if path.suffix != ".npz" or not path.parent.is_dir():
            raise ValueError("expected a file ending in .npz, in a folder that exists")
        return path

    @model_validator(mode="after")
    def _consistent(self) -> TrainCnnSettings:
        if (self.weights is None) != bool(self.shapes):
            raise ValueError("give either weights, a file to start from, or shapes by name")
        if self.test_noise is not None and self.test is None:
            raise ValueError("test_noise: needs test, the samples to answer")
        if not self.epochs and self.weights is None:
            raise ValueError("epochs: 0 needs weights, a trained network to go on from")
        return self
