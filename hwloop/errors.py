"""All exceptions of hwloop, and the exit codes of the command line.

::

    HwloopError                     1
    ├── ConfigError                 2   a procedure, station, calibration or option is wrong
    ├── LimitError                  3   refused before hardware was touched
    ├── BackendError                4   the array or an instrument could not do what was asked
    │   ├── ConnectionLost
    │   ├── InstrumentTimeout
    │   ├── UnexpectedReply
    │   ├── InstrumentFault
    │   ├── InstrumentInUse
    │   └── Unsupported
    ├── StepError                   5   a step cannot go on
    │   └── NotConverged            6   a step ended without reaching its aim: a result
    ├── RecordError                 7   a record or dataset cannot be written or read
    │   └── ReplayMismatch          8   a replay departed from its record
    └── Stopped                   130   asked to stop by Ctrl-C or a signal

The numbers are the exit codes of the command line.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "ConfigError",
    "ConnectionLost",
    "HwloopError",
    "InstrumentFault",
    "InstrumentInUse",
    "InstrumentTimeout",
    "LimitError",
    "NotConverged",
    "RecordError",
    "ReplayMismatch",
    "StepError",
    "Stopped",
    "UnexpectedReply",
    "Unsupported",
]


class HwloopError(Exception):
    """Base of every error that hwloop raises on purpose."""

    exit_code = 1


class ConfigError(HwloopError):
    """A setting is wrong; says file, key, value and the allowed range.

    ``key`` is the path of the setting below the place where the error was found;
    whoever knows more of the path adds it with :meth:`below`.
    """

    exit_code = 2

    def __init__(self, message: str, *, key: str = "", file: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.key = key
        self.file = file

    def below(self, key: str = "", *, file: str = "") -> ConfigError:
        """Return the same error with ``key`` in front of its path, and in ``file``.

        The file that it had, of data for example, stands before its message then.
        """
        path = ".".join(part for part in (key, self.key) if part)
        message = self.message
        if file and self.file and file != self.file:
            message = f"{self.file}: {message}"
        return type(self)(message, key=path, file=file or self.file)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.message) if part)


class LimitError(HwloopError):
    """An operation would exceed a limit of the array; nothing was applied."""

    exit_code = 3


class BackendError(HwloopError):
    """The array or an instrument could not do what was asked.

    An instrument may answer with megabytes, which the message quotes: of a message of more than
    ``longest`` characters the begin, the length and the end are kept.
    """

    exit_code = 4
    longest = 16384

    def __init__(self, message: str = "", *more: object) -> None:
        if len(message) > self.longest:
            end = self.longest // 4
            size = f" … ({len(message)} characters) … "
            message = message[: self.longest - end] + size + message[-end:]
        super().__init__(message, *more)


class ConnectionLost(BackendError):
    """The link to an instrument is gone."""


class InstrumentTimeout(BackendError):
    """An instrument did not answer in time."""


class UnexpectedReply(BackendError):
    """An instrument answered something that the driver cannot interpret."""

    longest = 1000


class InstrumentFault(BackendError):
    """An instrument reported an error of its own."""


class InstrumentInUse(BackendError):
    """Another run uses an instrument; nothing was sent to it."""


class Unsupported(BackendError):
    """The backend has no way to do this, or its model is not valid for it."""


class StepError(HwloopError):
    """A step cannot go on."""

    exit_code = 5


class NotConverged(StepError):
    """A step ended in order without reaching its aim."""

    exit_code = 6


class RecordError(HwloopError):
    """A record or a dataset cannot be written or read."""

    exit_code = 7


class ReplayMismatch(RecordError):
    """A replay asked for an operation that is not the recorded one."""

    exit_code = 8


class Stopped(HwloopError):
    """The run was stopped from outside, between two rows."""

    exit_code = 130
