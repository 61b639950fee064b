"""An instrument on a link: identity, status, safe state and outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from hwloop.errors import ConfigError
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles.pulse_generator import PulseGenerator
from hwloop_drivers.roles.source_meter import SourceMeter


class Instrument(ABC):
    """One instrument on one link."""

    link: Link

    @property
    @abstractmethod
    def id(self) -> str:
        """Get the answer to the question for its identity.

        Example: ``"KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C30"``.
        """

    @abstractmethod
    def verify_identity(self) -> None:
        """Raise :class:`hwloop.errors.UnexpectedReply` unless this driver is for this model.

        Example: a driver for a 2400 whose link leads to a 2450 raises "expected a MODEL 2400,
        found 'KEITHLEY INSTRUMENTS,MODEL 2450,…'".
        """

    def allow(self, model: str) -> None:
        """Accept a model that is near the driver's own as well, where the station says so.

        Raises :class:`hwloop.errors.ConfigError` where it is not near. Example: a driver for a
        2636B accepts a 2636A after ``smu.allow("2636A")``.
        """
        raise ConfigError(f"{model!r} cannot be accepted: the driver knows no models")

    @property
    def stand_in(self) -> str:
        """Get the allowed model that was found in the place of the driver's own; "" for its own.

        Example: "2636A" after ``smu.allow("2636A")`` where a 2636A is connected.
        """
        return ""

    @abstractmethod
    def reset(self) -> None:
        """Set known settings, switch outputs off, clear status and error queue.

        Example: ``smu.source_enabled = True; smu.reset(); smu.source_enabled`` gives False.
        """

    @abstractmethod
    def clear(self) -> None:
        """Empty the error queue and clear the status; settings and outputs stay as they are.

        Example: ``smu.clear(); smu.check_errors()`` raises nothing.
        """

    @abstractmethod
    def check_errors(self) -> None:
        """Raise :class:`hwloop.errors.InstrumentFault` with every entry of the error queue.

        Example: after a command that a 2400 does not know it raises "-113,"Undefined header"".
        """

    @abstractmethod
    def safe_state(self) -> None:
        """Put every output at 0 V and switch it off, from any state; idempotent.

        Valid after any error. A matrix has no output: it opens its channels (see
        :class:`SwitchMatrix`). Example: ``smu.safe_state(); smu.source_enabled`` gives False.
        """

    def rest_at_zero(self) -> bool:
        """Bring every output to 0 V, read back, and leave it on; return whether that was done.

        For instruments that let go of their lines when they are off: so a line is held until it is
        grounded. Example: False, and nothing sent, for a source that holds 0 V when it is off.
        """
        return False

    @abstractmethod
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        """Return the outputs by channel name.

        Example: ``{"": self}`` for an instrument with one, ``{"a": …, "b": …}`` for one with two,
        ``{}`` for a matrix.
        """

    def read_back(self) -> dict[str, object]:
        """Return settings as the instrument has them now, by name, for the record.

        A setting that has a unit has a name of ``READ_BACK_UNITS`` in
        :mod:`hwloop_drivers.roles.read_back`, after the channel's name and a dot where there are
        several channels. None of them changes between the operations of a run: one that is not as
        it was is taken for another program's work, and the run ends.
        """
        return {}

    def shutdown(self) -> None:
        """Go to the safe state, then close the link, even after an error."""
        try:
            self.safe_state()
        finally:
            self.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()
