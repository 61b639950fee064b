"""The record of an acceptance test: one JSON file, see docs/how-to/accept-a-bench.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from hwloop.types import FloatArray
from hwloop_drivers.acceptance.findings import Finding
from hwloop_drivers.acceptance.oscilloscope import Oscilloscope

FORMAT = "hwloop acceptance 1"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@dataclass
class AcceptanceRecord:
    """Everything that an acceptance test leaves; ``instruments``: identity and settings by name.

    ``drivers``: kind of each instrument, by the same names.
    ``virtual``: a virtual bench has answered; then it is evidence about no box.
    """

    station: str
    station_text: str
    virtual: bool
    resistor_ohm: FloatArray
    drivers: dict[str, str]
    findings: list[Finding] = field(default_factory=list)
    instruments: dict[str, dict[str, Any]] = field(default_factory=dict)
    oscilloscope: str = ""
    began_utc: str = field(default_factory=_now)
    ended_utc: str = ""

    def identify(self, identity: Mapping[str, object], oscilloscope: Oscilloscope | None) -> None:
        """Keep the identities of the instruments and of the oscilloscope, as they answered."""
        for name, said in identity.items():
            if isinstance(said, Mapping):
                self.instruments[name] = {str(key): value for key, value in said.items()}
        self.oscilloscope = "" if oscilloscope is None else oscilloscope.id

    def ended(self) -> Self:
        """Note the end of the test, and return this."""
        self.ended_utc = _now()
        return self

    @property
    def failed(self) -> list[Finding]:
        """Return the findings that are out of tolerance."""
        return [finding for finding in self.findings if finding.failed]

    @property
    def unseen(self) -> list[Finding]:
        """Return what nothing on the bench could see."""
        return [finding for finding in self.findings if finding.verdict == "not witnessed"]

    @property
    def passed(self) -> bool:
        """Return whether something was tested and nothing is out of tolerance."""
        return bool(self.findings) and not self.failed

    def message(self) -> str:
        """Return the outcome in a sentence."""
        counts = Counter(finding.verdict for finding in self.findings)
        said = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        verdict = "accepted" if self.passed else "not accepted"
        return f"{self.station}: {verdict}; {said or 'nothing was tested'}"

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return {
            "format": FORMAT,
            "hwloop": version("hwloop"),
            "station": self.station,
            "virtual": self.virtual,
            "began_utc": self.began_utc,
            "ended_utc": self.ended_utc,
            "accepted": self.passed,
            "drivers": self.drivers,
            "instruments": self.instruments,
            "oscilloscope": self.oscilloscope,
            "resistor_ohm": self.resistor_ohm.tolist(),
            "findings": [asdict(finding) for finding in self.findings],
            "station_file": self.station_text,
        }

    def write(self, path: Path) -> None:
        """Write the record; an existing file is replaced as a whole."""
        unfinished = path.with_name(path.name + ".part")
        text = json.dumps(self.as_json(), indent=1, ensure_ascii=False, default=str)
        unfinished.write_text(text + "\n", encoding="utf-8")
        unfinished.replace(path)
