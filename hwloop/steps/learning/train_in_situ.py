"""Training of one or two layers in the array, by a rule that is chosen by its name.

Every sum of products is measured: forwards the columns while the rows are driven, backwards the
rows while the columns are driven. Activations, errors and what a rule remembers are in software.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwloop.array.blocks import BlockBatch
from hwloop.array.conductance_bounds import refuse_span
from hwloop.array.settings import ArraySettings
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.learning.activations import mean_loss
from hwloop.steps.learning.learning_network import LearningNetwork, places
from hwloop.steps.learning.pulses import IntArray
from hwloop.steps.learning.rows import LearningRow, LearntRow
from hwloop.steps.learning.settings import Samples, TrainInSituSettings, predicted
from hwloop.steps.rows import Outcome, Row, Yield
from hwloop.types import BoolArray, FloatArray

AT_ONCE = 2000
"""Samples that are judged by one multiplication: for 784 inputs 12 MB."""


def run(settings: TrainInSituSettings, array: Array) -> Iterator[Yield]:
    """Judge the arrays, and update them for an epoch, until they have stopped or epochs are over.

    Yields a :class:`LearningRow` at the begin, after every ``judge_every`` epochs and at the end, a
    :class:`LearntRow` and an outcome. Raises :class:`StepError` where a current could not be
    measured or a gradient is not finite.
    """
    training = settings.training()
    judged = settings.judged(training)
    network = LearningNetwork(settings, array, training.inputs.shape[-1])
    converged = np.zeros(array.population, dtype=np.bool_)
    epochs = np.full(array.population, settings.max_epochs, dtype=np.int64)
    for epoch in range(settings.max_epochs + 1):
        if epoch % settings.judge_every == 0 or epoch == settings.max_epochs:
            judgement = _judge(settings, network, judged)
            epochs[judgement.converged & ~converged] = epoch
            converged = converged | judgement.converged
            network.rest(converged)
            yield _row(epoch, judgement, network, converged)
            if converged.all() or epoch == settings.max_epochs:
                break
        for samples in _batches(settings, training, array.rng):
            network.update(samples)
    yield LearntRow(
        converged=converged,
        epoch=epochs,
        loss=judgement.loss,
        accuracy=judgement.accuracy,
        pulses=network.pulsed,
        cut=network.cut,
    )
    kind = "training" if settings.test is None else "test"
    words = f"{len(judged)} {kind} sample{'s' * (len(judged) > 1)}"
    cuts = int(network.cut.sum())
    if cuts:
        words += f"; most_pulses cut {cuts} updates of a weight"
    yield _outcome(settings, converged, epochs, judgement, words)


@dataclass(frozen=True)
class ArrayJudgement:
    """Loss, accuracy and the furthest answer of each array, and where it has stopped, (...)."""

    loss: FloatArray
    accuracy: FloatArray
    furthest: FloatArray
    converged: BoolArray


def _judge(
    settings: TrainInSituSettings, network: LearningNetwork, samples: Samples
) -> ArrayJudgement:
    answers = np.concatenate(
        [
            network.answers(samples.inputs[begin : begin + AT_ONCE])
            for begin in range(0, len(samples), AT_ONCE)
        ],
        axis=-2,
    )
    right = predicted(answers, samples.targets) == samples.classes
    accuracy = np.asarray(right.mean(axis=-1))
    furthest = np.asarray(np.abs(answers - samples.targets).max(axis=(-2, -1)))
    converged = np.zeros(accuracy.shape, dtype=np.bool_)
    if settings.stop is not None and settings.stop.within is not None:
        converged = np.asarray(furthest < settings.stop.within)
    elif settings.stop is not None and settings.stop.accuracy is not None:
        converged = np.asarray(accuracy >= settings.stop.accuracy)
    with np.errstate(over="ignore"):  # a loss that overflows is infinite, and is shown so
        loss = np.asarray(mean_loss(settings.loss, answers, samples.targets))
    return ArrayJudgement(loss, accuracy, furthest, converged)


def _row(
    epoch: int, judgement: ArrayJudgement, network: LearningNetwork, converged: BoolArray
) -> LearningRow:
    return LearningRow(
        epoch=epoch,
        loss=judgement.loss,
        accuracy=judgement.accuracy,
        furthest=judgement.furthest,
        pulses=network.pulsed,
        cut=network.cut,
        converged=converged,
    )


def _batches(
    settings: TrainInSituSettings, samples: Samples, rng: np.random.Generator
) -> Iterator[Samples]:
    order = rng.permutation(len(samples)) if settings.shuffle else np.arange(len(samples))
    for begin in range(0, len(samples), settings.batch):
        yield samples.part(order[begin : begin + settings.batch])


def plan(settings: TrainInSituSettings, array: ArraySettings) -> Plan:
    """Return the plan: every update, each at the worst case of its rule.

    Raises :class:`ConfigError` where the samples do not fit the layers, or those the array, and
    where a cell at an end of ``range`` could not be read, or is outside of ``array.range``.
    """
    refuse_span(settings.range, array, key="range")
    training = settings.training()
    judged = settings.judged(training)
    updates = settings.max_epochs * -(-len(training) // settings.batch)
    judgements = settings.max_epochs // settings.judge_every + 2
    operations = []
    own = places(settings, array, training.inputs.shape[-1])
    rule, rounds = settings.rule, updates * settings.rule.rounds(settings.batch)
    for number, copies in enumerate(own):
        first = copies[0]
        for samples, times in (
            (min(settings.batch, len(training)), updates),
            (min(AT_ONCE, len(judged)), judgements * -(-len(judged) // AT_ONCE)),
        ):
            vectors_v = np.full((samples, first.inputs), settings.input_v)
            batch = BlockBatch(vectors_v, (first.forward,), keep=settings.record)
            operations.append(PlannedOperation(batch, times))
        if number:
            vectors_v = np.full((settings.batch, 2 * first.outputs), settings.input_v)
            back = BlockBatch(vectors_v, (first.backward,), keep=settings.record, driven="cols")
            operations.append(PlannedOperation(back, updates))
        reads = rule.reads(copies, input_v=settings.input_v, keep=settings.record)
        operations += [PlannedOperation(read, rounds) for read in reads]
        worst = rule.worst(settings.pulses, first, array.geometry.shape)
        operations += [PlannedOperation(pulse, rounds) for pulse in worst]
    return Plan(
        operations,
        rows=judgements,
        pulses_per_cell=rounds * rule.most_of_a_cell,
        any_cell=True,
    )


def tables(_: TrainInSituSettings, shape: tuple[int, ...]) -> tuple[Row, ...]:
    """Return a row of each table, in final types and shapes, before anything is measured."""
    each = np.zeros(shape[:-2])
    number, truth = each.astype(np.int64), each.astype(np.bool_)
    return (
        LearningRow(0, each, each, each, number, number, truth),
        LearntRow(truth, number, each, each, number, number),
    )


def _outcome(
    settings: TrainInSituSettings,
    converged: BoolArray,
    epochs: IntArray,
    last: ArrayJudgement,
    of: str,
) -> Outcome:
    """Return the outcome; ``of``: what was judged, and what else is to be said."""
    accuracy = float(np.mean(last.accuracy))
    if settings.stop is None:
        return Outcome(True, f"{settings.max_epochs} epochs; accuracy {accuracy:.2%} of {of}")
    if not converged.ndim:
        if converged:
            return Outcome(
                True, f"stopped after {int(epochs)} epochs; accuracy {accuracy:.2%} of {of}"
            )
        return Outcome(
            False,
            f"did not reach its end in {settings.max_epochs} epochs: furthest answer"
            f" {float(last.furthest):.3g} from its target; accuracy {accuracy:.2%} of {of}",
        )
    total, reached = converged.size, int(converged.sum())
    low, high = wilson_interval(reached, total)
    words = (
        f"{reached} of {total} arrays converged ({reached / total:.1%};"
        f" 95 % interval {low:.1%} to {high:.1%})"
    )
    if reached:
        first, middle, end = np.percentile(epochs[converged], (0, 50, 100)).astype(int)
        words += f", after {first} to {end} epochs, median {middle}"
    words += f"; accuracy {accuracy:.2%} of {of}"
    return Outcome(bool(converged.any()), words)


TRAIN_IN_SITU = Step(
    name="train_in_situ",
    summary="Training of one or two layers in the array by a chosen rule",
    settings=TrainInSituSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.learning:figures",
    tables=tables,
)
