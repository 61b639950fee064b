"""Answers of the wanted weights in NumPy, computed beside the array's, for a comparison."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import numpy as np

from hwloop.steps.network.network import Network, predicted
from hwloop.types import FloatArray

T = TypeVar("T")


class SoftwareAnswers:
    """Classes that a network takes samples for, computed in a thread of their own.

    Entered by ``with``, which waits for the thread at its end. At most one part of the samples
    waits for it, so that memory is bounded.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="software-answers")
        self._parts: list[Future[FloatArray]] = []

    def __enter__(self) -> SoftwareAnswers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def add(self, x: FloatArray) -> None:
        """Take further samples (samples, …), as soon as those before are under way."""
        if len(self._parts) > 1:
            self._parts[-2].result()
        self._parts.append(self._thread.submit(lambda: predicted(self._network.forward(x))))

    def compute(self, work: Callable[[], T]) -> Future[T]:
        """Do some other work in the same thread, after what was asked before."""
        return self._thread.submit(work)

    def all(self) -> FloatArray:
        """Return the classes of all samples so far, (samples,); raises what a layer raised."""
        return np.concatenate([part.result() for part in self._parts])
